"""How a network is trained, as frozen data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from beamwright.search_spaces.record import Record

__all__ = ["Initialiser", "Loss", "Optimizer", "Recipe", "Schedule"]

Optimizer = Literal["sgd", "adam", "adamw", "radam", "nadam"]
Schedule = Literal["constant", "step", "cosine", "one_cycle"]
Initialiser = Literal["he", "xavier", "orthogonal"]
Loss = Literal["l1", "l2", "huber", "ssim_l1", "log_mse"]


class Recipe(Record):
    """Everything about a training that is not the network, the data or the budget.

    The defaults are the textbook: Adam at 1e-3 with a cosine schedule, random flips and quarter turns.
    """

    optimizer: Optimizer = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    """The highest of the schedule."""
    momentum: float = Field(0.0, ge=0, lt=1)
    """Of ``sgd``; the others keep their own moments."""
    weight_decay: float = Field(0.0, ge=0)
    schedule: Schedule = "cosine"
    warmup: float = Field(0.0, ge=0, lt=1)
    """Share of the steps over which the learning rate rises linearly; ``one_cycle`` has its own."""
    grad_clip: float = Field(0.0, ge=0)
    """Largest norm of the gradient; 0 does not clip."""
    dropout: float = Field(0.0, ge=0, lt=1)
    initialiser: Initialiser = "he"
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay per step of the moving average of weights; 0 keeps none."""
    loss: Loss = "l2"
    batch_size: int = Field(16, ge=1)
    patch_size: int = Field(64, ge=1)
    """Edge of the square training patches [px]."""
    augment_dihedral: bool = True
    """Random flips and quarter turns."""
    augment_intensity: float = Field(0.0, ge=0)
    """Largest relative change of contrast and brightness."""
    augment_noise: float = Field(0.0, ge=0)
    """Standard deviation of noise added to inputs, in standard deviations of the data."""

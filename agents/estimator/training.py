"""How the estimator learns: on the states that its own corrections lead to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from beamwright.agents.estimator.network import AberrationNet
from beamwright.envs.alignment import AlignConfig, AlignSTEMEnv, AlignSTEMVectorEnv
from beamwright.envs.alignment.column import Column
from beamwright.envs.core import Frozen
from beamwright.envs.core.config import Range

__all__ = ["TrainingPlan", "estimator_loss", "train_estimator"]

Report = Callable[[int, float], None]
_OFTEN, _MEMORY = 100, 0.01
"""Updates between two reports, and share of the newest in what they say."""


class TrainingPlan(Frozen):
    """How long and on what."""

    preset: str | None = "lattice"
    """Of AlignSTEM-v0; the pair of its `diagnostic` is what the estimator will always need."""
    updates: int = Field(2500, ge=1)
    """Steps of the optimiser; each takes a step of every environment too."""
    batch: int = Field(64, ge=1)
    """Environments."""
    corrections: int = Field(4, ge=1)
    """Corrections of an episode, after each of which a pair is looked at."""
    specimens: int = Field(4096, ge=1)
    """Pool of specimens: too few would be learned by heart."""
    rate: float = Field(2e-3, gt=0)
    """Learning rate, which rises for a twentieth of the time and falls to zero along a cosine."""
    patience: float = Field(0.5, ge=0, le=1)
    """Exponent with which a knob's own uncertainty weighs its loss, see `estimator_loss`."""
    seed: int = Field(0, ge=0)
    """Of weights and episodes; equal seeds on one kind of processor give equal networks."""


def train_estimator(plan: TrainingPlan, *, report: Report | None = None, **overrides: Any) -> AberrationNet:
    """Train an estimator on its own corrections.

    In every update each of a batch of columns shows a diagnostic pair; the network learns from these pairs
    and then turns the knobs by what it believed of them. So it is trained on what it will meet. Columns
    begin anew one after another, so that every batch holds all stages of an alignment.

    Parameters
    ----------
    plan
        How long and on what.
    report
        Called with the number of updates and the mean phase left over [rad], now and then.
    **overrides
        Fields of the environment's configuration that differ from the preset.

    Returns
    -------
    AberrationNet
        In evaluation mode.

    Raises
    ------
    MicroscopeError
        If the environment has no such preset or fields.
    """
    torch.manual_seed(plan.seed)
    env = _environment(plan, overrides)
    network = AberrationNet((env.config.size, env.config.size // 2 + 1), _spread(env.config))
    optimiser = torch.optim.AdamW(network.parameters(), plan.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: _rate(done / plan.updates))
    pictures, left = _begin(env, plan), 0.0
    for update in range(1, plan.updates + 1):
        truth = env.simulation.info(env.state)["misalignment"]  # (B, K)
        belief = network(pictures).flatten(1)
        loss = estimator_loss(belief, truth, patience=plan.patience)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        mean = belief.detach().chunk(2, dim=1)[0]
        left += (float((mean - truth).square().mean().sqrt()) - left) * max(1 / update, _MEMORY)
        if report is not None and (update % _OFTEN == 0 or update == plan.updates):
            report(update, left)
        pictures = _seen(env.step(_corrections(env, mean))[0])
    return network.eval()


def estimator_loss(belief: Tensor, truth: Tensor, *, patience: float = 0.0) -> Tensor:
    """Return the negative logarithm of a normal likelihood, in radians of phase over the aperture.

    With a patience of 0 it is that; knobs of which the network is unsure are then hardly learned. Weights
    of ``sigma^(2 patience)``, held constant, give them back their share; 1 is the squared error.

    Parameters
    ----------
    belief
        Means and logarithms of standard deviations, ``(B, 2 K)`` [rad].
    truth
        ``(B, K)`` [rad].
    patience
        From 0 to 1.

    References
    ----------
    M. Seitzer, A. Tavakoli, D. Antic and G. Martius, ICLR 2022 (arXiv:2203.09168), eq. 7.
    """
    mean, log_sigma = belief.chunk(2, dim=1)
    surprise = ((truth - mean) * torch.exp(-log_sigma)).square() / 2 + log_sigma  # (B, K)
    return (surprise * torch.exp(2 * patience * log_sigma.detach())).mean()


def _environment(plan: TrainingPlan, overrides: Mapping[str, Any]) -> AlignSTEMVectorEnv:
    known = {**(AlignSTEMEnv.presets[plan.preset] if plan.preset else {}), **overrides}
    fields = {
        "observation": "cross_spectrum",
        "exposures": plan.corrections * len(known.get("diagnostic", ({}, {}))),
        "hold": plan.corrections + 1,  # what is aligned is to be looked at too
        "specimen": {"pool": plan.specimens},
    }
    return AlignSTEMVectorEnv(plan.batch, preset=plan.preset, **(fields | dict(overrides)))


def _begin(env: AlignSTEMVectorEnv, plan: TrainingPlan) -> Tensor:
    """Begin one episode after another, so that every batch holds all stages; return the first pictures."""
    seen, _ = env.reset(seed=plan.seed)
    turn = np.arange(plan.batch) % plan.corrections
    for stage in range(1, plan.corrections):
        env.step(np.zeros(env.action_space.shape, np.float32))
        seen, _ = env.reset(options={"reset_mask": turn == stage})
    return _seen(seen)


def _seen(observation: Mapping[str, np.ndarray]) -> Tensor:
    return torch.from_numpy(observation["picture"])


def _corrections(env: AlignSTEMVectorEnv, mean: Tensor) -> np.ndarray:
    """Return the actions that put right what the network believes, ``(B, A)``."""
    actions = np.zeros(env.action_space.shape, np.float32)
    actions[:, : mean.shape[1]] = -mean.numpy()
    return actions


def _spread(config: AlignConfig) -> list[float]:
    """Return standard deviations of the misalignment at the start, in the order of the knobs [rad]."""
    units = Column(config, torch.device("cpu")).unit.tolist()
    return [
        unit * _deviation(config.offsets.get(name, 0.0))
        for name, unit in zip(config.knobs, units, strict=True)
    ]


def _deviation(varied: float | Range) -> float:
    return (varied.high - varied.low) / math.sqrt(12) if isinstance(varied, Range) else max(abs(varied), 1e-3)


def _rate(progress: float) -> float:
    return min(progress * 20 + 0.02, 1.0) * (1 + math.cos(math.pi * progress)) / 2

"""What every space offers, what bounds it, and the names of the spaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import Field

from beamwright.registry import Entry, Registry
from beamwright.search_spaces.architecture import Architecture
from beamwright.search_spaces.recipe import Loss, Recipe
from beamwright.search_spaces.record import Record

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = ["SPACES", "Candidate", "Space", "SpaceLimits", "Value"]

Value = bool | int | float | str


class Candidate(Record):
    """What one trial trains."""

    architecture: Architecture
    recipe: Recipe = Recipe()
    name: str | None = None
    """The named network that it is, or was projected from."""


class SpaceLimits(Record):
    """What the task and its data allow."""

    ndim: Literal[1, 2, 3] = 2
    in_channels: int = Field(1, ge=1)
    out_channels: int = Field(1, ge=1)
    patch_sizes: tuple[int, ...] = Field((32, 48, 64, 96, 128), min_length=1)
    """Edges of training patches that the data have room for [px]."""
    max_levels: int = Field(4, ge=1)
    """Largest number of resolutions."""
    losses: tuple[Loss, ...] = Field(("l1", "l2", "huber", "ssim_l1"), min_length=1)
    local_only: bool = True
    """Only networks whose tiles equal the whole image."""
    prefill: tuple[float, ...] = ()
    """Scales at which networks fill in what was not measured before they look at it [px]."""
    fixed: dict[str, bool | int | float | str] = Field(default_factory=dict)
    """Parameters of the space that are held at one value."""


class Space(Protocol):
    """A define-by-run space: a function of an Optuna trial, and its inverse.

    The search calls `portfolio` first and enqueues the `parameters` of its members; then it calls the space
    with each trial. ``space(FixedTrial(space.parameters(candidate)))`` is the same candidate again.
    """

    def __call__(self, trial: BaseTrial) -> Candidate:
        """Suggest the parameters of a candidate and return it."""

    def parameters(self, candidate: Candidate) -> dict[str, Value]:
        """Return the suggestions that lead to the candidate.

        Raises
        ------
        SpaceError
            If the candidate is no point of the space.
        """

    def project(self, candidate: Candidate) -> Candidate:
        """Return the candidate with the fixed parameters at their values."""

    def portfolio(self) -> tuple[Candidate, ...]:
        """Return known-good candidates, the textbook first."""


SPACES = Registry(
    "space",
    Entry(
        "denoise",
        "convolutional networks without and with downsampling, for images in and images out",
        "beamwright.search_spaces.denoise:denoise_space",
    ),
    Entry(
        "inpaint",
        "the same with wider views, for images of which few pixels were measured",
        "beamwright.search_spaces.inpaint:inpaint_space",
    ),
)

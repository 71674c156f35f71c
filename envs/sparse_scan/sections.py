"""Sections of the configuration: actions, tiles, survey, budget, observation, reward, reconstructor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from beamwright.envs.core import Frozen, Varied
from beamwright.envs.sparse_scan.effects import lowest

__all__ = [
    "ActionConfig",
    "BudgetConfig",
    "ObservationConfig",
    "ReconstructorConfig",
    "RewardConfig",
    "SurveyConfig",
    "TilesConfig",
]

Map = Literal["measured", "mask", "dose", "reconstruction", "error"]


class ActionConfig(Frozen):
    """How an agent moves the beam: in straight segments of equally spaced points."""

    kind: Literal["headings", "continuous"] = "headings"
    """One of `headings` directions with an action mask, or any direction."""
    headings: int = Field(32, ge=4, le=360, multiple_of=2)
    """Directions among which discrete actions choose; for continuous ones, of the scores."""
    points: int | tuple[int, int] = 20
    """Points that a segment measures; a range ``[low, high]`` lets the agent choose."""
    spacing: float = Field(1.0, gt=0)
    """Distance between points [px]."""
    dwell: float | tuple[float, float] = 10.0
    """Time at each point [us]; a range ``[low, high]`` lets the agent choose, on a logarithmic scale."""
    levels: int = Field(3, ge=2, le=9)
    """Values among which discrete actions choose where there is a range."""
    start: Literal["centre", "random"] = "centre"
    """Where the first segment begins."""
    stop: bool = False
    """Whether the agent may end the scan before the budget does."""

    @model_validator(mode="after")
    def _check(self) -> ActionConfig:
        for name, (low, high) in (("points", self.point_range), ("dwell", self.dwell_range)):
            if not 0 < low <= high:
                raise ValueError(
                    f"{name} must be positive, or [low, high] in this order, not [{low:g}, {high:g}]"
                )
        return self

    @property
    def point_range(self) -> tuple[int, int]:
        """Fewest and most points in a segment."""
        return self.points if isinstance(self.points, tuple) else (self.points, self.points)

    @property
    def dwell_range(self) -> tuple[float, float]:
        """Shortest and longest dwell [us]."""
        return self.dwell if isinstance(self.dwell, tuple) else (self.dwell, self.dwell)


class TilesConfig(Frozen):
    """How an agent chooses tiles, each of which is scanned line by line."""

    shape: tuple[int, int] = (8, 8)
    """Rows and columns of a tile [px]; as many columns as the field has makes blocks of rows."""
    dwell: float = Field(10.0, gt=0)
    """Time at each point [us]."""
    serpentine: bool = False
    """Lines to and fro, without flyback; by default all in one direction."""
    stop: bool = False
    """Whether the agent may end the scan before the budget does."""


class SurveyConfig(Frozen):
    """A static pattern that is scanned before the first action, on the same budget."""

    pattern: str = "grid"
    """One of the scan patterns: ``grid``, ``raster``, ``spiral``, ``halton``, ``uniform``..."""
    coverage: float = Field(0.02, gt=0, le=1)
    """Share of the pixels that it visits."""
    dwell: float = Field(10.0, gt=0)
    """Time at each point [us]."""


class BudgetConfig(Frozen):
    """What an episode may spend: at least one limit; the scan ends with the first that is reached."""

    coverage: Varied | None = None
    """Share of the pixels that could be visited at the shortest dwell; a limit of electrons."""
    electrons: Varied | None = None
    """Electrons."""
    seconds: Varied | None = None
    """Time of dwelling and of flyback [s]."""

    @model_validator(mode="after")
    def _check(self) -> BudgetConfig:
        limits = {name: getattr(self, name) for name in ("coverage", "electrons", "seconds")}
        given = {name: value for name, value in limits.items() if value is not None}
        if not given:
            raise ValueError("must limit at least one of coverage, electrons and seconds")
        if self.coverage is not None and self.electrons is not None:
            raise ValueError("must limit the electrons by coverage or by electrons, not by both")
        for name, value in given.items():
            if lowest(value) <= 0:
                raise ValueError(
                    f"{name} = {lowest(value):g} must be above 0, or there is nothing to scan with"
                )
        return self


class ObservationConfig(Frozen):
    """What an agent sees."""

    kind: Literal["maps", "vector"] = "maps"
    """Maps with numbers beside them, or everything in one vector, the maps on a coarse grid."""
    maps: tuple[Map, ...] = ("measured", "mask", "dose", "reconstruction", "error")
    """Which maps, in this order; ``error`` is left out where the reconstructor does not predict it."""
    pool: int = Field(1, ge=1)
    """Edge of the squares of pixels that become one pixel of the maps."""
    grid: int = Field(8, ge=2)
    """Rows and columns of the coarse maps in a vector."""
    blur: float = Field(3.0, gt=0)
    """Standard deviation by which the predicted error is blurred for the greedy scores [px]."""


class RewardConfig(Frozen):
    """What the agent is to do well."""

    mode: Literal["log_mse", "mse", "final"] = "log_mse"
    """Drop of the logarithm of the error, drop of the error, or minus the error at the end."""
    scale: float = Field(1.0, gt=0)
    """Factor on this."""
    floor: float = Field(1e-4, gt=0)
    """Squared error that is as good as none: it keeps the logarithm finite."""
    price: float = Field(0.0, ge=0)
    """Reward that the whole budget is worth: what is spent of it is subtracted, so that stopping can pay."""
    per_cost: bool = False
    """Divide each drop by what the step cost, in units of the cheapest whole action."""
    edge: float = Field(0.0, ge=0)
    """Penalty for a segment that would leave the field, or for a tile that was scanned before."""


class ReconstructorConfig(Frozen):
    """What makes an image of the points measured so far."""

    kind: Literal["interpolation", "bundle"] = "interpolation"
    """The built-in interpolation, or a model that a search exported."""
    bundle: str | None = None
    """Folder or ``.zip`` of the model, or the name of one that is shipped, such as ``inpaint-96``."""
    threads: int = Field(1, ge=1)
    """Threads of the model."""

    @model_validator(mode="after")
    def _check(self) -> ReconstructorConfig:
        if (self.kind == "bundle") != (self.bundle is not None):
            raise ValueError("kind: bundle and a path in bundle belong together; say both or none")
        return self

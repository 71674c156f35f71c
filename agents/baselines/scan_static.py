"""Static scans: what can be measured without looking."""

from __future__ import annotations

import math
from copy import copy
from typing import ClassVar

import torch

from beamwright.agents.baselines.scan_base import Path, WholeScan
from beamwright.agents.baselines.scan_tuning import remembered, training_error
from beamwright.envs.core import Streams
from beamwright.envs.microscope.paths import CONTIGUOUS, PATTERNS
from beamwright.envs.microscope.segments import random_walk
from beamwright.envs.sparse_scan import ScanSimulation, SparseScanConfig
from beamwright.errors import MicroscopeError

__all__ = [
    "REACHES",
    "Grid",
    "Halton",
    "JitteredGrid",
    "RandomWalk",
    "Raster",
    "Serpentine",
    "StaticScan",
    "Uniform",
    "spacing_of",
]

REACHES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Among which a pattern's reach is tuned."""


class StaticScan(WholeScan):
    """A pattern of `beamwright.envs.microscope.paths` on the middle of the field.

    Where specimens lie towards the centre, a pattern that leaves out the margin measures the middle more
    densely. How much it is best to leave out is found on training specimens of the very environment: the
    mean PSNR of 96 of them with each of `REACHES`, anew for every configuration.

    Parameters
    ----------
    reach
        Share of the field's rows and columns that the pattern spans; by default the best one.
    dwell
        As in `WholeScan`.
    """

    pattern: ClassVar[str]

    def __init__(self, *, reach: float | None = None, dwell: float | None = None) -> None:
        super().__init__(dwell=dwell)
        self.reach = reach

    def prepare(self, simulation: ScanSimulation) -> None:
        """Find the best reach, where none is given."""
        key = (type(self), self.dwell, self.is_whole(simulation))
        self._reach = self.reach or remembered(simulation, key, self.best_reach)

    def best_reach(self, simulation: ScanSimulation) -> float:
        """Return the reach with which training specimens are reconstructed best."""
        errors = [self._error_with(reach, simulation) for reach in reversed(REACHES)]
        return REACHES[-1 - errors.index(min(errors))]

    def _error_with(self, reach: float, simulation: ScanSimulation) -> float:
        """Return the error on training specimens; infinite where the pattern is too tight for segments."""
        other = copy(self)
        other.reach = reach
        try:
            return training_error(simulation, other)
        except MicroscopeError:
            return math.inf

    def path(self, points: int, simulation: ScanSimulation, streams: Streams) -> Path:
        """Return the pattern, or one for each environment where chance has a part in it."""
        shape = simulation.scan_config.shape
        inner = tuple(round(self._reach * size) for size in shape)
        margin = torch.tensor([(size - part) / 2 for size, part in zip(shape, inner, strict=True)])
        spacing = {"spacing": spacing_of(simulation)} if self.pattern in CONTIGUOUS else {}
        drawn = PATTERNS.load(self.pattern)(points, inner, streams=streams, **spacing)
        return drawn + margin.to(drawn.device)


def spacing_of(simulation: ScanSimulation) -> float:
    """Return the distance between points of a contiguous path [px]: that of the environment's segments."""
    config = simulation.scan_config
    return config.action.spacing if isinstance(config, SparseScanConfig) else 1.0


class Raster(StaticScan):
    """A few whole lines, evenly spaced, all in one direction: what a microscope does when it skips lines.

    Nothing but the reach can be tuned; 4 % of 96 lines are 4.
    """

    pattern, by_lines = "raster", True


class Grid(StaticScan):
    """The nodes of a square grid: every fifth pixel in both directions for 4 %."""

    pattern, by_lines = "grid", True


class JitteredGrid(StaticScan):
    """One random point in each cell of the grid, drawn anew for each episode: no aliasing, less even."""

    pattern = "jittered-grid"


class Halton(StaticScan):
    """A low-discrepancy sequence, shifted by a random amount in each episode."""

    pattern = "halton"


class Serpentine(StaticScan):
    """Lines to and fro, joined at their ends.

    It starts near a corner, so that it is flown whole even where actions could follow it: from the centre
    the way there would cost a sixth of the electrons.
    """

    pattern = "serpentine"


class Uniform(StaticScan):
    """Points drawn anywhere, independently of each other."""

    pattern = "uniform"


class RandomWalk(StaticScan):
    """A chain of straight segments in random directions, of 20 points where the field is large enough."""

    pattern = "random-walk"

    def path(self, points: int, simulation: ScanSimulation, streams: Streams) -> Path:
        """Return a chain for each stream."""
        shape, spacing = simulation.scan_config.shape, spacing_of(simulation)
        each = max(1, min(20, math.floor((min(shape) - 1) / 2 / spacing)))
        return random_walk(points, shape, streams=streams, spacing=spacing, per_segment=each)

    def best_reach(self, simulation: ScanSimulation) -> float:
        """Return the whole field: a walk comes back from the edges by itself."""
        return 1.0

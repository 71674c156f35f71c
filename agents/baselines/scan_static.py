"""Static scans: what can be measured without looking, each as a whole scan at equal electrons."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from beamwright.agents.baselines.scan_base import WholeScan
from beamwright.envs.core import Streams
from beamwright.envs.microscope.paths import PATTERNS
from beamwright.envs.microscope.segments import random_walk

__all__ = [
    "Grid",
    "Halton",
    "JitteredGrid",
    "Lissajous",
    "RandomWalk",
    "Raster",
    "Serpentine",
    "Spiral",
    "SquareSpiral",
    "StaticScan",
    "Uniform",
]

_LEAST = 16  # [px], a field that every pattern fits into


class StaticScan(WholeScan):
    """A pattern of `beamwright.envs.microscope.paths`, in the middle of the field.

    Parameters
    ----------
    reach
        Share of the field's sides that the pattern covers.
    dwell
        See `WholeScan`.
    """

    pattern: ClassVar[str]

    def __init__(self, *, reach: float = 1.0, dwell: float | None = None) -> None:
        super().__init__(dwell=dwell)
        self.reach = reach

    def path(self, points: int, shape: tuple[int, int], streams: Streams) -> Tensor:
        """Return the pattern's points, ``(B or 1, N, 2)`` [px]."""
        height, width = (max(round(self.reach * size), min(_LEAST, size)) for size in shape)
        margin = torch.tensor([(shape[0] - height) / 2, (shape[1] - width) / 2])
        found: Tensor = PATTERNS.load(self.pattern)(points, (height, width), streams=streams)
        return found + margin.to(found)


class Grid(StaticScan):
    """The nodes of a square grid, row by row."""

    pattern, by_lines = "grid", True


class Raster(StaticScan):
    """A few whole rows, each from left to right."""

    pattern, by_lines = "raster", True


class Serpentine(StaticScan):
    """A few rows to and fro."""

    pattern = "serpentine"


class JitteredGrid(StaticScan):
    """A random point in each cell of a grid."""

    pattern = "jittered-grid"


class Halton(StaticScan):
    """Points of a low-discrepancy sequence."""

    pattern = "halton"


class Uniform(StaticScan):
    """Points drawn anywhere, independently of each other."""

    pattern = "uniform"


class Spiral(StaticScan):
    """A spiral of equal spacing from the centre to the nearest edge."""

    pattern = "spiral"


class SquareSpiral(StaticScan):
    """A square spiral, which reaches the corners."""

    pattern = "square-spiral"


class Lissajous(StaticScan):
    """A Lissajous figure, which is easy on the deflectors."""

    pattern = "lissajous"


class RandomWalk(StaticScan):
    """A chain of straight segments in random directions, of 20 points where the field is large enough."""

    pattern = "random-walk"

    def path(self, points: int, shape: tuple[int, int], streams: Streams) -> Tensor:
        """Return a chain for each stream, ``(B, N, 2)`` [px]."""
        each = max(1, min(20, (min(shape) - 1) // 2))
        return random_walk(points, shape, streams=streams, per_segment=each)

"""Static scans: what can be measured without looking."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from beamwright.agents.baselines.scan_base import WholeScan
from beamwright.envs.core import Streams
from beamwright.envs.microscope.paths import PATTERNS

__all__ = ["Grid", "Halton", "JitteredGrid", "Raster", "Serpentine", "StaticScan"]


class StaticScan(WholeScan):
    pattern: ClassVar[str]

    def __init__(self, *, reach: float = 1.0, dwell: float | None = None, **drawing) -> None:
        super().__init__(dwell=dwell)
        self.reach, self.drawing = reach, drawing

    def path(self, points: int, shape: tuple[int, int], streams: Streams) -> Tensor:
        inner = tuple(max(round(self.reach * size), 16) for size in shape)
        margin = torch.tensor([(size - part) / 2 for size, part in zip(shape, inner, strict=True)])
        return PATTERNS.load(self.pattern)(points, inner, streams=streams, **self.drawing) + margin


class Grid(StaticScan):
    pattern, by_lines = "grid", True
class Raster(StaticScan):
    pattern, by_lines = "raster", True
class Halton(StaticScan):
    pattern = "halton"
class JitteredGrid(StaticScan):
    pattern = "jittered-grid"
class Serpentine(StaticScan):
    pattern = "serpentine"
class Spiral(StaticScan):
    pattern = "spiral"
class SquareSpiral(StaticScan):
    pattern = "square-spiral"
class Lissajous(StaticScan):
    pattern = "lissajous"
class Uniform(StaticScan):
    pattern = "uniform"
class Walk(StaticScan):
    pattern = "random-walk"

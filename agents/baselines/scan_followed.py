"""Contiguous paths that an agent could fly without looking: by actions where these can follow them."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from beamwright.agents.baselines.scan_base import (
    SCANS,
    Path,
    any_action,
    points_of,
    towards,
)
from beamwright.agents.baselines.scan_static import StaticScan
from beamwright.envs.core import Streams
from beamwright.envs.microscope.segments import SegmentScan, as_chain, follow_headings
from beamwright.envs.sparse_scan import ScanSimulation, ScanState, SparseScanConfig

__all__ = [
    "FollowedScan",
    "Lissajous",
    "Spiral",
    "SquareSpiral",
    "can_steer",
    "chain_of",
]


class FollowedScan(StaticScan):
    """A contiguous pattern from the centre, flown segment by segment where directions are continuous.

    Then each action aims at the next corner of a chain along the pattern. With discrete headings, or tiles,
    the pattern is flown whole. The reach is tuned as in `StaticScan`, for what is flown.

    Parameters
    ----------
    reach, dwell
        As in `StaticScan`; the dwell is that of whole scans.
    whole
        Whether to fly it whole; by default where actions cannot follow it.
    """

    environments = SCANS

    def __init__(
        self, *, reach: float | None = None, dwell: float | None = None, whole: bool | None = None
    ) -> None:
        super().__init__(reach=reach, dwell=dwell)
        self.whole = whole

    def is_whole(self, simulation: ScanSimulation) -> bool:
        """Tell whether the pattern is flown before the first action."""
        return not can_steer(simulation) if self.whole is None else self.whole

    def prepare(self, simulation: ScanSimulation) -> None:
        """Find the best reach, where none is given."""
        super().prepare(simulation)
        self._corners: Tensor | None = None

    def choose(self, state: ScanState) -> Tensor:
        """Return the directions of the next corners."""
        simulation = self.env.simulation
        if self.is_whole(simulation):
            return any_action(simulation, state)
        if self._corners is None:
            chain = chain_of(simulation, points_of(simulation, state))
            self._corners = self._chain(chain)[:, :: chain.points][0].to(simulation.device)  # (S + 1, 2)
        goal = self._corners[(state.steps + 1).clamp_max(len(self._corners) - 1)]  # (B, 2)
        return towards(simulation, goal - state.position)

    def path(self, points: int, simulation: ScanSimulation, streams: Streams) -> Path:
        """Return the pattern as it is flown, a curve or a chain of segments."""
        if self.is_whole(simulation):
            return super().path(points, simulation, streams)
        return self._chain(chain_of(simulation, points))[:, :points]

    def _chain(self, chain: SegmentScan) -> Path:
        """Return the points of a chain along the pattern and the end of the last one, ``(1, N + 1, 2)``."""
        height, width = (round(self._reach * size) for size in chain.shape)
        start, headings = as_chain(self.pattern, replace(chain, shape=(height, width)))
        path = follow_headings(start, headings, chain)
        step = torch.stack((headings[:, -1].sin(), headings[:, -1].cos()), -1) * chain.spacing
        path = torch.cat((path, path[:, -1:] + step[:, None]), 1)
        return path + torch.tensor([(chain.shape[0] - height) / 2, (chain.shape[1] - width) / 2])


class Spiral(FollowedScan):
    """A spiral of Archimedes from the centre: the path to beat among those that do not look."""

    pattern = "spiral"


class SquareSpiral(FollowedScan):
    """A spiral of squares, which reaches the corners of the field."""

    pattern = "square-spiral"


class Lissajous(FollowedScan):
    """A Lissajous figure from the centre: smooth everywhere, so that deflectors can follow it fast."""

    pattern = "lissajous"


def can_steer(simulation: ScanSimulation) -> bool:
    """Tell whether actions can follow a path from the centre: directions are continuous, and begin there."""
    config = simulation.scan_config
    if not isinstance(config, SparseScanConfig) or config.survey is not None:
        return False
    return config.action.kind == "continuous" and config.action.start == "centre"


def chain_of(simulation: ScanSimulation, points: int) -> SegmentScan:
    """Return the chain of the environment's longest segments that has at least so many points."""
    config = simulation.scan_config
    assert isinstance(config, SparseScanConfig)
    each = config.action.point_range[1]
    return SegmentScan(config.shape, -(-points // each), each, config.action.spacing)

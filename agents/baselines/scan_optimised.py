"""A path optimised by gradient: about the best that can be done without looking."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from beamwright.agents.baselines.scan_base import (
    Path,
    WholeScan,
    any_action,
    points_of,
    towards,
    training_streams,
)
from beamwright.agents.baselines.scan_followed import (
    FollowedScan,
    Lissajous,
    Spiral,
    SquareSpiral,
    can_steer,
    chain_of,
)
from beamwright.agents.baselines.scan_soft import SoftReconstruction
from beamwright.agents.baselines.scan_static import Serpentine, StaticScan, spacing_of
from beamwright.agents.baselines.scan_tuning import remembered, training_error
from beamwright.envs.core import Streams
from beamwright.envs.sparse_scan import ScanSimulation, ScanState
from beamwright.errors import MicroscopeError

__all__ = ["OptimisedPath"]

_SPECIMENS = 512
_BATCH = 16
"""Training specimens, and those of one step."""
_OUTSIDE = 1.0
"""Weight of the mean square distance from the field of what lies outside [1/px^2]."""
_FLOOR = 1e-5
"""Squared error that is as good as none."""


class OptimisedPath(WholeScan):
    """A chain of segments whose headings are optimised on training specimens.

    It begins as the best two of the tuned contiguous patterns. From each of them Adam lowers the mean
    logarithm of the error of a differentiable stand-in for measurement and reconstruction, over the
    headings and, where the beam need not begin in the centre, over the first point. Of all four paths the
    one is kept that other training specimens like best. Where directions are continuous the segments are
    those of the environment, and flown by actions from the centre; else they are shorter and the path is
    flown whole.

    Tuned on training specimens of clusters and flakes: with segments of 5, 10 and 20 points the mean PSNR
    was 20.1, 20.1, 20.0 and 23.6, 23.5, 22.5 dB after 300 steps, where the best pattern reached 19.9 and
    23.4; a rate of 0.01 instead of 0.03 rad lost 0.05 dB.

    Parameters
    ----------
    steps
        Of Adam.
    rate
        Of Adam at the beginning [rad]; it falls to zero along a cosine.
    per_segment
        Points of the segments of a path that is flown whole.
    dwell
        As in `WholeScan`.
    """

    def __init__(
        self, *, steps: int = 300, rate: float = 0.03, per_segment: int = 5, dwell: float | None = None
    ) -> None:
        super().__init__(dwell=dwell)
        self.steps, self.rate, self.per_segment = steps, rate, per_segment

    def is_whole(self, simulation: ScanSimulation) -> bool:
        """Tell whether the path is flown before the first action."""
        return not can_steer(simulation)

    def prepare(self, simulation: ScanSimulation) -> None:
        """Optimise the path, unless it was before."""
        key = (type(self), self.steps, self.rate, self.per_segment, self.dwell)
        self._path: Path = remembered(simulation, key, self.best_path)

    def path(self, points: int, simulation: ScanSimulation, streams: Streams) -> Path:
        """Return the path; where the budget is larger than those of training, its last point is repeated."""
        index = torch.arange(points).clamp_max(self._path.shape[1] - 1)
        return self._path[:, index]

    def choose(self, state: ScanState) -> Tensor:
        """Return the directions of the next corners."""
        simulation = self.env.simulation
        if self.is_whole(simulation):
            return any_action(simulation, state)
        corners = self._path[0, :: chain_of(simulation, 1).points].to(simulation.device)  # (S, 2)
        ahead = self._path[0, -1:].to(simulation.device)
        goal = torch.cat((corners, ahead))[(state.steps + 1).clamp_max(len(corners))]
        return towards(simulation, goal - state.position)

    def best_path(self, simulation: ScanSimulation) -> Path:
        """Return the best path on training specimens, ``(1, N, 2)`` [px]."""
        points = points_of(simulation, simulation.initial(training_streams(simulation, 64)))
        starts = sorted(self._patterns(points, simulation), key=lambda path: _error(simulation, path))[:2]
        paths = [*starts, *(self._optimised(path, simulation) for path in starts)]
        return min(paths, key=lambda path: _error(simulation, path))

    def _patterns(self, points: int, simulation: ScanSimulation) -> Iterator[Path]:
        """Yield the tuned contiguous patterns that the beam can follow."""
        whole = self.is_whole(simulation)
        patterns: list[StaticScan] = [kind(dwell=self.dwell) for kind in (Spiral, SquareSpiral, Lissajous)]
        for pattern in [*patterns, Serpentine(dwell=self.dwell)] if whole else patterns:
            try:
                pattern.prepare(simulation)
                yield pattern.path(points, simulation, training_streams(simulation, 1))
            except MicroscopeError:
                assert isinstance(pattern, FollowedScan)  # too tightly wound for the segments

    def _optimised(self, path: Path, simulation: ScanSimulation) -> Path:
        """Return what gradients make of a path."""
        whole = self.is_whole(simulation)
        each = self.per_segment if whole else chain_of(simulation, 1).points
        spacing, points = spacing_of(simulation), path.shape[1]
        start, headings = _as_headings(path[0], each)
        parameters = [{"params": [headings.requires_grad_()], "lr": self.rate}]
        if whole:
            parameters.append({"params": [start.requires_grad_()], "lr": 10 * self.rate})
        optimiser = torch.optim.Adam(parameters)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        specimen = simulation.initial(training_streams(simulation, _SPECIMENS, part=1)).specimen
        soft = SoftReconstruction(simulation.scan_config.shape, simulation.device)
        with torch.enable_grad():
            for step in range(self.steps):
                first = step * _BATCH % _SPECIMENS
                drawn = _follow(start, headings, each, spacing)[:, :points].to(simulation.device)
                loss = _loss(soft, specimen[first : first + _BATCH], drawn)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
        return _inside(_follow(start, headings, each, spacing)[:, :points].detach(), simulation)


def _error(simulation: ScanSimulation, path: Path) -> float:
    return training_error(simulation, _Given(path))


class _Given(WholeScan):
    """A path that is flown as it is."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def path(self, points: int, simulation: ScanSimulation, streams: Streams) -> Path:
        return self._path[:, torch.arange(points).clamp_max(self._path.shape[1] - 1)]


def _as_headings(points: Tensor, each: int) -> tuple[Tensor, Tensor]:
    """Return the start ``(2,)`` and the headings ``(S,)`` of the chain closest to a path ``(N, 2)``."""
    beyond = 2 * points[-1:] - points[-2:-1]
    corners = torch.cat((points[::each], beyond))
    y, x = torch.diff(corners, dim=0).unbind(-1)
    return points[0].clone(), torch.atan2(y, x)


def _follow(start: Tensor, headings: Tensor, each: int, spacing: float) -> Path:
    """Return the points of a chain, ``(1, S * each, 2)`` [px]."""
    steps = torch.stack((headings.sin(), headings.cos()), -1).repeat_interleave(each, 0) * spacing
    return (start + steps.cumsum(0) - steps)[None]


def _loss(soft: SoftReconstruction, specimen: Tensor, path: Path) -> Tensor:
    """Return the mean logarithm of the error, and a penalty for leaving the field."""
    limit = path.new_tensor(specimen.shape[1:]) - 1
    inside = torch.minimum(path.clamp_min(0), limit)
    error = (soft(specimen, inside) - specimen).square().mean((1, 2))
    return (error + _FLOOR).log().mean() + _OUTSIDE * (path - inside).square().mean()


def _inside(path: Path, simulation: ScanSimulation) -> Path:
    return torch.minimum(path.clamp_min(0), path.new_tensor(simulation.scan_config.shape) - 1)

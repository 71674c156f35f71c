"""What the baselines for scanning share: scans that measure everything in one go."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from beamwright.agents.baselines.baseline import StateBaseline
from beamwright.envs.core import Streams
from beamwright.envs.sparse_scan import ScanSimulation, ScanState, SparseScanConfig
from beamwright.envs.sparse_scan.config import ScanConfig
from beamwright.envs.sparse_scan.physics import electrons_per_point
from beamwright.envs.sparse_scan.survey import path_plan

__all__ = ["SCANS", "WholeScan", "points_left", "shortest_dwell"]

SCANS = ("beamwright/SparseScan-v0", "beamwright/SparseScanTiles-v0")


class WholeScan(StateBaseline):
    """Measures as many points as the budget allows before the first action, and so needs none.

    For scans that are no sequence of the environment's actions, at equal electrons, through its own physics.
    `reset` flies the scan; the next step, whatever it is, finds the budget spent and ends the episode.

    Parameters
    ----------
    dwell
        Time at each point [us]; by default the shortest of the environment, in which coverage is counted.
    """

    environments = SCANS
    by_lines = False
    """Whether the beam flies back wherever it moves to the left."""

    def __init__(self, *, dwell: float | None = None) -> None:
        self.dwell = dwell

    def reset(self, env: Any) -> None:
        """Fly the scan in an environment that was just reset."""
        super().reset(env)
        with torch.no_grad():
            self.env.state = self.scan(self.env.simulation, self.env.state, self.env.streams)

    def choose(self, state: ScanState) -> Tensor:
        """Return actions that end the episodes: any, since the budget is spent."""
        space = self.env.simulation.action_space
        kind = torch.float32 if isinstance(space, spaces.Box) else torch.int64
        return torch.zeros(len(state.position), *(space.shape or ()), dtype=kind)

    def scan(self, simulation: ScanSimulation, state: ScanState, streams: Streams) -> ScanState:
        """Return the states after the scan; those given are left as they are.

        Parameters
        ----------
        simulation
            Of the environment.
        state
            Of episodes that begin.
        streams
            Of the environments.
        """
        config = simulation.scan_config
        dwell = self.dwell or shortest_dwell(config)
        path = self._paths(points_left(state, config, dwell), config.shape, streams)
        plan = path_plan(path.to(simulation.device), state, dwell, by_lines=self.by_lines, stay=True)
        return simulation.measure(state, plan, streams)

    @abstractmethod
    def path(self, points: int, shape: tuple[int, int], streams: Streams) -> Tensor:
        """Return the points of scans in their order, ``(B or 1, N, 2)`` [px]."""

    def _paths(self, points: Tensor, shape: tuple[int, int], streams: Streams) -> Tensor:
        """Return a path for each environment's own number of points, its last one repeated, ``(B, N, 2)``."""
        paths = torch.zeros(len(points), int(points.max()), 2, device=streams.device)
        for number in points.unique().tolist():
            rows = (points == number).nonzero()[:, 0]
            taken = streams.take(rows)
            drawn = self.path(number, shape, taken).to(streams.device)
            streams.put(rows, taken)
            paths[rows, :number], paths[rows, number:] = drawn, drawn[:, -1:]
        return paths


def shortest_dwell(config: ScanConfig) -> float:
    """Return the shortest dwell time that an action can have [us]."""
    if isinstance(config, SparseScanConfig):
        return config.action.dwell_range[0]
    return float(config.tiles.dwell)  # type: ignore[attr-defined]  # the other of the two


def points_left(state: ScanState, config: ScanConfig, dwell: float) -> Tensor:
    """Return how many points of a dwell time [us] the budget still pays for, at least one, ``(B,)`` int64."""
    electrons, seconds = state.budget.left  # (B,) float64
    each = float(electrons_per_point(config, dwell))
    affordable = torch.minimum(electrons / each, seconds / (dwell * 1e-6))
    return (affordable + 0.5).floor().clamp(1, 4 * config.shape[0] * config.shape[1]).long()

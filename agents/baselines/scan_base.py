"""What the baselines for scanning share: whole scans, and segments aimed somewhere."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from beamwright.agents.baselines.baseline import StateBaseline
from beamwright.envs.core import Streams
from beamwright.envs.sparse_scan import ScanSimulation, ScanState, SparseScanConfig, SparseScanTilesConfig
from beamwright.envs.sparse_scan.config import ScanConfig
from beamwright.envs.sparse_scan.moves import ContinuousMoves, HeadingMoves
from beamwright.envs.sparse_scan.physics import electrons_per_point
from beamwright.envs.sparse_scan.survey import path_plan
from beamwright.envs.sparse_scan.tiles import TileMoves

__all__ = [
    "SCANS",
    "SEGMENTS",
    "TILES",
    "Path",
    "WholeScan",
    "any_action",
    "best_actions",
    "points_left",
    "points_of",
    "shortest_dwell",
    "towards",
    "training_simulation",
    "training_streams",
]

SEGMENTS, TILES = "beamwright/SparseScan-v0", "beamwright/SparseScanTiles-v0"
SCANS = (SEGMENTS, TILES)
Path = Tensor
"""Points in the order in which they are measured, ``(B or 1, N, 2)`` [px]."""
_TRAINING = 1 << 40  # seeds from which baselines are tuned: far from those of episodes


class WholeScan(StateBaseline):
    """Measures as many points as the budget pays for before the first action, and so needs none.

    For scans that are no sequence of an environment's actions: through its own physics, at equal electrons.
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
        self.prepare(self.env.simulation)
        if self.is_whole(self.env.simulation):
            with torch.no_grad():
                self.env.state = self.scan(self.env.simulation, self.env.state, self.env.streams)

    def prepare(self, simulation: ScanSimulation) -> None:
        """Tune or learn what the scan needs to know of an environment."""

    def is_whole(self, simulation: ScanSimulation) -> bool:
        """Tell whether the scan is flown before the first action; subclasses may know how to act instead."""
        return True

    def choose(self, state: ScanState) -> Tensor:
        """Return the action that ends the episode: any."""
        return any_action(self.env.simulation, state)

    def scan(self, simulation: ScanSimulation, state: ScanState, streams: Streams) -> ScanState:
        """Return the states after the scan.

        Parameters
        ----------
        simulation
            Of the environment.
        state
            Of episodes that begin; left as it is.
        streams
            Of the environments.
        """
        dwell = self.dwell or shortest_dwell(simulation.scan_config)
        points = points_left(state, simulation.scan_config, dwell)
        path = self._paths(points, simulation, streams).to(simulation.device)
        plan = path_plan(path, state, dwell, by_lines=self.by_lines, stay=True)
        return simulation.measure(state, plan, streams)

    @abstractmethod
    def path(self, points: int, simulation: ScanSimulation, streams: Streams) -> Path:
        """Return the scan, or one for each environment, of a number of points."""

    def _paths(self, points: Tensor, simulation: ScanSimulation, streams: Streams) -> Path:
        """Return a path for each environment's own number of points ``(B,)``; the last one is repeated."""
        paths = torch.zeros(len(points), int(points.max()), 2, device=streams.device)
        for number in points.unique().tolist():
            rows = (points == number).nonzero()[:, 0]
            taken = streams.take(rows)
            drawn = self.path(number, simulation, taken).to(streams.device)
            streams.put(rows, taken)
            paths[rows, :number], paths[rows, number:] = drawn, drawn[:, -1:]
        return paths


def shortest_dwell(config: ScanConfig) -> float:
    """Return the shortest dwell time that an action can have [us]."""
    if isinstance(config, SparseScanTilesConfig):
        return config.tiles.dwell
    assert isinstance(config, SparseScanConfig)
    return config.action.dwell_range[0]


def points_left(state: ScanState, config: ScanConfig, dwell: float) -> Tensor:
    """Return how many points of a dwell time [us] the budget still pays for, ``(B,)`` int64, at least one."""
    electrons, seconds = state.budget.left  # (B,) float64
    each = float(electrons_per_point(config, dwell))
    affordable = torch.minimum(electrons / each, seconds / (dwell * 1e-6))
    return (affordable + 0.5).floor().clamp(1, 4 * config.shape[0] * config.shape[1]).long()


def points_of(simulation: ScanSimulation, state: ScanState) -> int:
    """Return the points that the largest budget of a batch pays for at the shortest dwell."""
    config = simulation.scan_config
    return int(points_left(state, config, shortest_dwell(config)).max())


def any_action(simulation: ScanSimulation, state: ScanState) -> Tensor:
    """Return some action for each environment, ``(B,)`` or ``(B, K)``."""
    space, count = simulation.action_space, len(state.position)
    if isinstance(space, spaces.Box):
        return torch.zeros(count, *space.shape, device=simulation.device)
    return torch.zeros(count, dtype=torch.int64, device=simulation.device)


def towards(simulation: ScanSimulation, direction: Tensor) -> Tensor:
    """Return continuous actions ``(B, K)`` in directions ``(B, 2)``, as long as can be, of short dwell."""
    assert isinstance(simulation.moves, ContinuousMoves)
    unit = direction / direction.norm(dim=1, keepdim=True).clamp_min(1e-9)
    rest = {"length": 1.0, "dwell": -1.0, "stop": -1.0}
    others = [unit.new_full((len(unit), 1), rest[name]) for name in simulation.moves.names[2:]]
    return torch.cat((unit, *others), 1)


def best_actions(simulation: ScanSimulation, state: ScanState, scores: Tensor) -> Tensor:
    """Return the actions with the highest scores among those that stay on the field and are cheap.

    Cheap are the longest segments with the shortest dwell; stopping is none of them.

    Parameters
    ----------
    simulation, state
        Of the environments.
    scores
        Of the actions, in continuous mode of the headings, ``(B, A)``, not negative.

    Returns
    -------
    Tensor
        ``(B,)``, in continuous mode ``(B, K)``.
    """
    moves = simulation.moves
    allowed = moves.mask(state) & _cheap(simulation)
    best = torch.where(allowed, scores, -1.0).argmax(1)
    if not isinstance(moves, ContinuousMoves):
        return best
    angle = moves.angle[best]
    return towards(simulation, torch.stack((angle.sin(), angle.cos()), 1))


def _cheap(simulation: ScanSimulation) -> Tensor:
    """Return which actions move the beam, with the longest segments and the shortest dwell, ``(A,)`` bool."""
    moves = simulation.moves
    chosen = torch.ones(moves.count, dtype=torch.bool, device=simulation.device)
    if isinstance(moves, HeadingMoves):
        best = (moves.points == moves.points.max()) & (moves.dwell == moves.dwell.min())
        chosen[: len(best)] = best
        chosen[len(best) :] = False  # the one that stops
    elif isinstance(moves, TileMoves):
        chosen[moves.tiles :] = False
    return chosen


def training_simulation(simulation: ScanSimulation) -> ScanSimulation:
    """Return the same simulation with the specimens for training, on which baselines are tuned.

    Never a microscope: what is to be learned from is simulated.
    """
    if simulation.scan_config.split == "train" and simulation.scope is None:
        return simulation
    config = simulation.scan_config.model_copy(update={"split": "train"})
    return type(simulation)(config)  # type: ignore[call-arg]


def training_streams(simulation: ScanSimulation, count: int, *, part: int = 0) -> Streams:
    """Return the streams of training episodes; other parts are other episodes."""
    return Streams.from_seed(_TRAINING + part * (1 << 20), count, device=simulation.device)

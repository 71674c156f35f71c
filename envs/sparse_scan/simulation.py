"""The simulators behind the two environments: for segments and for tiles, alike but for their actions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from beamwright.envs.core import Outcome, Simulation, Streams
from beamwright.envs.instrument.protocol import Microscope
from beamwright.envs.microscope.points import require_inside
from beamwright.envs.sparse_scan.config import ScanConfig, SparseScanConfig, SparseScanTilesConfig
from beamwright.envs.sparse_scan.generator import Generator, episode_limit
from beamwright.envs.sparse_scan.moves import make_moves
from beamwright.envs.sparse_scan.observation import Observer
from beamwright.envs.sparse_scan.physics import Scan, electrons_per_point, fly
from beamwright.envs.sparse_scan.reconstruct import make_reconstructor
from beamwright.envs.sparse_scan.reward import reward, squared_error
from beamwright.envs.sparse_scan.survey import path_plan, survey_plan
from beamwright.envs.sparse_scan.tiles import TileMoves
from beamwright.envs.sparse_scan.types import KNOTS, Moves, Plan, ScanState

__all__ = ["ScanSimulation", "SparseScanSimulation", "SparseScanTilesSimulation"]


class ScanSimulation(Simulation[ScanState]):
    """A beam that measures a hidden specimen, piece by piece, on a budget.

    Parameters
    ----------
    config
        The configuration.
    moves
        What an action means.
    shortest
        Shortest dwell of an action [us].
    start
        Where the beam begins.
    tiles
        Number of tiles; None where the beam moves in segments.
    scope
        A microscope to fly instead of the simulated one.
    """

    def __init__(
        self,
        config: ScanConfig,
        *,
        moves: Moves,
        shortest: float,
        start: str = "centre",
        tiles: int | None = None,
        scope: Microscope | None = None,
    ) -> None:
        if scope is not None:
            config = config.model_copy(update={"current": scope.get()["current"]})
        super().__init__(config)
        self.scan_config, self.moves, self.scope = config, moves, scope
        self.steps = episode_limit(config, shortest=shortest, cheapest=moves.cheapest)
        """Actions after which an episode is truncated."""
        self.reconstruct, predicts = make_reconstructor(config, self.device)
        self.generator = Generator(
            config,
            shortest=shortest,
            steps=self.steps,
            start=start,
            tiles=tiles,
            scope=scope,
            device=self.device,
        )
        self._visit = float(electrons_per_point(config, shortest))
        self._cheapest = float(electrons_per_point(config, moves.cheapest))
        self._shortest = shortest
        self.observer = Observer(
            config, moves, predicts=predicts, visit=self._visit, steps=self.steps, device=self.device
        )
        self.observation_space = self.observer.space
        self.action_space = moves.space

    def initial(self, streams: Streams) -> ScanState:
        """Return episodes that begin, after their survey where there is one."""
        state = self.generator.begin(streams)
        survey = self.scan_config.survey
        if survey is None:
            return self._judge(state)
        plan = survey_plan(survey, state, streams)
        return self.measure(state, plan, streams)

    def advance(self, state: ScanState, action: Tensor, streams: Streams) -> tuple[ScanState, Outcome]:
        """Fly a segment or a tile, and make a new image of all that was measured."""
        plan = self.moves.plan(state, action)
        scan = fly(state, plan, self.scan_config, streams, self.scope)
        after = self._judge(self._remember(scan, plan))
        terminated = plan.stop | ~scan.measured[:, 0] | self._exhausted(after)
        truncated = (after.steps >= self.steps) & ~terminated
        gain = reward(
            self.scan_config.reward, state, after, plan, ended=terminated | truncated, cheapest=self._cheapest
        )
        return after, Outcome(gain, terminated, truncated)

    def observe(self, state: ScanState) -> Tensor | dict[str, Tensor]:
        """Return what the agent sees."""
        return self.observer(state)

    def info(self, state: ScanState) -> dict[str, Tensor]:
        """Return the hidden error beside what is plain to see."""
        return {
            "error": state.error,
            "psnr": -10 * torch.log10(state.error.clamp_min(1e-12)),
            "kind": state.kind,
            "coverage": state.dose.sign().mean((1, 2)),
            "points": state.points,
            "electrons": state.budget.spent_electrons,
            "seconds": state.budget.spent_seconds,
            "steps": state.steps,
        }

    def draw(self, state: ScanState, index: int) -> np.ndarray:
        """Return a picture of one environment."""
        from beamwright.envs.sparse_scan.render import draw_scan

        return draw_scan(self, state, index)

    def scores(self, state: ScanState) -> Tensor:
        """Return the greedy scores of actions (in continuous mode, of headings), ``(B, A)`` in [0, 1]."""
        return self.observer.scores(state)

    def follow(self, state: ScanState, path: Any, streams: Streams) -> ScanState:
        """Fly a given path before the first action; the next segment begins where it ends.

        Parameters
        ----------
        state
            Of episodes that begin.
        path
            ``(N, 2)`` [px], (y, x); whole numbers are the centres of pixels.
        streams
            Of the environments.

        Raises
        ------
        MicroscopeError
            If it leaves the field.
        """
        height, width = self.scan_config.shape
        points = torch.as_tensor(np.asarray(path, dtype=np.float32), device=self.device).reshape(1, -1, 2)
        require_inside(points, (height - 1, width - 1), unit="px")
        plan = path_plan(points, state, self._shortest, stay=True)
        return self.measure(state, plan, streams)

    def measure(self, state: ScanState, plan: Plan, streams: Streams) -> ScanState:
        """Fly a plan that is no action, such as a survey or a whole scan, and make a new image.

        Parameters
        ----------
        state
            Left as it is; neither its steps nor its trail know of the plan.
        plan
            See `beamwright.envs.sparse_scan.survey.path_plan`.
        streams
            Of the environments.
        """
        return self._judge(fly(state, plan, self.scan_config, streams, self.scope).state)

    def _judge(self, state: ScanState) -> ScanState:
        """Return the state with a new reconstruction and its error."""
        values = state.counts / state.dose.clamp_min(1e-9)
        efficiency = state.effects.get("efficiency")
        heard = state.dose if efficiency is None else state.dose * efficiency[:, None, None]
        made = self.reconstruct(values, heard)
        error = squared_error(made.image, state.specimen)
        judged = error
        if self.scope is not None:
            judged = torch.zeros_like(error) if made.error is None else made.error.mean((1, 2))
        return replace(
            state,
            reconstruction=made.image,
            predicted=made.error,
            error=error,
            judged=judged,
            history=_written(state.history, state.steps, judged),
        )

    def _remember(self, scan: Scan, plan: Plan) -> ScanState:
        """Return the state with the step counted and its trace kept for pictures."""
        state = scan.state
        visited, trail = state.visited, state.trail
        if visited is not None and plan.tile is not None:
            fresh = torch.nn.functional.one_hot(plan.tile, visited.shape[1]).bool()
            visited = visited | (fresh & ~plan.stop[:, None])
        if trail is not None:
            trail = _written(trail, state.steps, _knots(scan))
        return replace(state, visited=visited, trail=trail, steps=state.steps + 1)

    def _exhausted(self, state: ScanState) -> Tensor:
        """Return whether not even half a point can be paid for any more, ``(B,)`` bool."""
        electrons, seconds = state.budget.left
        return (electrons < self._visit / 2) | (seconds < self._shortest * 0.5e-6)


class SparseScanSimulation(ScanSimulation):
    """The simulator of ``beamwright/SparseScan-v0``."""

    def __init__(self, config: SparseScanConfig, *, scope: Microscope | None = None) -> None:
        moves = make_moves(config, config.torch_device())
        shortest = config.action.dwell_range[0]
        super().__init__(config, moves=moves, shortest=shortest, start=config.action.start, scope=scope)


class SparseScanTilesSimulation(ScanSimulation):
    """The simulator of ``beamwright/SparseScanTiles-v0``."""

    def __init__(self, config: SparseScanTilesConfig, *, scope: Microscope | None = None) -> None:
        moves = TileMoves(config, config.torch_device())
        super().__init__(config, moves=moves, shortest=config.tiles.dwell, tiles=moves.tiles, scope=scope)


def _written(history: Tensor, steps: Tensor, value: Tensor) -> Tensor:
    """Return a history ``(B, S, ...)`` with the entry of a step ``(B,)`` written, the last if it is full."""
    index = steps.clamp_max(history.shape[1] - 1).view(-1, 1, *[1] * (history.ndim - 2))
    return history.scatter(1, index.expand_as(value[:, None]), value[:, None].to(history.dtype))


def _knots(scan: Scan) -> Tensor:
    """Return evenly spaced places of what was measured, ``(B, KNOTS, 2)`` [px]; NaN where nothing was."""
    share = torch.linspace(0, 1, KNOTS, device=scan.places.device)
    last = scan.measured.sum(1, keepdim=True) - 1  # (B, 1)
    index = (share * last.clamp_min(0)).round().long()[..., None]  # (B, KNOTS, 1)
    places = scan.places.gather(1, index.expand(-1, -1, 2))
    return torch.where(last[..., None] >= 0, places, torch.nan)

"""Straight segments: which actions there are, where they lead, and what they would find."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor

from beamwright.envs.sparse_scan.config import SparseScanConfig
from beamwright.envs.sparse_scan.sections import ActionConfig
from beamwright.envs.sparse_scan.types import Look, Plan, ScanState

__all__ = ["ContinuousMoves", "HeadingMoves", "make_moves"]

_TOLERANCE = 1e-4
"""How far beyond the edge the last point may be [px]: rounding, not leaving."""
_PROBES = 10
"""Places of a candidate segment at which the predicted error is looked up."""


class HeadingMoves:
    """Discrete actions: a heading, where enabled with one of several lengths and dwell times, or stop.

    Action ``((d * lengths + l) * headings + h)`` flies heading ``2 pi h / headings`` (0 along x, a quarter
    towards y) with the l-th length and the d-th dwell; the last one stops, where that is enabled.
    """

    def __init__(self, config: SparseScanConfig, device: torch.device) -> None:
        action = config.action
        self._field = _Field(config, device)
        angle = torch.arange(action.headings) * (2 * math.pi / action.headings)
        lengths = _levels(*action.point_range, action.levels).round()
        dwells = _levels(*action.dwell_range, action.levels)
        choices = torch.cartesian_prod(dwells, lengths, angle).to(device)  # (A, 3)
        self.dwell, self.points, self.angle = choices.unbind(-1)  # (A,) each
        self.cheapest = float((self.dwell * self.points).min())  # [us]
        self._stop = action.stop
        self._steps = _steps(self.angle) * action.spacing  # (A, 2) [px]
        self._probes = _probes(self.angle, self.points * action.spacing)  # (A, P, 2)
        self.count = len(choices) + self._stop
        self.space: Space[Any] = spaces.Discrete(self.count)

    def plan(self, state: ScanState, action: Tensor) -> Plan:
        """Return what an action ``(B,)`` asks for."""
        stop = action >= len(self.angle)
        index = action.clamp(0, len(self.angle) - 1)
        heading, points, dwell = self.angle[index], self.points[index], self.dwell[index]
        return self._field.plan(state.position, heading, points, dwell, stop)

    def mask(self, state: ScanState) -> Tensor:
        """Return which actions stay inside, ``(B, A)`` bool; stopping always does."""
        inside = self._field.room(state.position[:, None], self._steps) >= self.points  # (B, A)
        return _with_stop(inside, True, self._stop)

    def scores(self, state: ScanState, look: Look) -> Tensor:
        """Return the mean predicted error under each action, ``(B, A)``; 0 for stopping.

        Parameters
        ----------
        look
            Gives the predicted error ``(B, N)`` at places ``(B, N, 2)`` [px].
        """
        places = state.position[:, None, None] + self._probes  # (B, A, P, 2)
        found = look(places.flatten(1, 2)).unflatten(1, self._probes.shape[:2]).mean(-1)
        return _with_stop(found, 0.0, self._stop)

    def goal(self, state: ScanState, action: Tensor) -> Tensor:
        """Return where an action ``(B,)`` leads, ``(B, 2)`` [px]."""
        return self.plan(state, action).position


class ContinuousMoves:
    """Continuous actions: a direction; where enabled length, dwell and a wish to stop; all in [-1, 1].

    The first two numbers are the direction (y, x), whatever their length; then, as far as enabled, length
    and dwell between their limits (dwell on a logarithmic scale), and a number above 0 that stops.
    """

    def __init__(self, config: SparseScanConfig, device: torch.device) -> None:
        action = config.action
        self._action, self._field = action, _Field(config, device)
        self.names = _continuous_names(action)
        self.cheapest = action.point_range[0] * action.dwell_range[0]  # [us]
        self.angle = torch.arange(action.headings, device=device) * (2 * math.pi / action.headings)
        self._most = action.point_range[1]
        self._steps = _steps(self.angle) * action.spacing  # (A, 2) [px]
        self._probes = _probes(
            self.angle, torch.full_like(self.angle, self._most * action.spacing)
        )  # (A, P, 2)
        self.count = action.headings
        self.space: Space[Any] = spaces.Box(-1.0, 1.0, (len(self.names),), np.float32)

    def plan(self, state: ScanState, action: Tensor) -> Plan:
        """Return what an action ``(B, K)`` asks for."""
        given = dict(zip(self.names, action.clamp(-1, 1).unbind(-1), strict=True))
        heading = torch.atan2(given["y"], given["x"])
        points = _between(*self._action.point_range, given.get("length"), heading).round()
        low, high = (math.log(value) for value in self._action.dwell_range)
        dwell = _between(low, high, given.get("dwell"), heading).exp()
        stop = given["stop"] > 0 if "stop" in given else torch.zeros_like(heading, dtype=torch.bool)
        return self._field.plan(state.position, heading, points, dwell, stop)

    def mask(self, state: ScanState) -> Tensor:
        """Return for which of the scores' headings the longest segment stays inside, ``(B, A)`` bool."""
        return self._field.room(state.position[:, None], self._steps) >= self._most

    def scores(self, state: ScanState, look: Look) -> Tensor:
        """Return the mean predicted error along each heading, ``(B, A)``; see `HeadingMoves.scores`."""
        places = state.position[:, None, None] + self._probes  # (B, A, P, 2)
        return look(places.flatten(1, 2)).unflatten(1, self._probes.shape[:2]).mean(-1)

    def goal(self, state: ScanState, heading: Tensor) -> Tensor:
        """Return where the longest segment leads with one of the headings ``(B,)``, ``(B, 2)`` [px]."""
        return state.position + self._steps[heading] * self._most


def make_moves(config: SparseScanConfig, device: torch.device) -> HeadingMoves | ContinuousMoves:
    """Return the kind of action that the configuration asks for."""
    return (HeadingMoves if config.action.kind == "headings" else ContinuousMoves)(config, device)


class _Field:
    """Cuts segments where they leave the field."""

    def __init__(self, config: SparseScanConfig, device: torch.device) -> None:
        self._spacing, most = config.action.spacing, config.action.point_range[1]
        self._last = torch.tensor([size - 1.0 for size in config.shape], device=device)
        self._index = torch.arange(most, device=device)  # (N,)

    def plan(self, start: Tensor, heading: Tensor, points: Tensor, dwell: Tensor, stop: Tensor) -> Plan:
        """Return a segment from `start` ``(B, 2)``; at least one point of it is measured."""
        step = _steps(heading) * self._spacing  # (B, 2)
        moves = torch.minimum(self.room(start, step), points)  # (B,)
        index = torch.minimum(self._index, (moves.clamp_min(1) - 1)[:, None])  # (B, N)
        wanted = (self._index < moves.clamp_min(1)[:, None]) & ~stop[:, None]
        path = start[:, None] + index[..., None] * step[:, None]
        end = (start + torch.where(stop, 0.0, moves)[:, None] * step).clamp_min(0)
        left = (moves < points) & ~stop
        return Plan(path, wanted, dwell[:, None], None, torch.minimum(end, self._last), heading, stop, left)

    def room(self, start: Tensor, step: Tensor) -> Tensor:
        """Return how many steps ``(..., 2)`` [px] from a place ``(..., 2)`` stay inside, ``(...)``."""
        room = torch.where(step > 0, self._last - start, start) + _TOLERANCE
        return (room / step.abs().clamp_min(1e-12)).amin(-1).floor().clamp_min(0)


def _levels(low: float, high: float, count: int) -> Tensor:
    """Return one value, or several between two, evenly on a logarithmic scale."""
    if low == high:
        return torch.tensor([float(low)])
    return torch.logspace(math.log10(low), math.log10(high), count)


def _between(low: float, high: float, place: Tensor | None, like: Tensor) -> Tensor:
    """Return the values at places in [-1, 1] between two limits; the limit, if there is nothing to choose."""
    return torch.full_like(like, low) if place is None else low + (place + 1) / 2 * (high - low)


def _continuous_names(action: ActionConfig) -> tuple[str, ...]:
    enabled = {
        "length": action.point_range[0] < action.point_range[1],
        "dwell": action.dwell_range[0] < action.dwell_range[1],
        "stop": action.stop,
    }
    return ("y", "x", *(name for name, on in enabled.items() if on))


def _steps(angle: Tensor) -> Tensor:
    """Return steps of 1 px in directions, ``(..., 2)``."""
    return torch.stack((angle.sin(), angle.cos()), -1)


def _probes(angle: Tensor, reach: Tensor) -> Tensor:
    """Return places along segments from the origin, ``(A, P, 2)`` [px]."""
    share = (torch.arange(_PROBES, device=angle.device) + 0.5) / _PROBES
    return (reach[:, None] * share)[..., None] * _steps(angle)[:, None]


def _with_stop(values: Tensor, last: float | bool, stop: bool) -> Tensor:
    """Append the value of stopping to those ``(B, A)`` of moving, where there is such an action."""
    return torch.cat((values, values.new_full((len(values), 1), last)), 1) if stop else values

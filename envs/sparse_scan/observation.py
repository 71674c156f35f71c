"""What the agent sees of a scan: maps, numbers, scores and a mask, or all of it in one vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor

from beamwright.envs.sparse_scan.config import ScanConfig
from beamwright.envs.sparse_scan.filters import averaging
from beamwright.envs.sparse_scan.scores import Outlook, normalised
from beamwright.envs.sparse_scan.types import Moves, ScanState

__all__ = ["NUMBERS", "Observer"]

NUMBERS = (
    "y",
    "x",
    "heading_y",
    "heading_x",
    "electrons_left",
    "seconds_left",
    "steps_left",
    "coverage",
    "mean",
    "predicted_error",
)
"""Numbers beside the maps: position of the beam and direction of the last segment in [-1, 1], shares of the
budget and of the steps that are left, visits per pixel, mean signal, and the RMS of the predicted error."""
_SIGNAL = 10.0
"""Largest signal that is shown: single points of a few electrons scatter above 1."""


class Observer:
    """Makes observations of states.

    Parameters
    ----------
    config
        The configuration.
    moves
        The actions, which know their scores and mask.
    predicts
        Whether the reconstructor predicts its error.
    visit
        Electrons of one point at the shortest dwell: the unit of dose.
    steps
        Actions that an episode can have at most.
    device
        Where the states are.
    """

    def __init__(
        self,
        config: ScanConfig,
        moves: Moves,
        *,
        predicts: bool,
        visit: float,
        steps: int,
        device: torch.device,
    ) -> None:
        self._config, self._moves, self._visit, self._steps = config, moves, visit, steps
        self.maps = tuple(name for name in config.observation.maps if predicts or name != "error")
        """Names of the maps, in their order."""
        self._predicts = predicts
        self._masked = isinstance(moves.space, spaces.Discrete)
        self._outlook = Outlook(config.shape, config.observation.blur, device)
        self._half = torch.tensor([(size - 1) / 2 for size in config.shape], device=device)
        self._pool = self._averages(device)
        self.layout = self._layout()
        """Where what lies in a vector, by name; in maps mode of the numbers alone."""
        self.space: Space[Any] = self._space()

    def __call__(self, state: ScanState) -> dict[str, Tensor] | Tensor:
        """Return the observations of a batch."""
        allowed = self._moves.mask(state)  # (B, A)
        parts = {"maps": self._maps(state), "numbers": self._numbers(state)}
        if self._predicts:
            parts["scores"] = self.scores(state, allowed)
        if self._masked:
            parts["action_mask"] = allowed
        if self._config.observation.kind == "maps":
            return parts
        order = ("numbers", "scores", "action_mask", "maps")
        return torch.cat([parts[name].flatten(1).float() for name in order if name in parts], 1)

    def scores(self, state: ScanState, allowed: Tensor | None = None) -> Tensor:
        """Return the greedy scores ``(B, A)``, relative to the best; `allowed` spares making the mask."""
        allowed = self._moves.mask(state) if allowed is None else allowed
        predicted = state.predicted
        assert predicted is not None
        found = self._moves.scores(state, lambda places: self._outlook(predicted, places))
        return normalised(found, allowed)

    def _maps(self, state: ScanState) -> Tensor:
        """Return the maps, ``(B, C, h, w)``."""
        dose = self._pooled(state.dose)
        maps = [self._map(state, name, dose) for name in self.maps]
        return torch.stack(maps, 1) if maps else dose.new_zeros(len(dose), 0, *self._size)

    def _map(self, state: ScanState, name: str, dose: Tensor) -> Tensor:
        """Return a map ``(B, h, w)``; `dose` is that of its pixels."""
        if name == "measured":
            return self._pooled(state.counts) / dose.clamp_min(1e-9)
        if name == "mask":
            return self._pooled(state.dose.sign())
        if name == "dose":
            return dose / self._visit
        if name == "reconstruction":
            return self._pooled(state.reconstruction)
        assert state.predicted is not None
        return self._pooled(state.predicted).sqrt()

    def _pooled(self, image: Tensor) -> Tensor:
        """Average squares of pixels, ``(B, H, W)`` to ``(B, h, w)``."""
        return image if self._pool is None else self._pool[0] @ (image @ self._pool[1])

    def _numbers(self, state: ScanState) -> Tensor:
        """Return the numbers, ``(B, len(NUMBERS))``."""
        place = state.position / self._half - 1  # (B, 2)
        heading = torch.stack((state.heading.sin(), state.heading.cos()), -1)
        pixels = state.dose.shape[1] * state.dose.shape[2]
        predicted = (
            state.dose.new_zeros(len(place)) if state.predicted is None else state.predicted.mean((1, 2))
        )
        single = (
            1 - state.steps / self._steps,
            state.points / pixels,
            state.reconstruction.mean((1, 2)),
            predicted.sqrt(),
        )
        return torch.cat((place, heading, state.budget.share_left, torch.stack(single, 1)), 1)

    @property
    def _size(self) -> tuple[int, int]:
        """Rows and columns of the maps as they are shown."""
        seen, (height, width) = self._config.observation, self._config.shape
        return (seen.grid, seen.grid) if seen.kind == "vector" else (height // seen.pool, width // seen.pool)

    def _averages(self, device: torch.device) -> tuple[Tensor, Tensor] | None:
        """Return the matrices that average squares of pixels, from the left and from the right."""
        if self._size == self._config.shape:
            return None
        (height, width), (rows, columns) = self._config.shape, self._size
        return averaging(height, rows).to(device), averaging(width, columns).T.to(device)

    def _layout(self) -> dict[str, slice]:
        layout = {name: slice(index, index + 1) for index, name in enumerate(NUMBERS)}
        if self._config.observation.kind == "maps":
            return layout
        cells = self._size[0] * self._size[1]
        sizes = {
            "scores": self._moves.count * self._predicts,
            "action_mask": self._moves.count * self._masked,
        }
        start = len(NUMBERS)
        for name, size in (sizes | dict.fromkeys(self.maps, cells)).items():
            if size:
                layout[name] = slice(start, start + size)
                start += size
        return layout

    def _space(self) -> Space[Any]:
        numbers = np.array(
            [[-1, 1]] * 4 + [[0, 1]] * 3 + [[0, np.inf], [-_SIGNAL, _SIGNAL], [0, _SIGNAL]], np.float32
        )
        if self._config.observation.kind == "maps":
            return spaces.Dict(self._parts(numbers))
        limits = np.zeros((max(part.stop for part in self.layout.values()), 2), np.float32)
        limits[: len(numbers)], limits[len(numbers) :, 1] = numbers, 1
        for name in self.maps:
            limits[self.layout[name]] = _LIMITS[name]
        return spaces.Box(limits[:, 0], limits[:, 1], dtype=np.float32)

    def _parts(self, numbers: np.ndarray) -> dict[str, Space[Any]]:
        limits = np.array([_LIMITS[name] for name in self.maps], np.float32).reshape(-1, 2, 1, 1)
        low, high = (np.broadcast_to(limits[:, end], (len(self.maps), *self._size)) for end in (0, 1))
        parts: dict[str, Space[Any]] = {"maps": spaces.Box(low, high, dtype=np.float32)}
        parts["numbers"] = spaces.Box(numbers[:, 0], numbers[:, 1], dtype=np.float32)
        if self._predicts:
            parts["scores"] = spaces.Box(0, 1, (self._moves.count,), np.float32)
        if self._masked:
            parts["action_mask"] = spaces.MultiBinary(self._moves.count)
        return parts


_LIMITS = {
    "measured": (-_SIGNAL, _SIGNAL),
    "mask": (0, 1),
    "dose": (0, np.inf),
    "reconstruction": (-_SIGNAL, _SIGNAL),
    "error": (0, _SIGNAL),
}

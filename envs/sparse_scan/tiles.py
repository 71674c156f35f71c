"""Tiles: which there are, how the beam scans one, and what it would find."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import Space, spaces
from torch import Tensor

from beamwright.envs.sparse_scan.config import SparseScanTilesConfig
from beamwright.envs.sparse_scan.types import Look, Plan, ScanState

__all__ = ["TileMoves"]


class TileMoves:
    """Discrete actions: a tile, counted row by row from the upper left, or stop."""

    def __init__(self, config: SparseScanTilesConfig, device: torch.device) -> None:
        (height, width), tiles = config.tiles.shape, config.tiles
        self.shape = tiles.shape
        self._rows, self._columns = config.shape[0] // height, config.shape[1] // width
        self.tiles = self._rows * self._columns
        self._stop = tiles.stop
        self._inner = _lines(height, width, serpentine=tiles.serpentine).to(device)  # (N, 2)
        self._lines = None if tiles.serpentine else torch.arange(height * width, device=device) // width
        self._wanted = torch.ones(1, height * width, dtype=torch.bool, device=device)
        self._dwell = torch.tensor([[tiles.dwell]], device=device)
        self.cheapest = tiles.dwell * height * width  # [us]
        self.count = self.tiles + self._stop
        self.space: Space[Any] = spaces.Discrete(self.count)

    def plan(self, state: ScanState, action: Tensor) -> Plan:
        """Return what an action ``(B,)`` asks for."""
        stop = action >= self.tiles
        tile = action.clamp(0, self.tiles - 1)
        corner = torch.stack(
            (tile // self._columns * self.shape[0], tile % self._columns * self.shape[1]), -1
        )
        path = corner[:, None] + self._inner  # (B, N, 2)
        wanted, dwell = self._wanted & ~stop[:, None], self._dwell.expand(len(tile), 1)
        end = torch.where(stop[:, None], state.position, path[:, -1])
        again = self._visited(state).gather(1, tile[:, None])[:, 0] & ~stop
        return Plan(path, wanted, dwell, self._lines, end, state.heading, stop, again, tile)

    def mask(self, state: ScanState) -> Tensor:
        """Return which tiles are still to be scanned, ``(B, A)`` bool (all, once none is), and stopping."""
        fresh = ~self._visited(state)
        fresh = fresh | ~fresh.any(1, keepdim=True)
        return torch.cat((fresh, fresh.new_ones(len(fresh), 1)), 1) if self._stop else fresh

    def scores(self, state: ScanState, look: Look) -> Tensor:
        """Return the mean predicted error in each tile, ``(B, A)``; 0 for stopping."""
        assert state.predicted is not None
        height, width = self.shape
        blocks = state.predicted.view(-1, self._rows, height, self._columns, width)
        found = blocks.mean((2, 4)).flatten(1)  # (B, T)
        return torch.cat((found, found.new_zeros(len(found), 1)), 1) if self._stop else found

    def goal(self, state: ScanState, action: Tensor) -> Tensor:
        """Return the first pixel of a tile ``(B,)``, ``(B, 2)`` [px]."""
        return self.plan(state, action).path[:, 0]

    def _visited(self, state: ScanState) -> Tensor:
        assert state.visited is not None
        return state.visited


def _lines(height: int, width: int, *, serpentine: bool) -> Tensor:
    """Return the pixels of a tile in the order in which they are visited, ``(H * W, 2)``."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    if serpentine:
        x = torch.where(y % 2 == 0, x, width - 1 - x)
    return torch.stack((y, x), -1).reshape(-1, 2).float()

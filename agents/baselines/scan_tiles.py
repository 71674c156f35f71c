"""Tiles in an order that was fixed before."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from beamwright.agents.baselines.baseline import StateBaseline
from beamwright.agents.baselines.scan_base import TILES
from beamwright.envs.sparse_scan import ScanState

__all__ = ["TilesApart", "TilesInOrder"]


class _FixedOrder(StateBaseline):
    """Scans the first tile of its order that was not scanned yet."""

    environments = (TILES,)

    def reset(self, env: Any) -> None:
        """Find the order."""
        super().reset(env)
        config = self.env.simulation.scan_config
        rows, columns = (size // tile for size, tile in zip(config.shape, config.tiles.shape, strict=True))
        order = self.order(rows, columns)  # (T,)
        self._rank = torch.empty(len(order)).scatter_(0, order, torch.arange(len(order)).float())
        self._rank = self._rank.to(self.env.simulation.device)

    def choose(self, state: ScanState) -> Tensor:
        """Return the next tile of each environment, ``(B,)``."""
        fresh = self.env.simulation.moves.mask(state)[:, : len(self._rank)]
        return torch.where(fresh, self._rank, torch.inf).argmin(1)

    @abstractmethod
    def order(self, rows: int, columns: int) -> Tensor:
        """Return the tiles in the order in which they are scanned, ``(T,)`` int64."""


class TilesInOrder(_FixedOrder):
    """Row by row from the upper left: what a microscope does until it is told to stop."""

    def order(self, rows: int, columns: int) -> Tensor:
        """Return the tiles as they are counted."""
        return torch.arange(rows * columns)


class TilesApart(_FixedOrder):
    """From the middle on, always the tile that is farthest from those before."""

    def order(self, rows: int, columns: int) -> Tensor:
        """Return the tiles in farthest-first order; among equals, those nearer to the middle come first."""
        places = torch.cartesian_prod(torch.arange(rows), torch.arange(columns)).reshape(-1, 2).double()
        centre = (places - places.mean(0)).norm(dim=1)  # (T,)
        chosen = [int(centre.argmin())]
        nearest = (places - places[chosen[0]]).norm(dim=1)
        for _ in range(len(places) - 1):
            score = nearest - 1e-3 * centre
            score[chosen] = -torch.inf
            chosen.append(int(score.argmax()))
            nearest = torch.minimum(nearest, (places - places[chosen[-1]]).norm(dim=1))
        return torch.tensor(chosen)

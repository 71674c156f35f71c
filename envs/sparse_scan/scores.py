"""Greedy scores: how much error each action would pass over, as a policy's starting point."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.microscope.points import pixel_index
from beamwright.envs.sparse_scan.filters import smoothing

__all__ = ["Outlook", "normalised"]


class Outlook:
    """Looks up the predicted error, blurred, at any places.

    The blurred map lies on a grid of every second pixel, which is fine enough for a blur of 1.5 px or more.

    Parameters
    ----------
    shape
        Rows and columns of the field [px].
    sigma
        Standard deviation of the blur [px].
    device
        Where the maps are.
    """

    def __init__(self, shape: tuple[int, int], sigma: float, device: torch.device) -> None:
        self._step = 2 if sigma >= 1.5 else 1
        self._grid = (-(-shape[0] // self._step), -(-shape[1] // self._step))
        self._rows, self._columns = (
            smoothing(size, nodes, self._step, sigma).to(device)
            for size, nodes in zip(shape, self._grid, strict=True)
        )

    def __call__(self, predicted: Tensor, places: Tensor) -> Tensor:
        """Return the blurred map ``(B, H, W)`` at places ``(B, N, 2)`` [px], ``(B, N)``."""
        blurred = self._rows @ (predicted @ self._columns.T)  # (B, h, w)
        index, _ = pixel_index((places + 0.5) / self._step - 0.5, self._grid)
        return blurred.flatten(1).gather(1, index)


def normalised(scores: Tensor, allowed: Tensor) -> Tensor:
    """Return scores ``(B, A)`` relative to the best allowed one, 0 for what is not allowed."""
    scores = scores * allowed
    return scores / scores.amax(1, keepdim=True).clamp_min(1e-12)

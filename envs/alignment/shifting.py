"""Maps moved by fractions of a pixel, in Fourier space."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from beamwright.envs.microscope.grid import Grid, precomputed

__all__ = ["displaced"]


def displaced(spectrum: Tensor, shift: Tensor, grid: Grid) -> Tensor:
    """Return the spectrum ``(B, H, W // 2 + 1)`` of a map moved by ``(B, 2)`` as (y, x) [nm]."""
    y, x = _turns(grid, spectrum.device)
    along_y, along_x = _phasor(shift[:, :1] * y), _phasor(shift[:, 1:] * x)  # (B, H), (B, W // 2 + 1)
    return spectrum * along_y[..., None] * along_x[:, None]


@precomputed
def _turns(grid: Grid, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the phase per nanometre of shift in the rows ``(H,)`` and columns of ``rfft2`` [rad/nm]."""
    y, x = grid.frequencies(device, half=True)
    return (-2 * math.pi * y[:, 0]).float(), (-2 * math.pi * x[0]).float()


def _phasor(angle: Tensor) -> Tensor:
    return torch.complex(angle.cos(), angle.sin())

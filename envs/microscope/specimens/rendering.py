"""Atoms to maps: each is a Gaussian averaged over pixels, so that no weight is lost at any sampling."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from beamwright.envs.microscope.specimens.elements import (
    POTENTIAL_WIDTHS,
    phase_integrals,
    scattering_power,
)
from beamwright.envs.microscope.specimens.specimen import Specimen

__all__ = ["keep_atoms", "render_atoms", "render_phase"]

NARROWEST = 0.6
"""Standard deviation of the narrowest Gaussian that pixels show [px]: narrower ones would snap to the pixels,
which gives a lattice frequencies that it does not have."""

_VIBRATION = 0.007
"""Thermal vibration of an atom along one axis, root mean square [nm], a common value at room temperature."""


def render_atoms(
    positions: Tensor,
    weights: Tensor,
    *,
    shape: tuple[int, int],
    pixel_size: Tensor | float,
    width: Tensor | float,
) -> Tensor:
    """Draw atoms as Gaussians of unit area; linear in the weights.

    A Gaussian is a product of one along y and one along x, so that the map of all atoms is a product of
    two matrices.

    Parameters
    ----------
    positions
        ``(B, N, 2)`` as (y, x) [nm] from the outer corner of the first pixel; outside is allowed.
    weights
        Integral of each Gaussian ``(B, N)`` [unit of the map x nm^2]; 0 draws nothing.
    shape
        Rows and columns (H, W) [px].
    pixel_size
        Sampling [nm], one number or ``(B,)``.
    width
        Standard deviation of the Gaussians [nm], one number or ``(B,)``; at least 0.6 pixels are taken.

    Returns
    -------
    Tensor
        ``(B, H, W)``; its sum times the area of a pixel is the sum of the weights inside the field.
    """
    size = _column(pixel_size, positions)
    sigma = torch.maximum(_column(width, positions), NARROWEST * size)
    along_y = _profile(positions[..., 0], shape[0], size, sigma)  # (B, N, H)
    along_x = _profile(positions[..., 1], shape[1], size, sigma)  # (B, N, W)
    return torch.bmm((along_y * weights[..., None]).transpose(1, 2), along_x)


def render_phase(
    positions: Tensor, numbers: Tensor, weights: Tensor, *, shape: tuple[int, int], pixel_size: Tensor | float
) -> Tensor:
    """Draw the phase of atoms at 200 kV, ``(B, H, W)`` [rad].

    Parameters
    ----------
    positions, shape, pixel_size
        As in `render_atoms`.
    numbers
        Atomic numbers ``(B, N)``.
    weights
        Atoms in each column ``(B, N)``.
    """
    integrals = phase_integrals(numbers) * weights[..., None]  # (B, N, 3)
    parts = [
        render_atoms(
            positions,
            integrals[..., index],
            shape=shape,
            pixel_size=pixel_size,
            width=math.hypot(width, _VIBRATION),
        )
        for index, width in enumerate(POTENTIAL_WIDTHS)
    ]
    return torch.stack(parts).sum(0)


def keep_atoms(specimen: Specimen, keep: Tensor, *, phase: bool = True) -> Specimen:
    """Return specimens of which some atoms are left; signal, weights and phase follow.

    Maps are linear in the weights, so what is gone is drawn and subtracted, whatever else is in the maps.

    Parameters
    ----------
    specimen
        Specimens with atoms, or with none: these come back as they are.
    keep
        Share of each column that stays ``(B, N)``, between 0 and 1; booleans are accepted.
    phase
        Follow with the phase too, which takes three quarters of the time.
    """
    if not specimen.weights.shape[1]:
        return specimen
    shape, size = specimen.shape, specimen.pixel_size
    left = specimen.weights * keep.to(specimen.weights.dtype)
    lost = specimen.weights - left  # (B, N)
    power = lost * scattering_power(specimen.numbers) * specimen.scale[:, None]
    dark = render_atoms(specimen.positions, power, shape=shape, pixel_size=size, width=specimen.width)
    thinner = replace(specimen, signal=(specimen.signal - dark).clamp_min(0), weights=left)
    if not phase:
        return thinner
    missing = render_phase(specimen.positions, specimen.numbers, lost, shape=shape, pixel_size=size)
    return replace(thinner, phase=specimen.phase - missing)


def _column(value: Tensor | float, like: Tensor) -> Tensor:
    """Return a number, or one per specimen, to go with ``(B, N, pixels)``."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device).reshape(-1, 1, 1)


def _profile(centre: Tensor, pixels: int, size: Tensor, sigma: Tensor) -> Tensor:
    """Return Gaussians of unit integral averaged over pixels, ``(B, N, pixels)`` [1/nm]."""
    edges = (
        torch.arange(pixels + 1, dtype=centre.dtype, device=centre.device) * size
    )  # (B or 1, 1, pixels + 1)
    below = torch.special.erf((edges - centre[..., None]) / (sigma * math.sqrt(2)))
    return 0.5 * below.diff(dim=-1) / size

"""From maps and atoms to a specimen: drawn, added up and scaled to its brightest place."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from beamwright.envs.microscope.specimens.elements import check_elements, scattering_power
from beamwright.envs.microscope.specimens.rendering import render_atoms, render_phase
from beamwright.envs.microscope.specimens.specimen import Specimen

__all__ = ["compose", "with_pedestal"]


def compose(
    scattering: Tensor,
    phase: Tensor,
    *,
    pixel_size: float,
    atoms: tuple[Tensor, Tensor, Tensor] | None = None,
    width: float = 0.008,
) -> Specimen:
    """Return specimens of what is continuous and what is atomic in them.

    Parameters
    ----------
    scattering
        High-angle scattering of the continuous part ``(B, H, W)`` [1/nm^2], see `project`.
    phase
        Its phase ``(B, H, W)`` [rad].
    pixel_size
        Sampling [nm].
    atoms
        Positions ``(B, N, 2)`` [nm], atomic numbers ``(B, N)`` and atoms in each column ``(B, N)``.
    width
        Standard deviation of an atom in the signal [nm].
    """
    batch, device = len(scattering), scattering.device
    positions, numbers, weights = atoms or _no_atoms(batch, device)
    if atoms is not None:
        check_elements(numbers.unique().tolist())
        shape, power = (scattering.shape[1], scattering.shape[2]), weights * scattering_power(numbers)
        drawn = render_atoms(positions, power, shape=shape, pixel_size=pixel_size, width=width)
        scattering = scattering + drawn
        phase = phase + render_phase(positions, numbers, weights, shape=shape, pixel_size=pixel_size)
    scale = 1 / scattering.amax(dim=(1, 2)).clamp_min(1e-12)  # (B,)
    return Specimen(
        signal=scattering * scale[:, None, None],
        phase=phase,
        pixel_size=scale.new_full((batch,), pixel_size),
        positions=positions,
        numbers=numbers,
        weights=weights,
        scale=scale,
        width=scale.new_full((batch,), width),
        kind=torch.zeros(batch, dtype=torch.int64, device=device),
    )


def with_pedestal(specimen: Specimen, level: float) -> Specimen:
    """Return specimens on a uniform background of this share of the full scale."""
    signal = level + (1 - level) * specimen.signal
    return replace(specimen, signal=signal, scale=(1 - level) * specimen.scale)


def _no_atoms(batch: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    empty = torch.zeros(batch, 0, device=device)
    return empty[..., None].expand(-1, -1, 2), empty.to(torch.int64), empty

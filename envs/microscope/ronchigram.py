"""The Ronchigram: the far field of a probe that stands still on a thin specimen.

References
----------
J. M. Cowley, Journal of Electron Microscopy Technique 3 (1986) 25-44.
H. Sawada et al., Ultramicroscopy 108 (2008) 1467-1475.
N. Schnitzer, S. H. Sung and R. Hovden, Microscopy Today 27 (2019) 12-15.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from beamwright.envs.microscope.aberrations import aberration_phase, check_coefficients
from beamwright.envs.microscope.aperture import Disc, disc
from beamwright.envs.microscope.coherence import focal_quadrature, heaviest, source_quadrature, weighted_sum
from beamwright.envs.microscope.grid import Grid, precomputed
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.pieces import in_pieces
from beamwright.envs.microscope.waves import phase_factor, squared_modulus

__all__ = ["ronchigram"]


def ronchigram(
    coefficients: Tensor, names: Sequence[str], optics: Optics, grid: Grid, specimen_phase: Tensor
) -> Tensor:
    """Return the intensity on a camera behind the specimen: ``|F[exp(i phase) F^-1[A exp(-i chi)]]|^2``.

    Parameters
    ----------
    coefficients
        Aberrations ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage, aperture, source size and focal spread; the pattern is an average over the last two.
    grid
        Pixels of the specimen; those of the camera are `Grid.steps` [mrad] apart.
    specimen_phase
        What the specimen adds to the phase of the wave, ``(B, H, W)`` or ``(H, W)`` [rad]; the probe stands
        on pixel (H // 2, W // 2). A complex tensor is taken as ``exp(i phase)``, computed once for many
        exposures.

    Returns
    -------
    Tensor
        ``(B, H, W)``, float32, with the optical axis on pixel (H // 2, W // 2). 1 is the intensity inside the
        aperture without a specimen, which only redistributes it.

    Raises
    ------
    MicroscopeError
        If the aperture reaches beyond the angles of the grid, or the coefficients do not fit their names.
    """
    camera = _camera(check_coefficients(coefficients, names), optics, grid, coefficients.device)
    modes, weights = _modes(optics, grid, coefficients.device)

    def pattern(coefficients: Tensor, specimen: Tensor) -> Tensor:
        transmission = specimen if specimen.is_complex() else phase_factor(specimen)
        exponents = aberration_phase(coefficients, camera.exponent)  # (B, P)
        waves = (_far_field(camera.fill(exponents + mode), transmission) for mode in modes)
        return weighted_sum(map(squared_modulus, waves), weights)

    return in_pieces(pattern, grid, coefficients, specimen_phase.expand(len(coefficients), *grid.shape))


def _far_field(pupil: Tensor, transmission: Tensor) -> Tensor:
    return torch.fft.fft2(torch.fft.ifft2(pupil, norm="ortho") * transmission, norm="ortho")


@precomputed
def _camera(names: tuple[str, ...], optics: Optics, grid: Grid, device: torch.device) -> Disc:
    """Return the aperture with the optical axis in the middle and an amplitude of one inside.

    To put the axis there before the transforms multiplies the wave by a phase that the camera does not see;
    afterwards every pattern would have to be shifted.
    """
    pupil = disc(names, optics, grid, device)
    height, width = grid.shape
    y, x = pupil.index // width, pupil.index % width
    centred = (y + height // 2) % height * width + (x + width // 2) % width
    return dataclasses.replace(pupil, index=centred, amplitude=pupil.amplitude / pupil.amplitude.max())


@precomputed
def _modes(optics: Optics, grid: Grid, device: torch.device) -> tuple[Tensor, tuple[float, ...]]:
    """Return the phases that defocus, source point and the way to the middle add, and the weights.

    The modes are ``(M, P)`` [rad] for M coherent patterns, whose sum is the incoherent one.
    """
    pupil = disc((), optics, grid, device)
    middle = torch.tensor([n // 2 * grid.sampling for n in grid.shape], device=device)  # [nm]
    (defoci, shares), (points, parts) = focal_quadrature(optics), source_quadrature(optics)
    pairs = tuple((defocus * optics.focal_spread, *point) for defocus in defoci for point in points)
    chosen, weights = heaviest(pairs, tuple(share * part for share in shares for part in parts))
    spread, *shifts = torch.tensor(chosen, device=device).T  # (M,) each [nm]
    modes = torch.outer(spread, pupil.defocus) + (torch.stack(shifts, dim=1) + middle) @ pupil.tilts
    return modes, weights

"""The focused probe of a STEM or SEM, and how it transfers a specimen to an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from beamwright.envs.microscope.aberrations import aberration_phase, check_coefficients
from beamwright.envs.microscope.aperture import disc
from beamwright.envs.microscope.coherence import (
    focal_quadrature,
    source_envelope,
    weighted_sum,
)
from beamwright.envs.microscope.grid import Grid, precomputed, round_down
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.pieces import in_pieces
from beamwright.envs.microscope.waves import squared_modulus
from beamwright.errors import MicroscopeError

__all__ = ["probe_amplitude", "probe_intensity", "probe_transfer"]

COARSEST = 8
"""How many times finer than the image a probe may have to be computed."""


def probe_amplitude(coefficients: Tensor, names: Sequence[str], optics: Optics, grid: Grid) -> Tensor:
    """Return the coherent probe of a point source at one energy: ``F^-1[A exp(-i chi)]``.

    Parameters
    ----------
    coefficients
        Aberrations ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage and aperture.
    grid
        Pixels on which the probe is wanted.

    Returns
    -------
    Tensor
        ``(B, H, W)``, complex64, centred on pixel (0, 0); its squared modulus sums to one.

    Raises
    ------
    MicroscopeError
        If the aperture reaches beyond the angles of the grid, or the coefficients do not fit their names.

    References
    ----------
    E. J. Kirkland, Advanced Computing in Electron Microscopy, 3rd ed. (2020), chapter 3.
    """
    names = check_coefficients(coefficients, names)
    pupil = disc(names, optics, grid, coefficients.device)
    return torch.fft.ifft2(pupil.fill(aberration_phase(coefficients, pupil.exponent)), norm="ortho")


def probe_intensity(
    coefficients: Tensor,
    names: Sequence[str],
    optics: Optics,
    grid: Grid,
    *,
    centred: bool = False,
    source_size: Tensor | None = None,
    focal_spread: Tensor | None = None,
) -> Tensor:
    """Return the probe that a specimen sees, averaged over the source and the focal spread.

    Parameters
    ----------
    coefficients
        Aberrations ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage, aperture, source size and focal spread.
    grid
        Pixels on which the probe is wanted.
    centred
        Put the probe on pixel (H // 2, W // 2) instead of pixel (0, 0).
    source_size
        ``(B,)`` [nm], if it differs within the batch; by default that of `optics`.
    focal_spread
        ``(B,)`` [nm], if it differs within the batch, at most that of `optics`, which is the default.

    Returns
    -------
    Tensor
        Share of the current in each pixel, ``(B, H, W)``, float32.

    Raises
    ------
    MicroscopeError
        If the aperture reaches beyond the angles of the grid, or the coefficients do not fit their names.
    """
    names = check_coefficients(coefficients, names)
    _check_spread(optics, focal_spread)

    def image(coefficients: Tensor, source_size: Tensor | None, focal_spread: Tensor | None) -> Tensor:
        intensity = _intensity(coefficients, names, optics, grid, focal_spread)
        envelope = _envelope(optics, grid, coefficients.device, source_size)
        if envelope is not None:
            intensity = torch.fft.irfft2(torch.fft.rfft2(intensity) * envelope, s=grid.shape)
        return torch.fft.fftshift(intensity, dim=(-2, -1)) if centred else intensity

    return in_pieces(image, grid, coefficients, source_size, focal_spread)


def probe_transfer(
    coefficients: Tensor,
    names: Sequence[str],
    optics: Optics,
    grid: Grid,
    *,
    source_size: Tensor | None = None,
    focal_spread: Tensor | None = None,
) -> Tensor:
    """Return the optical transfer function of scanning: the Fourier transform of the mirrored probe.

    With the beam at ``r`` an incoherent image is ``integral specimen(s) probe(s - r) ds``, a correlation:
    ``irfft2(rfft2(specimen) * transfer)`` with the complex conjugate of the probe's own transform. The two
    differ where the probe has no centre of symmetry, as with coma. The function reaches to twice the
    aperture; where the image's pixels are too coarse for that, it is computed on finer ones and cut off, not
    aliased.

    Parameters
    ----------
    coefficients
        Aberrations ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage, aperture, source size and focal spread.
    grid
        Pixels of the image.
    source_size
        ``(B,)`` [nm], if it differs within the batch; by default that of `optics`.
    focal_spread
        ``(B,)`` [nm], if it differs within the batch, at most that of `optics`, which is the default.

    Returns
    -------
    Tensor
        ``(B, H, W // 2 + 1)``, complex64, in the order of ``rfft2``; one at the frequency zero.

    Raises
    ------
    MicroscopeError
        If the pixels are far larger than the probe, or the coefficients do not fit their names.
    """
    names = check_coefficients(coefficients, names)
    _check_spread(optics, focal_spread)
    fine = _grid_of_transfer(optics, grid)

    def spectrum(coefficients: Tensor, source_size: Tensor | None, focal_spread: Tensor | None) -> Tensor:
        mirrored = _intensity(coefficients, names, optics, fine, focal_spread, mirrored=True)
        transfer = torch.fft.rfft2(mirrored)
        if fine != grid:
            rows = _kept_rows(grid.shape[0], fine.shape[0], coefficients.device)
            transfer = transfer[..., : grid.shape[1] // 2 + 1][:, rows]
        envelope = _envelope(optics, grid, coefficients.device, source_size)
        return transfer if envelope is None else transfer * envelope

    return in_pieces(spectrum, fine, coefficients, source_size, focal_spread)


def _intensity(
    coefficients: Tensor,
    names: tuple[str, ...],
    optics: Optics,
    grid: Grid,
    focal_spread: Tensor | None,
    *,
    mirrored: bool = False,
) -> Tensor:
    """Return the probes of a point source, averaged over the focal spread, ``(B, H, W)``."""
    transform = torch.fft.fft2 if mirrored else torch.fft.ifft2  # the forward one has r at -r
    pupil = disc(names, optics, grid, coefficients.device)
    exponents = aberration_phase(coefficients, pupil.exponent)  # (B, P)

    def mode(defocus: Tensor | float) -> Tensor:
        moved = exponents + defocus * pupil.defocus if optics.focal_spread else exponents
        return squared_modulus(transform(pupil.fill(moved), norm="ortho"))

    spread = optics.focal_spread if focal_spread is None else focal_spread[:, None]  # [nm]
    nodes, weights = focal_quadrature(optics)
    return weighted_sum((mode(node * spread) for node in nodes), weights)


def _check_spread(optics: Optics, focal_spread: Tensor | None) -> None:
    if focal_spread is not None and not optics.focal_spread:
        raise MicroscopeError(
            "focal_spread differs within the batch, but that of the optics, its upper limit, is 0; "
            "give the optics the largest one [nm]."
        )


def _envelope(optics: Optics, grid: Grid, device: torch.device, source_size: Tensor | None) -> Tensor | None:
    if source_size is not None:
        return source_envelope(grid, source_size)
    return _one_envelope(optics.source_size, grid, device) if optics.source_size else None


@precomputed
def _one_envelope(source_size: float, grid: Grid, device: torch.device) -> Tensor:
    return source_envelope(grid, torch.tensor(source_size, device=device))


@precomputed
def _grid_of_transfer(optics: Optics, grid: Grid) -> Grid:
    """Return the same field in pixels so fine that no frequency of the image is aliased."""
    steps = grid.steps(optics.voltage)
    reach = [2 * math.floor(optics.aperture / step + 0.5) for step in steps]  # of the transfer [px]
    needed = max((n // 2 + 1 + r) / n for n, r in zip(grid.shape, reach, strict=True))
    if needed <= 1:
        return grid
    if needed > COARSEST:
        factor = COARSEST - 0.5 - 2 / min(grid.shape)
        enough = round_down(factor * optics.wavelength / (2e-3 * optics.aperture))
        raise MicroscopeError(
            f"Pixels of {grid.sampling:g} nm are far larger than the probe of an aperture of "
            f"{optics.aperture:g} mrad; choose a sampling <= {enough:g} nm, or leave the probe out."
        )
    return grid.refined(needed)


@precomputed
def _kept_rows(kept: int, given: int, device: torch.device) -> Tensor:
    """Return where the frequencies of a short transform lie in a longer one."""
    return (torch.fft.fftfreq(kept, 1 / kept, device=device).round().long()) % given

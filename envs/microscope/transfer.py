"""How the objective lens of a TEM transfers the wave behind a thin specimen to contrast.

Partial coherence is in the envelopes of the quasi-coherent approximation, for small Gaussian spreads:
``exp(-(pi lambda k^2 focal_spread)^2 / 2)`` and ``exp(-(convergence |grad chi|)^2 / 2)``.

References
----------
J. C. H. Spence, High-Resolution Electron Microscopy, 4th ed. (2013), chapters 3 and 4.
R. H. Wade and J. Frank, Optik 49 (1977) 81-92.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.envs.microscope.aberrations import (
    aberration_phase,
    check_coefficients,
    find,
    phase_basis,
    phase_gradients,
)
from beamwright.envs.microscope.aperture import soft_aperture
from beamwright.envs.microscope.grid import Grid, precomputed
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.pieces import in_pieces
from beamwright.envs.microscope.waves import envelope, phase_factor, squared_modulus

__all__ = ["contrast_transfer", "phase_transfer", "pupil", "thon_rings"]


def pupil(coefficients: Tensor, names: Sequence[str], optics: Optics, grid: Grid) -> Tensor:
    """Return what the objective lens does to the wave: ``A E_t E_s exp(-i chi)``.

    An image is ``|ifft2(fft2(wave) * pupil)|^2``.

    Parameters
    ----------
    coefficients
        Aberrations ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage, objective aperture, focal spread and convergence.
    grid
        Pixels of the image.

    Returns
    -------
    Tensor
        ``(B, H, W)``, complex64, in the order of ``fft2``.

    Raises
    ------
    MicroscopeError
        If the coefficients do not fit their names.
    """
    lens = _lens(check_coefficients(coefficients, names), optics, grid, coefficients.device, half=False)

    def transmitted(coefficients: Tensor) -> Tensor:
        phase = aberration_phase(-coefficients, lens.basis)
        return phase_factor(phase) * _passed(lens, coefficients, optics)

    return in_pieces(transmitted, grid, coefficients)


def contrast_transfer(coefficients: Tensor, names: Sequence[str], optics: Optics, grid: Grid) -> Tensor:
    """Return the contrast transfer function of a weak phase object: ``A E_t E_s sin(chi)``.

    The image of a weak phase ``phi(r)`` has the spectrum ``delta(k) + 2 phi(k) contrast_transfer(k)``. The
    function is of the even aberrations, C10, C12, C30 and so on; odd ones (coma, three-fold astigmatism)
    displace what they image: `phase_transfer` has both.

    Parameters
    ----------
    coefficients
        Aberrations ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage, objective aperture, focal spread and convergence.
    grid
        Pixels of the image.

    Returns
    -------
    Tensor
        ``(B, H, W)``, float32, from -1 to 1, in the order of ``fft2``.

    Raises
    ------
    MicroscopeError
        If the coefficients do not fit their names.

    References
    ----------
    J. C. H. Spence, High-Resolution Electron Microscopy, 4th ed. (2013), section 3.4.
    """
    names = check_coefficients(coefficients, names)
    lens = _lens(names, optics, grid, coefficients.device, half=False)

    def contrast(even: Tensor) -> Tensor:
        return aberration_phase(even, lens.basis).sin() * _passed(lens, even, optics)

    return in_pieces(contrast, grid, coefficients * lens.even)


def phase_transfer(coefficients: Tensor, names: Sequence[str], optics: Optics, grid: Grid) -> Tensor:
    """Return the linear transfer of a weak phase object through all aberrations, for ``rfft2``.

    ``T(k) = i/2 (p(k) - conj(p(-k)))`` with the `pupil` p, which is ``E sin(chi_even) exp(-i chi_odd)``
    where the envelope is even. An image of a weak phase is ``1 + 2 irfft2(rfft2(phase) * T)``.

    Parameters
    ----------
    coefficients
        Aberrations ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage, objective aperture, focal spread and convergence.
    grid
        Pixels of the image.

    Returns
    -------
    Tensor
        ``(B, H, W // 2 + 1)``, complex64.

    Raises
    ------
    MicroscopeError
        If the coefficients do not fit their names.
    """
    names = check_coefficients(coefficients, names)
    lens = _lens(names, optics, grid, coefficients.device, half=True)
    return in_pieces(functools.partial(_linear, lens=lens, optics=optics), grid, coefficients)


def thon_rings(coefficients: Tensor, names: Sequence[str], optics: Optics, grid: Grid) -> Tensor:
    """Return the power spectrum that a white, weak specimen would give: ``|T(k)|^2``, from 0 to 1.

    Parameters
    ----------
    coefficients
        Aberrations ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage, objective aperture, focal spread and convergence.
    grid
        Pixels of the image.

    Returns
    -------
    Tensor
        ``(B, H, W)``, float32, in the order of ``fft2``.

    Raises
    ------
    MicroscopeError
        If the coefficients do not fit their names.
    """
    names = check_coefficients(coefficients, names)
    lens = _lens(names, optics, grid, coefficients.device, half=False)

    def power(coefficients: Tensor) -> Tensor:
        return squared_modulus(_linear(coefficients, lens=lens, optics=optics))

    return in_pieces(power, grid, coefficients)


@dataclass(frozen=True, eq=False)
class _Lens:
    """What no exposure of a batch changes, over the pixels of the diffraction plane."""

    basis: Tensor  # (K, H, W) [rad/nm]
    slopes: Tensor | None  # (2, K, H, W) [rad/(nm mrad)], with a convergence
    passed: Tensor  # aperture and temporal envelope, (H, W)
    even: Tensor  # 1 for coefficients of an even phase, 0 for odd ones, (K,)


@precomputed
def _lens(names: tuple[str, ...], optics: Optics, grid: Grid, device: torch.device, *, half: bool) -> _Lens:
    angles = grid.angles(optics.voltage, device, half=half)
    basis = phase_basis(names, angles, optics.voltage)
    defocus = phase_basis(("C10",), angles, optics.voltage)[0]
    passed = envelope(-(optics.focal_spread**2) / 2 * defocus.square())
    if math.isfinite(optics.aperture):
        passed = passed * soft_aperture(*angles, optics, grid).float()
    slopes = torch.stack(phase_gradients(names, angles, optics.voltage)) if optics.convergence else None
    even = torch.tensor([float(find(name).m % 2 == 0) for name in names], device=device)
    return _Lens(basis, slopes, passed, even)


def _passed(lens: _Lens, coefficients: Tensor, optics: Optics) -> Tensor:
    """Return aperture times envelopes, ``(H, W)``, or ``(B, H, W)`` with a convergence."""
    if lens.slopes is None:
        return lens.passed
    radial, around = (aberration_phase(coefficients, slope) for slope in lens.slopes)  # (B, H, W) [rad/mrad]
    return lens.passed * envelope((radial.square() + around.square()) * (-(optics.convergence**2) / 2))


def _linear(coefficients: Tensor, *, lens: _Lens, optics: Optics) -> Tensor:
    """Return ``i/2 (p(k) - conj(p(-k)))``: at -k odd aberrations have the other sign, slopes too."""
    even, odd = coefficients * lens.even, coefficients * (1 - lens.even)
    chi = aberration_phase(even, lens.basis)
    turn = phase_factor(aberration_phase(-odd, lens.basis))
    here, there = _passed(lens, even + odd, optics), _passed(lens, even - odd, optics)
    # i/2 (here exp(-i chi) - there exp(i chi))
    return torch.complex((here + there) / 2 * chi.sin(), (here - there) / 2 * chi.cos()) * turn

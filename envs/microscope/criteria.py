"""How good a lens is: residual phase, Strehl ratio and the limits that operators align to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from beamwright.envs.microscope.aberrations import (
    Aberration,
    check_coefficients,
    edge_phase,
    find,
)
from beamwright.envs.microscope.grid import precomputed
from beamwright.envs.microscope.physics import Optics, wavelength
from beamwright.envs.microscope.strehl import strehl_ratio

__all__ = [
    "magnitudes",
    "phase_error",
    "quarter_wave_limits",
    "scherzer_defocus",
    "strehl_ratio",
    "within_quarter_wave",
]


def quarter_wave_limits(names: Sequence[str], optics: Optics) -> Tensor:
    """Return how large each coefficient may be alone: a phase of pi/4 at the edge of the aperture.

    For a two-lobed aberration the wave front then spans a quarter of a wave from crest to trough, which is
    Rayleigh's limit for a perfect instrument.

    Parameters
    ----------
    names
        The K coefficients.
    optics
        Voltage and aperture.

    Returns
    -------
    Tensor
        ``(K,)`` [nm]; for C12, C21 and so on the limit of ``hypot(a, b)``.

    Raises
    ------
    MicroscopeError
        If a name is unknown, or the aperture has no edge.

    References
    ----------
    M. Haider, S. Uhlemann and J. Zach, Ultramicroscopy 81 (2000) 163-175.
    """
    return math.pi / 4 / edge_phase(names, optics)


def magnitudes(coefficients: Tensor, names: Sequence[str]) -> Tensor:
    """Return, in the column of each coefficient, ``hypot(a, b)`` of the aberration that it belongs to.

    A component of which the partner is not among the names stands alone.

    Parameters
    ----------
    coefficients
        ``(B, K)`` [nm].
    names
        Of the K coefficients.

    Returns
    -------
    Tensor
        ``(B, K)`` [nm], not negative.

    Raises
    ------
    MicroscopeError
        If the coefficients do not fit their names.
    """
    names = check_coefficients(coefficients, names)
    return (coefficients.square() @ _partners(names, coefficients.device)).sqrt()


def within_quarter_wave(coefficients: Tensor, names: Sequence[str], optics: Optics) -> Tensor:
    """Tell whether every aberration is within its `quarter_wave_limits`.

    Parameters
    ----------
    coefficients
        ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage and aperture.

    Returns
    -------
    Tensor
        ``(B,)``, bool.

    Raises
    ------
    MicroscopeError
        If the coefficients do not fit their names, or the aperture has no edge.
    """
    limits = _limits(tuple(names), optics, coefficients.device)
    return (magnitudes(coefficients, names) <= limits).all(dim=1)


def phase_error(coefficients: Tensor, names: Sequence[str], optics: Optics) -> Tensor:
    """Return the root mean square of chi over the aperture, without piston and tilt.

    Those two shift the phase of the probe and its place, and blur nothing. The rest is a quadratic form of
    the coefficients: no pupil is computed.

    Parameters
    ----------
    coefficients
        ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage and aperture.

    Returns
    -------
    Tensor
        ``(B,)`` [rad].

    Raises
    ------
    MicroscopeError
        If the coefficients do not fit their names, or the aperture has no edge.
    """
    names = check_coefficients(coefficients, names)
    root = _root_of_covariance(names, optics, coefficients.device)
    return torch.linalg.vector_norm(coefficients @ root, dim=1)


def scherzer_defocus(spherical: float, voltage: float) -> float:
    """Return the C10 that balances a spherical aberration in a TEM [nm].

    ``-sign(C30) sqrt(3/2 |C30| lambda)`` makes the first band of the contrast transfer as wide as it can be
    without a gap.

    Parameters
    ----------
    spherical
        C30 [nm].
    voltage
        Accelerating voltage [kV].

    Raises
    ------
    MicroscopeError
        If the voltage is not positive.

    References
    ----------
    O. Scherzer, Journal of Applied Physics 20 (1949) 20-29; the factor 3/2 is the extended defocus of
    E. J. Kirkland, Advanced Computing in Electron Microscopy, 3rd ed. (2020), section 3.1.
    """
    return -math.copysign(math.sqrt(1.5 * abs(spherical) * wavelength(voltage)), spherical)


@precomputed
def _limits(names: tuple[str, ...], optics: Optics, device: torch.device) -> Tensor:
    return quarter_wave_limits(names, optics).to(device)


@precomputed
def _partners(names: tuple[str, ...], device: torch.device) -> Tensor:
    """Return 1 where two coefficients are of one aberration, ``(K, K)``."""
    symbols = [name[:3] for name in names]
    return torch.tensor([[float(one == other) for one in symbols] for other in symbols], device=device)


@precomputed
def _root_of_covariance(names: tuple[str, ...], optics: Optics, device: torch.device) -> Tensor:
    """Return what turns coefficients into a vector whose length is the phase error, ``(K, K)`` [rad/nm]."""
    known = [find(name) for name in names]
    covariance = torch.tensor([[_covariance(one, other) for one in known] for other in known]).double()
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt()
    return (edge_phase(names, optics)[:, None] * root).float().to(device)


def _covariance(one: Aberration, other: Aberration) -> float:
    """Return the covariance over the aperture of two phases of 1 rad at its edge, without piston and tilt.

    Over a disc the mean of ``r^p`` is ``2 / (p + 2)``, with ``cos(m phi)^2`` half of it.
    """
    if (one.m, one.component) != (other.m, other.component):
        return 0.0
    p, q = one.n + 1, other.n + 1
    if one.m == 0:
        return 2 / (p + q + 2) - 4 / ((p + 2) * (q + 2))  # without piston
    tilt = 4 / ((p + 3) * (q + 3)) if one.m == 1 else 0.0
    return 1 / (p + q + 2) - tilt

"""The aberration function in Krivanek's notation, to fifth order.

``chi(alpha, phi) = 2 pi / lambda sum_nm alpha^(n+1) / (n+1) (C_nma cos(m phi) + C_nmb sin(m phi))``

with coefficients in nm, ``phi`` from x towards y and the pupil ``A exp(-i chi)``. A positive C10 is
overfocus; the defocus of the textbooks is -C10.

References
----------
O. L. Krivanek, N. Dellby and A. R. Lupini, Ultramicroscopy 78 (1999) 1-11.
E. J. Kirkland, Advanced Computing in Electron Microscopy, 3rd ed. (2020), chapter 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.envs.microscope.physics import Optics, wavelength
from beamwright.errors import MicroscopeError, did_you_mean

__all__ = [
    "ABERRATIONS",
    "Aberration",
    "aberration_phase",
    "check_coefficients",
    "edge_phase",
    "find",
    "phase_basis",
    "phase_gradients",
    "up_to_order",
]


@dataclass(frozen=True, slots=True)
class Aberration:
    """One coefficient of the aberration function.

    Parameters
    ----------
    name
        As Krivanek writes it: ``"C10"``, ``"C12a"``.
    n
        Order; the phase grows with ``alpha^(n+1)``.
    m
        Azimuthal symmetry; 0 is round.
    component
        ``"a"`` with ``cos(m phi)``, ``"b"`` with ``sin(m phi)``, empty where round.
    title
        What it is called.
    """

    name: str
    n: int
    m: int
    component: str
    title: str


TITLES = {
    "C10": "overfocus",
    "C12": "two-fold astigmatism",
    "C21": "axial coma",
    "C23": "three-fold astigmatism",
    "C30": "spherical aberration",
    "C32": "star aberration",
    "C34": "four-fold astigmatism",
    "C41": "fourth-order coma",
    "C43": "three-lobe aberration",
    "C45": "five-fold astigmatism",
    "C50": "fifth-order spherical aberration",
    "C52": "fifth-order star aberration",
    "C54": "fifth-order rosette aberration",
    "C56": "six-fold astigmatism",
}


def _both(symbol: str, title: str) -> tuple[Aberration, ...]:
    n, m = int(symbol[1]), int(symbol[2])
    return tuple(Aberration(symbol + part, n, m, part, title) for part in ("ab" if m else ("",)))


ABERRATIONS = tuple(one for symbol, title in TITLES.items() for one in _both(symbol, title))
"""The 25 coefficients to fifth order."""
_BY_NAME = {one.name: one for one in ABERRATIONS}


def find(name: str) -> Aberration:
    """Return the aberration of a name.

    Raises
    ------
    MicroscopeError
        If there is none.
    """
    if name not in _BY_NAME:
        raise MicroscopeError(
            f'There is no aberration "{name}".{did_you_mean(name, _BY_NAME)} Known: {", ".join(_BY_NAME)}.'
        )
    return _BY_NAME[name]


def up_to_order(n: int) -> tuple[str, ...]:
    """Return the names of all coefficients to an order: 3, 7, 12, 18 or 25 of them."""
    return tuple(one.name for one in ABERRATIONS if one.n <= n)


def check_coefficients(coefficients: Tensor, names: Sequence[str]) -> tuple[str, ...]:
    """Refuse coefficients that are not one row for each of a batch, one column for each name.

    Raises
    ------
    MicroscopeError
        If they are not, or a name is unknown.
    """
    if coefficients.ndim != 2 or coefficients.shape[1] != len(names):
        for name in names:
            find(name)
        raise MicroscopeError(
            f"Coefficients have the shape (B, {len(names)}), a column for each of {', '.join(names)}, "
            f"not {tuple(coefficients.shape)}."
        )
    return tuple(names)


def phase_basis(names: Sequence[str], angles: tuple[Tensor, Tensor], voltage: float) -> Tensor:
    """Return the phase that one nanometre of each coefficient gives.

    Parameters
    ----------
    names
        The K coefficients.
    angles
        ``alpha`` [mrad] and ``phi`` [rad] of any one shape, as `Grid.angles` returns them.
    voltage
        Accelerating voltage [kV].

    Returns
    -------
    Tensor
        ``(K, *shape)`` [rad/nm], float32.

    Raises
    ------
    MicroscopeError
        If a name is unknown.
    """
    alpha, phi = angles[0] * 1e-3, angles[1]
    wave_number = 2 * math.pi / wavelength(voltage)
    basis = [
        alpha ** (one.n + 1) * (wave_number / (one.n + 1)) * _azimuth(one, phi) for one in map(find, names)
    ]
    return torch.stack(basis).float()  # (K, *shape)


def phase_gradients(
    names: Sequence[str], angles: tuple[Tensor, Tensor], voltage: float
) -> tuple[Tensor, Tensor]:
    """Return the slopes of the phase that one nanometre of each coefficient gives.

    Parameters
    ----------
    names
        The K coefficients.
    angles
        ``alpha`` [mrad] and ``phi`` [rad] of any one shape.
    voltage
        Accelerating voltage [kV].

    Returns
    -------
    tuple of Tensor
        ``d chi / d alpha`` and ``1/alpha d chi / d phi``, each ``(K, *shape)`` [rad/(nm mrad)], float32.
    """
    alpha, phi = angles[0] * 1e-3, angles[1]
    scale = 2e-3 * math.pi / wavelength(voltage)
    known = [find(name) for name in names]
    radial = [alpha**one.n * scale * _azimuth(one, phi) for one in known]
    around = [alpha**one.n * (scale * one.m / (one.n + 1)) * _azimuth_slope(one, phi) for one in known]
    return torch.stack(radial).float(), torch.stack(around).float()


def aberration_phase(coefficients: Tensor, basis: Tensor) -> Tensor:
    """Return the aberration function chi.

    Parameters
    ----------
    coefficients
        ``(B, K)`` [nm].
    basis
        ``(K, *shape)`` [rad/nm], from `phase_basis`.

    Returns
    -------
    Tensor
        ``(B, *shape)`` [rad].
    """
    # A product with a single row sums in another order: alone, a microscope would see other last digits.
    rows = coefficients.expand(2, -1) if len(coefficients) == 1 else coefficients
    phase = rows @ basis.reshape(len(basis), -1)
    return phase[: len(coefficients)].reshape(-1, *basis.shape[1:])


def edge_phase(names: Sequence[str], optics: Optics) -> Tensor:
    """Return the phase at the edge of the aperture that one nanometre of each coefficient gives.

    Coefficients times this are aberrations in radians: one measure for all orders.

    Parameters
    ----------
    names
        The K coefficients.
    optics
        Voltage and aperture.

    Returns
    -------
    Tensor
        ``2 pi / lambda aperture^(n+1) / (n+1)``, ``(K,)`` [rad/nm], float32.

    Raises
    ------
    MicroscopeError
        If a name is unknown, or the aperture has no edge.
    """
    if math.isinf(optics.aperture):
        raise MicroscopeError("An open objective has no edge; give the aperture a semi-angle [mrad].")
    wave_number, edge = 2 * math.pi / optics.wavelength, optics.aperture * 1e-3
    return torch.tensor([wave_number * edge ** (one.n + 1) / (one.n + 1) for one in map(find, names)])


def _azimuth(one: Aberration, phi: Tensor) -> Tensor:
    return torch.sin(one.m * phi) if one.component == "b" else torch.cos(one.m * phi)


def _azimuth_slope(one: Aberration, phi: Tensor) -> Tensor:
    return torch.cos(one.m * phi) if one.component == "b" else -torch.sin(one.m * phi)

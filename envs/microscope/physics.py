"""Electrons as waves and as counts, and the optics that they pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TypeVar

from torch import Tensor

from beamwright.errors import MicroscopeError

__all__ = ["Optics", "electrons", "interaction_constant", "wavelength"]

PLANCK = 6.62607015e-34
"""h [J s]."""
LIGHT = 299792458.0
"""c [m/s]."""
CHARGE = 1.602176634e-19
"""e [C]."""
REST_ENERGY = 510.99895
"""m c^2 of the electron [keV]."""

Number = TypeVar("Number", float, Tensor)


@dataclass(frozen=True, slots=True)
class Optics:
    """What the column is set to, apart from its aberrations.

    All widths are standard deviations of Gaussian distributions.

    Parameters
    ----------
    voltage
        Accelerating voltage [kV].
    aperture
        Semi-angle of the probe-forming or objective aperture [mrad]; ``inf`` is an open objective.
    source_size
        Of the demagnified source, along y and along x [nm].
    focal_spread
        Of the defocus, by energy spread and instabilities [nm].
    convergence
        Of the illumination angles of a TEM, along y and along x [mrad].

    Raises
    ------
    MicroscopeError
        If voltage or aperture is not positive, or a width is negative.
    """

    voltage: float = 200.0
    aperture: float = 25.0
    source_size: float = 0.0
    focal_spread: float = 0.0
    convergence: float = 0.0

    def __post_init__(self) -> None:
        _positive("The accelerating voltage", self.voltage, "kV")
        if not self.aperture > 0:
            raise MicroscopeError(
                f"The aperture must be a positive semi-angle, not {self.aperture:g} mrad; "
                "inf is an open objective."
            )
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if not 0 <= value < math.inf:
                raise MicroscopeError(
                    f"{field.name} is a standard deviation and cannot be {value:g}; 0 switches it off."
                )

    @property
    def wavelength(self) -> float:
        """De Broglie wavelength [nm]."""
        return wavelength(self.voltage)


def wavelength(voltage: float) -> float:
    """Return the relativistic de Broglie wavelength of the beam [nm].

    ``lambda = h c / sqrt(eU (2 m c^2 + eU))``.

    Parameters
    ----------
    voltage
        Accelerating voltage U [kV].

    Raises
    ------
    MicroscopeError
        If the voltage is not positive.

    References
    ----------
    E. J. Kirkland, Advanced Computing in Electron Microscopy, 3rd ed. (2020), chapter 2.
    """
    _positive("The accelerating voltage", voltage, "kV")
    momentum = math.sqrt(voltage * (2 * REST_ENERGY + voltage))  # times c [keV]
    return PLANCK * LIGHT / CHARGE * 1e6 / momentum


def interaction_constant(voltage: float) -> float:
    """Return the phase that a projected potential of 1 V nm gives the beam [rad/(V nm)].

    ``sigma = 2 pi m e lambda / h^2`` with the relativistic mass.

    Parameters
    ----------
    voltage
        Accelerating voltage [kV].

    Raises
    ------
    MicroscopeError
        If the voltage is not positive.

    References
    ----------
    E. J. Kirkland, Advanced Computing in Electron Microscopy, 3rd ed. (2020), chapter 5.
    """
    total = (REST_ENERGY + voltage) / (2 * REST_ENERGY + voltage)
    return 2 * math.pi / (wavelength(voltage) * voltage * 1e3) * total


def electrons(current: Number, time: float) -> Number:
    """Return how many electrons a beam carries in a time, on average [e-].

    Parameters
    ----------
    current
        Beam current [pA].
    time
        Dwell time or exposure [us].
    """
    return current * (time * 1e-18 / CHARGE)


def _positive(what: str, value: float, unit: str) -> None:
    if not 0 < value < math.inf:
        raise MicroscopeError(f"{what} must be positive and finite, not {value:g} {unit}.")

"""What the beam does to the specimen: mass loss, atoms that leave, contamination.

Dose is [e-/nm^2], energy of displacement [eV], accelerating voltage [kV].
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.batching import Value, check_range, expand
from beamwright.envs.microscope.physics import REST_ENERGY
from beamwright.envs.microscope.points import splat
from beamwright.errors import PhysicsWarning

__all__ = [
    "contamination",
    "critical_dose",
    "deposit",
    "fade",
    "knock_on_cross_section",
    "knock_on_threshold",
    "mass_left",
    "removal_probability",
    "remove_atoms",
    "squared_velocity",
    "transferable_energy",
]

_NUCLEON = 931494.10372  # atomic mass unit [keV], CODATA 2022
_FINE_STRUCTURE = 0.0072973525643  # CODATA 2022
_RADIUS = 2.8179403205e-6  # classical radius of the electron [nm], CODATA 2022
_HEAVIEST = 30  # above, the expansion in Z / 137 of the cross-section is off by more than some per cent


def deposit(dose: Tensor, electrons: Tensor, points: Tensor, *, pixel_size: Value) -> Tensor:
    """Return a map of the dose with the electrons of more points.

    Parameters
    ----------
    dose
        ``(B, H, W)`` [e-/nm^2].
    electrons
        At each point, ``(B, N)``.
    points
        ``(B, N, 2)`` [px]; electrons off the map are lost.
    pixel_size
        [nm].
    """
    area = expand(pixel_size, 1) ** 2
    shape = (dose.shape[-2], dose.shape[-1])
    return splat(electrons / area, points, shape, bilinear=True, onto=(dose, torch.zeros_like(dose)))[0]


def mass_left(dose: Tensor, critical: Value) -> Tensor:
    """Return the share of the mass that radiolysis has left, ``exp(-dose / critical)``.

    Parameters
    ----------
    dose
        ``(B, ...)`` [e-/nm^2].
    critical
        Dose after which 1/e is left [e-/nm^2].

    References
    ----------
    R. F. Egerton, P. Li and M. Malac, Micron 35, 399 (2004).
    """
    return torch.exp(-dose / expand(critical, dose.ndim - 1))


def fade(signal: Tensor, dose: Tensor, critical: Value, *, residue: Value = 0.0) -> Tensor:
    """Return the signal of a specimen that loses mass, down to a residue that stays.

    Parameters
    ----------
    signal
        Of the fresh specimen, ``(B, ...)``.
    dose
        Of its shape [e-/nm^2].
    critical
        As in `mass_left`.
    residue
        Share of the mass that no dose removes: 0 for ice, more for carbon.
    """
    residue = expand(residue, signal.ndim - 1)
    return signal * (residue + (1 - residue) * mass_left(dose, critical))


def critical_dose(critical: Value, voltage: float, *, measured_at: float) -> Value:
    """Return a critical dose of radiolysis at another voltage [kV].

    Energy losses, and with them the damage per electron, fall as the square of the electrons' velocity.
    """
    return critical * (squared_velocity(voltage) / squared_velocity(measured_at))


def squared_velocity(voltage: float) -> float:
    """Return (v/c)^2 of electrons accelerated by a voltage [kV]."""
    check_range(voltage, "accelerating voltage", "kV", above=True)
    return 1 - 1 / (1 + voltage / REST_ENERGY) ** 2


def transferable_energy(voltage: float, mass: float) -> float:
    """Return the most energy that an electron can give to an atom [eV].

    Parameters
    ----------
    voltage
        [kV].
    mass
        Of the atom [u].

    References
    ----------
    L. Reimer and H. Kohl, Transmission Electron Microscopy, 5th ed., Springer (2008), ch. 5.
    """
    check_range(voltage, "accelerating voltage", "kV", above=True)
    check_range(mass, "mass of an atom", "u", above=True)
    return 2e3 * voltage * (voltage + 2 * REST_ENERGY) / (mass * _NUCLEON)


def knock_on_threshold(displacement: float, mass: float) -> float:
    """Return the lowest voltage at which electrons displace atoms [kV].

    Parameters
    ----------
    displacement
        Energy that it takes [eV].
    mass
        Of the atom [u].
    """
    check_range(displacement, "displacement energy", "eV", above=True)
    return math.sqrt(REST_ENERGY**2 + displacement * mass * _NUCLEON / 2e3) - REST_ENERGY


def knock_on_cross_section(voltage: float, displacement: float, *, mass: float, number: int) -> float:
    """Return the cross-section for knocking an atom out of its place [nm^2]; its inverse is a critical dose.

    Parameters
    ----------
    voltage
        [kV].
    displacement
        Energy that it takes [eV].
    mass
        Of the atom [u].
    number
        Of protons.

    Warns
    -----
    PhysicsWarning
        For heavy atoms, for which the expansion is not meant.

    References
    ----------
    W. A. McKinley and H. Feshbach, Phys. Rev. 74, 1759 (1948), integrated as by O. S. Oen, ORNL-4897 (1973).
    """
    if number > _HEAVIEST:
        warnings.warn(
            f"The McKinley-Feshbach cross-section holds to about Z = {_HEAVIEST}, not for Z = {number}; "
            "treat it as an order of magnitude.",
            PhysicsWarning,
            stacklevel=2,
        )
    most = transferable_energy(voltage, mass)
    if most <= displacement:
        return 0.0
    beta2, ratio = squared_velocity(voltage), most / displacement
    beta, phase = math.sqrt(beta2), math.pi * _FINE_STRUCTURE * number
    rutherford = math.pi * (number * _RADIUS) ** 2 * (1 - beta2) / beta2**2
    correction = 2 * phase * beta * (math.sqrt(ratio) - 1) - (beta2 + phase * beta) * math.log(ratio)
    return rutherford * (ratio - 1 + correction)


def removal_probability(dose: Tensor, critical: Value) -> Tensor:
    """Return the probability that an atom leaves during a dose, ``1 - exp(-dose / critical)``.

    Parameters
    ----------
    dose
        Of this exposure alone, ``(B, ...)`` [e-/nm^2].
    critical
        Dose that an atom survives on average [e-/nm^2], for knock-on the inverse of the cross-section.
    """
    return -torch.expm1(-dose / expand(critical, dose.ndim - 1))


def remove_atoms(present: Tensor, dose: Tensor, critical: Value, streams: Streams) -> Tensor:
    """Return which atoms are still there after an exposure.

    Parameters
    ----------
    present
        Before, ``(B, A)`` bool.
    dose
        Of this exposure at the atoms, ``(B, A)`` [e-/nm^2].
    critical
        As in `removal_probability`.
    streams
        One uniform number per atom is taken, present or not.
    """
    return present & (streams.uniform(*present.shape[1:]) >= removal_probability(dose, critical))


def contamination(dose: Tensor, *, thickest: Value, saturation: Value) -> Tensor:
    """Return the thickness of the carbon on the specimen [nm], ``thickest (1 - exp(-dose / saturation))``.

    It grows in proportion to the dose at first and stops when the hydrocarbons around are used up.

    Parameters
    ----------
    dose
        ``(B, ...)`` [e-/nm^2].
    thickest
        Thickness in the end [nm].
    saturation
        Dose after which 1/e of it is still to come [e-/nm^2].
    """
    return expand(thickest, dose.ndim - 1) * removal_probability(dose, saturation)

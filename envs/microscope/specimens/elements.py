"""How strongly atoms scatter: to high angles, and as a phase shift of the transmitted wave."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from beamwright.envs.microscope.physics import interaction_constant
from beamwright.errors import MicroscopeError

__all__ = ["HIGH_ANGLE_EXPONENT", "POTENTIAL_WIDTHS", "VOLTAGE", "phase_integrals", "scattering_power"]

VOLTAGE = 200.0
"""Voltage of all phases of specimens [kV]."""

HIGH_ANGLE_EXPONENT = 1.7
"""Exponent of the atomic number in the high-angle signal: 2 for Rutherford's law, less by screening."""

POTENTIAL_WIDTHS = (0.01135, 0.03531, 0.08689)
"""Standard deviations of the Gaussians that make up every atom's projected potential [nm]."""

_VOLTS = 0.47878
"""h^2 / (2 pi m e) [V nm^2], from a scattering length to the integral of the potential."""

_SCATTERING = {
    5: (0.257, 1.495, 1.091),
    6: (0.338, 1.588, 0.612),
    7: (0.423, 1.541, 0.295),
    8: (0.502, 1.424, 0.100),
    13: (0.684, 1.908, 3.308),
    14: (0.695, 2.387, 2.827),
    16: (0.774, 2.979, 1.586),
    22: (1.192, 2.947, 4.510),
    26: (1.389, 2.963, 2.800),
    29: (1.548, 2.438, 1.584),
    31: (1.581, 2.705, 2.824),
    33: (1.590, 3.325, 2.619),
    34: (1.607, 3.596, 2.235),
    38: (1.862, 3.273, 7.448),
    42: (1.962, 4.375, 4.362),
    46: (2.159, 4.587, 0.834),
    47: (2.221, 4.459, 1.932),
    56: (2.666, 4.669, 10.053),
    57: (2.657, 5.178, 9.394),
    74: (3.138, 5.110, 4.408),
    78: (3.272, 5.356, 2.557),
    79: (3.305, 5.422, 1.876),
    82: (3.395, 5.648, 4.041),
}
"""Electron scattering factor of each element at rest [0.1 nm], shared among the three Gaussians: a fit
to the parametrisation of Lobato and Van Dyck (Acta Cryst. A70, 636, 2014) up to 25 / nm, good to 2 % of
the forward value (5 % for barium)."""


def scattering_power(numbers: Tensor) -> Tensor:
    """Return how much atoms scatter to a high-angle detector, Z to the power of 1.7; 0 where Z is 0.

    Parameters
    ----------
    numbers
        Atomic numbers, any shape.

    References
    ----------
    Krivanek et al., Nature 464, 571 (2010): measured exponents of 1.64 in annular dark field.
    """
    return numbers.to(torch.float32) ** HIGH_ANGLE_EXPONENT


def phase_integrals(numbers: Tensor) -> Tensor:
    """Return the integral of an atom's phase at 200 kV, by Gaussian: ``(..., 3)`` [rad nm^2].

    Parameters
    ----------
    numbers
        Atomic numbers, any shape; 0 gives 0.

    References
    ----------
    Kirkland, Advanced Computing in Electron Microscopy, 3rd ed. (2020), chapter 5.
    """
    table = torch.zeros(max(_SCATTERING) + 1, len(POTENTIAL_WIDTHS))
    for number, shares in _SCATTERING.items():
        table[number] = torch.tensor(shares)
    radians = 0.1 * _VOLTS * float(interaction_constant(VOLTAGE))
    return (table * radians).to(numbers.device)[numbers]


def check_elements(numbers: Iterable[int]) -> None:
    """Refuse elements whose scattering is not tabulated.

    Raises
    ------
    MicroscopeError
        If there is one.
    """
    unknown = sorted(set(numbers) - set(_SCATTERING) - {0})
    if unknown:
        raise MicroscopeError(
            f"Specimens know the scattering of the elements Z = {', '.join(map(str, _SCATTERING))}, "
            f"not of {', '.join(map(str, unknown))}; choose the nearest of them."
        )

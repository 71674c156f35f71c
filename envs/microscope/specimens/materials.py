"""Materials, from thickness to signal and phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from beamwright.envs.microscope.physics import interaction_constant
from beamwright.envs.microscope.specimens.elements import HIGH_ANGLE_EXPONENT, VOLTAGE

__all__ = ["CARBON", "GOLD", "ICE", "OXIDE", "PROTEIN", "RESIN", "SILICON", "STAIN", "Material", "project"]


@dataclass(frozen=True)
class Material:
    """What one nanometre of a material does to the beam.

    Parameters
    ----------
    density
        Atoms by atomic number [1/nm^3].
    potential
        Mean inner potential [V].
    """

    density: tuple[tuple[int, float], ...]
    potential: float

    @property
    def power(self) -> float:
        """High-angle scattering of one nanometre [1/nm^3], in the units of `scattering_power`."""
        return sum(atoms * number**HIGH_ANGLE_EXPONENT for number, atoms in self.density)


CARBON = Material(((6, 100.0),), 9.1)
"""Amorphous carbon of 2.0 g/cm^3."""
SILICON = Material(((14, 50.0),), 12.1)
OXIDE = Material(((14, 22.1), (8, 44.1)), 10.1)
"""Amorphous silica of 2.2 g/cm^3."""
GOLD = Material(((79, 59.0),), 25.0)
ICE = Material(((1, 62.2), (8, 31.1)), 3.5)
"""Vitreous ice of 0.93 g/cm^3."""
PROTEIN = Material(((1, 56.0), (6, 36.0), (7, 9.5), (8, 10.5), (16, 0.35)), 7.4)
"""Protein of 1.35 g/cm^3."""
RESIN = Material(((1, 50.0), (6, 38.0), (8, 11.0)), 6.6)
"""Epoxy of 1.2 g/cm^3, in which sections are embedded."""
STAIN = Material(((1, 45.0), (6, 34.0), (8, 12.0), (76, 1.5)), 9.0)
"""The same, stained with osmium."""


def project(layers: Sequence[tuple[Material, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return high-angle scattering [1/nm^2] and phase [rad] at 200 kV of materials on top of each other.

    Parameters
    ----------
    layers
        Materials, each with the map of its thickness ``(B, H, W)`` [nm].
    """
    radians = interaction_constant(VOLTAGE)
    scattering = sum(material.power * thickness for material, thickness in layers)
    phase = sum(radians * material.potential * thickness for material, thickness in layers)
    return scattering, phase  # type: ignore[return-value]

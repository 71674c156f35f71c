"""What is under the beam: a batch of specimens, as the maps and atoms that imaging reads."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from beamwright.envs.microscope.physics import interaction_constant
from beamwright.envs.microscope.specimens.elements import VOLTAGE

__all__ = ["Specimen"]


@dataclass(frozen=True, slots=True)
class Specimen:
    """A batch of specimens of one shape; all fields are tensors with the batch axis B first.

    Attributes
    ----------
    signal
        Incoherent (HAADF-like) scattering power (B, H, W), between 0 and 1: the most scattering place
        of each specimen is 1 before a pedestal is added.
    phase
        Phase that the specimen gives the electron wave (B, H, W) [rad] at 200 kV: the interaction
        constant times the projected potential; for HRTEM, bright field and Ronchigrams.
    pixel_size
        Sampling of both maps (B,) [nm].
    positions
        Atomic columns (B, N, 2) as (y, x) [nm] from the outer corner of the first pixel, so that pixel
        (i, j) is centred on ((i + 1/2), (j + 1/2)) times the sampling. N is 0 if nothing is atomic.
    numbers
        Atomic numbers Z of the columns (B, N), int64.
    weights
        Atoms in each column (B, N), 0 where there is none: the mask of the padding and of vacancies.
    scale
        Signal of one unit of scattering power (B,) [nm^2], see `scattering_power`: what
        `keep_atoms` needs to draw atoms as bright as they were.
    width
        Standard deviation of an atom in the signal (B,) [nm].
    kind
        Index of the class in the pool that it was drawn from (B,), int64; 0 from a generator.
    """

    signal: Tensor
    phase: Tensor
    pixel_size: Tensor
    positions: Tensor
    numbers: Tensor
    weights: Tensor
    scale: Tensor
    width: Tensor
    kind: Tensor

    @property
    def count(self) -> int:
        """Number of specimens B."""
        return self.signal.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns (H, W) of the maps [px]."""
        return self.signal.shape[1], self.signal.shape[2]

    @property
    def mask(self) -> Tensor:
        """Where there are atoms (B, N), bool."""
        return self.weights > 0

    def take(self, index: Tensor) -> Specimen:
        """Return the specimens of an index (B',), in its order and with its repetitions."""
        return Specimen(**{field.name: getattr(self, field.name)[index] for field in fields(self)})

    def at_voltage(self, voltage: float) -> Specimen:
        """Return the specimens with the phase that they give the beam at another voltage [kV]."""
        factor = interaction_constant(voltage) / interaction_constant(VOLTAGE)
        return replace(self, phase=self.phase * factor)

    def to(self, device: torch.device | str) -> Specimen:
        """Return the specimens on a device."""
        return Specimen(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

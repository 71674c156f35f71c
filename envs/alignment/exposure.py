"""What the detector is expected to count, for each way of exposing."""

from __future__ import annotations

import functools
import warnings
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.shifting import displaced
from beamwright.envs.alignment.variants import AlignSTEMConfig, AlignTEMConfig
from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.imaging import WEAK
from beamwright.envs.microscope.probe import probe_transfer
from beamwright.envs.microscope.ronchigram import ronchigram
from beamwright.envs.microscope.specimens import Specimen
from beamwright.envs.microscope.transfer import phase_transfer
from beamwright.errors import PhysicsWarning

__all__ = ["Exposure", "PhaseContrast", "Ronchigram", "ScannedImage", "exposure_for"]


class Exposure(ABC):
    """One way of exposing: specimen and aberrations in, an image of mean one out.

    Parameters
    ----------
    column
        Optics, grid and names of the coefficients.
    """

    def __init__(self, column: Column) -> None:
        self.column = column

    @abstractmethod
    def imaged(self, specimen: Specimen) -> Tensor:
        """Return the map that is imaged, ``(B, H, W)``."""

    @abstractmethod
    def image(self, spectrum: Tensor, aberrations: Tensor, shift: Tensor) -> Tensor:
        """Return expected images of mean one, ``(B, H, W)``.

        Parameters
        ----------
        spectrum
            ``rfft2`` of the map, ``(B, H, W // 2 + 1)``.
        aberrations
            ``(B, N)`` [nm].
        shift
            Of the specimen in the image, ``(B, 2)`` as (y, x) [nm].
        """

    def power(self, spectrum: Tensor, aberrations: Tensor) -> Tensor | None:
        """Return ``|rfft2(image)|^2`` without its constant part, or None if the image must be made for it.

        A shift has no part in it.
        """
        return None

    def check_optics(self) -> None:
        """Refuse optics that do not fit the pixels.

        Raises
        ------
        MicroscopeError
            If the aperture reaches beyond what the pixels hold.
        """
        height, width = self.grid.shape
        blank = torch.zeros(1, height, width // 2 + 1, dtype=torch.complex64, device=self.column.device)
        self.image(blank, blank.new_zeros(1, len(self.column.names)).real, blank.new_zeros(1, 2).real)

    def check_specimens(self, specimens: Specimen) -> None:  # noqa: B027  most models take any specimen
        """Warn of specimens that do not fit the model of imaging.

        Warns
        -----
        PhysicsWarning
            If they do not.
        """

    def prepare(self, specimen: Specimen) -> Tensor:
        """Return the spectrum that an episode keeps, ``(B, H, W // 2 + 1)``."""
        return torch.fft.rfft2(self.imaged(specimen))

    @functools.cached_property
    def grid(self) -> Grid:
        """The specimen's pixels."""
        return self.column.grid


class ScannedImage(Exposure):
    """Incoherent imaging: the specimen's signal convolved with the probe, as in HAADF-STEM."""

    def imaged(self, specimen: Specimen) -> Tensor:
        """Return the signal, of mean one."""
        return specimen.signal / specimen.signal.mean((-2, -1), keepdim=True).clamp_min(1e-6)

    def image(self, spectrum: Tensor, aberrations: Tensor, shift: Tensor) -> Tensor:
        """See `Exposure.image`."""
        seen = displaced(spectrum, shift, self.grid) * self._transfer(aberrations)
        return torch.fft.irfft2(seen, s=self.grid.shape)

    def power(self, spectrum: Tensor, aberrations: Tensor) -> Tensor:
        """See `Exposure.power`."""
        return _power(spectrum * self._transfer(aberrations))

    def _transfer(self, aberrations: Tensor) -> Tensor:
        return probe_transfer(aberrations, self.column.names, self.column.optics, self.grid)


class Ronchigram(Exposure):
    """The far field of the probe, standing still on a thin specimen."""

    def imaged(self, specimen: Specimen) -> Tensor:
        """Return the phase at the column's voltage [rad]."""
        return specimen.at_voltage(self.column.config.voltage).phase

    def image(self, spectrum: Tensor, aberrations: Tensor, shift: Tensor) -> Tensor:
        """See `Exposure.image`; the mean of one is over the aperture."""
        phase = torch.fft.irfft2(displaced(spectrum, shift, self.grid), s=self.grid.shape)
        return ronchigram(aberrations, self.column.names, self.column.optics, self.grid, phase)


class PhaseContrast(Exposure):
    """Linear phase contrast of a weak object, as of an amorphous film in a TEM."""

    def imaged(self, specimen: Specimen) -> Tensor:
        """Return the phase at the column's voltage less its mean [rad]."""
        phase = specimen.at_voltage(self.column.config.voltage).phase
        return phase - phase.mean((-2, -1), keepdim=True)

    def image(self, spectrum: Tensor, aberrations: Tensor, shift: Tensor) -> Tensor:
        """See `Exposure.image`."""
        seen = displaced(spectrum, shift, self.grid) * self._transfer(aberrations)
        return 1 + 2 * torch.fft.irfft2(seen, s=self.grid.shape)

    def power(self, spectrum: Tensor, aberrations: Tensor) -> Tensor:
        """See `Exposure.power`."""
        return 4 * _power(spectrum * self._transfer(aberrations))

    def check_specimens(self, specimens: Specimen) -> None:
        """See `Exposure.check_specimens`: the phase must be weak."""
        deviation = float(self.imaged(specimens).square().mean((-2, -1)).sqrt().max())
        if deviation > WEAK:
            warnings.warn(
                f"Images that are linear in the phase need one that varies by at most {WEAK:g} rad (root "
                f"mean square), and that of these varies by {deviation:.2g} rad; choose thinner specimens.",
                PhysicsWarning,
                stacklevel=3,
            )

    def _transfer(self, aberrations: Tensor) -> Tensor:
        return phase_transfer(aberrations, self.column.names, self.column.optics, self.grid)


def exposure_for(column: Column) -> Exposure:
    """Return the way of exposing that a configuration asks for."""
    if isinstance(column.config, AlignTEMConfig):
        return PhaseContrast(column)
    probe = column.config.probe if isinstance(column.config, AlignSTEMConfig) else "image"
    return {"image": ScannedImage, "ronchigram": Ronchigram}[probe](column)


def _power(spectrum: Tensor) -> Tensor:
    return spectrum.real.square() + spectrum.imag.square()

"""The column of a configuration: which aberrations it has, and how knobs, tilts and exposures act on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from beamwright.envs.alignment.config import TILTS, AlignConfig
from beamwright.envs.alignment.tilt import tilted
from beamwright.envs.alignment.variants import AlignSTEMConfig, AlignTEMConfig
from beamwright.envs.microscope.aberrations import edge_phase
from beamwright.envs.microscope.criteria import quarter_wave_limits, within_quarter_wave
from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.physics import Optics

__all__ = ["Column"]


@dataclass(frozen=True, eq=False)
class Column:
    """What no episode changes.

    All knobs are turned in radians: the phase that a coefficient makes at the aperture's edge. A tilt of
    the beam counts by the phase of the coma ``3 C30 tilt`` that it makes.

    Parameters
    ----------
    config
        The configuration.
    device
        Where the tensors shall be.
    """

    config: AlignConfig
    device: torch.device

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The N coefficients."""
        return self.config.coefficients()

    @cached_property
    def optics(self) -> Optics:
        """Voltage, aperture and coherence."""
        config = self.config
        return Optics(
            voltage=config.voltage,
            aperture=config.aperture,
            focal_spread=config.focal_spread,
            source_size=config.source_size if isinstance(config, AlignSTEMConfig) else 0.0,
            convergence=config.convergence if isinstance(config, AlignTEMConfig) else 0.0,
        )

    @cached_property
    def grid(self) -> Grid:
        """The specimen's pixels, margin included."""
        return Grid((self.config.size + 2 * self.config.margin,) * 2, self.config.sampling)

    @cached_property
    def radians(self) -> dict[str, float]:
        """Phase at the edge of the aperture of one nm of each coefficient, and of one mrad of tilt [rad]."""
        edges = dict(zip(self.names, edge_phase(self.names, self.optics).tolist(), strict=True))
        coma = edges.get("C21a", 0.0) * 3e-3 * self.config.nominal("C30")
        return edges | dict.fromkeys(TILTS, coma)

    @cached_property
    def unit(self) -> Tensor:
        """Radians per nm or mrad of each knob, ``(K,)``."""
        return torch.tensor([self.radians[name] for name in self.config.knobs], device=self.device)

    @cached_property
    def target(self) -> Tensor:
        """The coefficients of an aligned column, ``(N,)`` [nm]."""
        return torch.tensor([self.config.target.get(name, 0.0) for name in self.names], device=self.device)

    @cached_property
    def _scatter(self) -> Tensor:
        """Tilts [mrad] and coefficients [nm] of one radian of each knob, ``(K, 2 + N)``."""
        columns = (*TILTS, *self.names)
        matrix = torch.zeros(len(self.config.knobs), len(columns), device=self.device)
        for row, name in enumerate(self.config.knobs):
            matrix[row, columns.index(name)] = 1 / self.radians[name]
        return matrix

    @cached_property
    def judged(self) -> tuple[str, ...]:
        """The J coefficients that the knobs can put right; for tilts of the beam that is coma."""
        coma = ("C21a", "C21b") if set(TILTS) & set(self.config.knobs) else ()
        wanted = {*self.config.knobs, *coma}
        return tuple(name for name in self.names if name in wanted)

    @cached_property
    def limits(self) -> Tensor:
        """Quarter-wave limits of the judged coefficients, ``(J,)`` [nm]."""
        return quarter_wave_limits(self.judged, self.optics).to(self.device)

    def of_judged(self, coefficients: Tensor) -> Tensor:
        """Return those columns of coefficients ``(B, N)`` that are judged, ``(B, J)``."""
        return coefficients[:, [self.names.index(name) for name in self.judged]]

    @cached_property
    def _errors(self) -> Tensor:
        """From coefficients [nm] to what each knob has to put right [rad], ``(N, K)``."""
        puts_right = [{"tilt_y": "C21b", "tilt_x": "C21a"}.get(name, name) for name in self.config.knobs]
        matrix = torch.zeros(len(self.names), len(puts_right), device=self.device)
        for column, name in enumerate(puts_right):
            matrix[self.names.index(name), column] = self.radians[name]
        return matrix

    def misalignment(self, residual: Tensor) -> Tensor:
        """Return what each knob has to put right, ``(B, K)`` [rad]; a tilt is there for the coma."""
        return residual @ self._errors

    def within_limits(self, residual: Tensor) -> Tensor:
        """Tell whether all judged aberrations are within a quarter wave, ``(B,)`` bool."""
        return within_quarter_wave(self.of_judged(residual), self.judged, self.optics)

    def aberrations(self, fixed: Tensor, quantities: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coefficients about the beam as it is tilted, and the shift of the image.

        Parameters
        ----------
        fixed
            Tilts [mrad] and coefficients [nm] that no knob touches, ``(B, 2 + N)``.
        quantities
            What the knobs' quantities are, misalignment included, ``(B, K)`` [rad].

        Returns
        -------
        tuple of Tensor
            ``(B, N)`` [nm] and ``(B, 2)`` as (y, x) [nm].
        """
        both = fixed + quantities @ self._scatter  # (B, 2 + N)
        tilt, coefficients = both[:, :2], both[:, 2:]
        if not self.config.tilts():
            return coefficients, torch.zeros_like(tilt)
        around, shift = tilted(coefficients, self.names, tilt)
        # A lens moves the image; a probe that moves the same way finds the specimen moved the other way.
        return around, -shift if isinstance(self.config, AlignSTEMConfig) else shift

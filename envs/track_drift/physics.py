"""What an action does: corrections are made, everything drifts, references are taken."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.envs.alignment.shifting import displaced
from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.corrector import CorrectorState, actual, command, settle
from beamwright.envs.microscope.drift import Drift
from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.probe import probe_transfer
from beamwright.envs.microscope.specimens import SpecimenPool, specimen_pool
from beamwright.envs.track_drift.config import TrackDriftConfig
from beamwright.envs.track_drift.types import TrackState

__all__ = ["Field"]


@dataclass(frozen=True, eq=False)
class Field:
    """A field of view that drifts, simulated.

    Parameters
    ----------
    config
        The configuration.
    device
        Where tensors are.
    """

    config: TrackDriftConfig
    device: torch.device

    @functools.cached_property
    def optics(self) -> Optics:
        """Voltage and aperture."""
        return Optics(voltage=self.config.voltage, aperture=self.config.aperture)

    @functools.cached_property
    def grid(self) -> Grid:
        """The specimen's pixels, margin included."""
        return Grid((self.config.size + 2 * self.config.margin,) * 2, self.config.sampling)

    @functools.cached_property
    def tolerances(self) -> Tensor:
        """Of the position along y and x, and of the focus, ``(3,)`` [nm]."""
        position, focus = self.config.position_tolerance, self.config.focus_tolerance
        return torch.tensor([position, position, focus], device=self.device)

    @functools.cached_property
    def limits(self) -> Tensor:
        """Largest correction of one step, ``(3,)`` [nm]."""
        return torch.tensor([self.config.move_limit] * 2 + [self.config.focus_limit], device=self.device)

    @functools.cached_property
    def pool(self) -> SpecimenPool:
        """The specimens."""
        return specimen_pool(
            self.config.specimen,
            shape=self.grid.shape,
            pixel_size=self.config.sampling,
            split=self.config.split,
            device=str(self.device),
        )

    def check(self) -> None:
        """Make the specimens, and refuse what cannot be simulated before an episode begins.

        Raises
        ------
        MicroscopeError
            If there are no such specimens, or the optics do not fit the pixels.
        """
        signal = self.pool.specimens.signal[:1]
        self.expected(torch.fft.rfft2(signal), torch.zeros(1, 3, device=self.device))

    def specimen(self, streams: Streams) -> Tensor:
        """Return transforms of specimens of mean one, ``(B, H, W // 2 + 1)``."""
        signal = self.pool.draw(streams).signal
        return torch.fft.rfft2(signal / signal.mean((-2, -1), keepdim=True).clamp_min(1e-6))

    def steer(self, steering: CorrectorState, correction: Tensor, streams: Streams) -> CorrectorState:
        """Correct by ``(B, 3)`` [nm], and wait the dead time."""
        return command(steering, correction / self.tolerances, self.config.dead_time, streams)

    def settle(self, steering: CorrectorState, seconds: Tensor | float) -> CorrectorState:
        """Let corrections settle for a time [s], a number or ``(B,)``."""
        return settle(steering, seconds)

    def offsets(self, drift: Drift, steering: CorrectorState) -> Tensor:
        """Return the true offsets, ``(B, 3)`` [nm]."""
        return drift.position + actual(steering) * self.tolerances

    def expected(self, specimen: Tensor, offsets: Tensor) -> Tensor:
        """Return images without noise, of mean one over the specimen.

        Parameters
        ----------
        specimen
            ``(B, H, W // 2 + 1)``.
        offsets
            ``(B, 3)`` [nm].

        Returns
        -------
        Tensor
            ``(B, size, size)``.
        """
        margin = self.config.margin
        seen = displaced(specimen, offsets[:, :2], self.grid)
        seen = seen * probe_transfer(offsets[:, 2:], ("C10",), self.optics, self.grid)
        image = torch.fft.irfft2(seen, s=self.grid.shape)
        return image[..., margin:-margin, margin:-margin].clamp_min(0)

    def acquire(self) -> None:
        """Acquire a frame; a simulation has nothing to do for it, time passes elsewhere."""

    def patches(
        self,
        state: TrackState,
        wanted: Tensor,
        streams: Streams,
        *,
        focus: Sequence[float],
        dose: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Take exposures one after another.

        Parameters
        ----------
        state
            What is exposed.
        wanted
            Where they are wanted, ``(B,)`` bool; elsewhere the result does not matter.
        streams
            For the noise: one number a pixel is taken, wanted or not.
        focus
            Change of the focus for each of E exposures [nm].
        dose
            Of an exposure, in units of the normal one.

        Returns
        -------
        tuple of Tensor
            Counts ``(B, E, size, size)``, and electrons on the specimen ``(B,)``.
        """
        exposures, counts = len(focus), state.counts * dose
        offsets = self.offsets(state.drift, state.steering)[:, None].repeat(1, exposures, 1)  # (B, E, 3)
        offsets[..., 2] += torch.tensor(focus, device=self.device)
        images = self.expected(state.specimen.repeat_interleave(exposures, 0), offsets.flatten(0, 1))
        rate = counts[:, None, None, None] * images.unflatten(0, (-1, exposures))
        return streams.poisson(rate), counts * (exposures * self.config.size**2 / self.config.detected)

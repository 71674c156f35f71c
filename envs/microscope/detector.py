"""From expected electrons to what a detector writes down: efficiency, blur, afterglow, gain and noise.

Counts are [e-] where the gain is 1. Frequencies are [cycles/px].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.batching import Value, check_range, expand, is_off
from beamwright.envs.microscope.relaxation import decay, mean_decay, recurrence
from beamwright.errors import MicroscopeError

__all__ = [
    "Detector",
    "detect",
    "expose",
    "expose_frame",
    "expose_scan",
    "modulation_transfer",
    "noise_transfer",
    "quantum_efficiency",
    "read_out",
]


@dataclass(frozen=True)
class Detector:
    """A camera, or the point detector of a STEM; each number may be one per environment, ``(B,)``.

    Parameters
    ----------
    gain
        Counts per electron.
    dark
        Level without electrons [counts].
    readout
        Standard deviation of the noise of reading a pixel [counts].
    efficiency
        Share of the electrons that is detected: the DQE at frequency zero.
    scatter
        How far from where it hit an electron is detected, standard deviation per axis [px]. It blurs the
        signal, and the noise stays white: the DQE falls with the frequency, as in cameras that count.
    spread
        Standard deviation of the light of one electron [px]. It blurs signal and noise alike: the noise power
        follows the square of the MTF, as in cameras that integrate.
    afterglow
        Share of the light that comes late.
    afterglow_time
        Time constant with which it comes [us].

    Raises
    ------
    MicroscopeError
        If a number is out of its range.
    """

    gain: Value = 1.0
    dark: Value = 0.0
    readout: Value = 0.0
    efficiency: Value = 1.0
    scatter: Value = 0.0
    spread: Value = 0.0
    afterglow: Value = 0.0
    afterglow_time: Value = 1000.0

    def __post_init__(self) -> None:
        check_range(self.gain, "gain of a detector", above=True, cure="1 counts electrons")
        check_range(self.dark, "dark level", "counts", low=-math.inf)
        check_range(self.readout, "readout noise", "counts", cure="0 switches it off")
        check_range(
            self.efficiency, "quantum efficiency", high=1.0, above=True, cure="1 detects every electron"
        )
        check_range(self.scatter, "scatter of electrons", "px", cure="0 switches it off")
        check_range(self.spread, "spread of light", "px", cure="0 switches it off")
        check_range(self.afterglow, "afterglow", high=1.0, cure="it is a share of the light")
        check_range(self.afterglow_time, "time of the afterglow", "us", above=True)

    @property
    def blurs(self) -> bool:
        """Whether neighbouring pixels have to do with each other."""
        return not (is_off(self.scatter) and is_off(self.spread))


def expose(rate: Tensor, detector: Detector, streams: Streams) -> Tensor:
    """Return an image with noise, without afterglow.

    Parameters
    ----------
    rate
        Expected electrons per pixel, ``(B, H, W)``, or per point of a scan, ``(B, N)``.
    detector
        What it is seen by.
    streams
        One number per value is taken, and one more where there is readout noise.

    Returns
    -------
    Tensor
        Counts, of the shape of `rate`.
    """
    return read_out(detect(rate, detector, streams), detector, streams)


def expose_frame(
    rate: Tensor, detector: Detector, streams: Streams, *, dwell: Value, glow: Tensor
) -> tuple[Tensor, Tensor]:
    """Return an image with the afterglow of earlier ones, and the light that is still to come.

    Parameters
    ----------
    rate, detector, streams
        As in `expose`.
    dwell
        Time of the exposure [us], during which electrons come evenly.
    glow
        Light stored at its beginning, ``(B, H, W)`` [e-]; zeros for a rested detector. Over a pause it fades
        by `beamwright.envs.microscope.relaxation.decay`.
    """
    light = detect(rate, detector, streams)  # (B, H, W)
    dims = rate.ndim - 1
    time = expand(detector.afterglow_time, dims)
    late = expand(detector.afterglow, dims) * light
    still, average = decay(expand(dwell, dims), time), mean_decay(expand(dwell, dims), time)
    stored = glow * still + late * average
    return read_out(light + glow - stored, detector, streams), stored


def expose_scan(
    rate: Tensor, detector: Detector, streams: Streams, *, dwell: Value, glow: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the counts along a scan, with the afterglow of points before, and the light still to come.

    Parameters
    ----------
    rate
        Expected electrons per point, ``(B, N)``.
    detector, streams
        As in `expose`.
    dwell
        Time at each point [us]: a number, ``(B,)``, or ``(B or 1, N)``.
    glow
        Light stored at the beginning, ``(B,)`` [e-].
    """
    light = detect(rate, detector, streams)  # (B, N)
    time = torch.as_tensor(expand(detector.afterglow_time, 1), device=light.device)
    dwell = expand(dwell, 1) if isinstance(dwell, Tensor) and dwell.ndim == 1 else dwell
    still = decay(dwell, time).expand(rate.shape)
    late = expand(detector.afterglow, 1) * light * mean_decay(dwell, time)
    stored = recurrence(still, late, start=glow)  # (B, N) at the end of each dwell
    before = torch.cat((glow[:, None], stored[:, :-1]), 1)
    return read_out(light + before - stored, detector, streams), stored[:, -1]


def detect(rate: Tensor, detector: Detector, streams: Streams) -> Tensor:
    """Return the light of the electrons that are detected [e-]: Poisson noise between the two blurs.

    Raises
    ------
    MicroscopeError
        If a detector that blurs is to see the points of a scan, which have no neighbours.
    """
    if detector.blurs and rate.ndim != 3:
        raise MicroscopeError(
            "A detector with scatter or spread has pixels: it sees images (B, H, W), not an array "
            f"{tuple(rate.shape)}; set both to 0 for the points of a scan."
        )
    rate = _blurred(rate, detector.scatter).clamp_min(0)
    if is_off(1.0 - detector.efficiency):
        return _blurred(streams.poisson(rate), detector.spread)
    efficiency = expand(detector.efficiency, rate.ndim - 1)
    return _blurred(streams.poisson(rate * efficiency) / efficiency, detector.spread)


def read_out(light: Tensor, detector: Detector, streams: Streams) -> Tensor:
    """Return light [e-] as counts: gain, readout noise and dark level."""
    dims = light.ndim - 1
    counts = light if is_off(detector.gain - 1.0) else expand(detector.gain, dims) * light
    if not is_off(detector.readout):
        counts = counts + expand(detector.readout, dims) * streams.normal(*light.shape[1:])
    return counts if is_off(detector.dark) else counts + expand(detector.dark, dims)


def modulation_transfer(detector: Detector, frequency: Tensor) -> Tensor:
    """Return the MTF of the two blurs at frequencies ``(..., F)``: without that of the pixel's own square."""
    return _gaussian(detector.scatter, frequency) * _gaussian(detector.spread, frequency)


def noise_transfer(detector: Detector, frequency: Tensor) -> Tensor:
    """Return how the noise of the electrons is transferred: its power is multiplied by the square."""
    return _gaussian(detector.spread, frequency)


def quantum_efficiency(detector: Detector, frequency: Tensor) -> Tensor:
    """Return the DQE at frequencies, before readout noise: ``DQE(0) MTF^2 / NTF^2``.

    References
    ----------
    R. R. Meyer and A. I. Kirkland, Microsc. Res. Tech. 49, 269 (2000).
    """
    transfer = modulation_transfer(detector, frequency) / noise_transfer(detector, frequency)
    return expand(detector.efficiency, frequency.ndim) * transfer**2


def _gaussian(sigma: Value, frequency: Tensor) -> Tensor:
    """Return the transfer of a Gaussian blur of a standard deviation [px]."""
    return torch.exp(-2 * (math.pi * expand(sigma, frequency.ndim) * frequency) ** 2)


def _blurred(image: Tensor, sigma: Value) -> Tensor:
    """Return images ``(B, H, W)`` blurred by a Gaussian, around the edges."""
    if is_off(sigma):
        return image
    height, width = image.shape[-2:]
    y = torch.fft.fftfreq(height, device=image.device)[:, None]
    x = torch.fft.rfftfreq(width, device=image.device)
    transfer = _gaussian(sigma, torch.hypot(y, x))  # (H, W // 2 + 1), or one each
    return torch.fft.irfft2(torch.fft.rfft2(image) * transfer, s=(height, width))

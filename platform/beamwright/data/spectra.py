"""The size of objects, from the radial power spectrum above the noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from beamwright.data.noise_estimates import Correlation
from beamwright.data.sampling import Field

__all__ = ["object_scale"]

_MAX_SIDE = 512
_MIN_SIDE = 32
# Three deviations: half of the pixels of a ring repeat the other half, and the window ties neighbours.
_CHANCE = 6.0
_UNSURE = 0.1
"""How well the spectrum of the noise is known from its corners."""


def object_scale(fields: Sequence[Field], x: Correlation, y: Correlation) -> float | None:
    """Return the typical size of an object [px]: half the period at the mean frequency of the signal.

    For Gaussian blobs that is 1.5 full widths at half maximum, for a lattice half its period.

    Parameters
    ----------
    fields
        Two frames give the spectrum of the signal by their cross spectrum; with one, that of the noise
        is subtracted.
    x, y
        Correlation of the noise along the axes, which shapes its spectrum.

    Returns
    -------
    float or None
        None where no signal stands above the noise.
    """
    scales = [scale for field in fields if (scale := _scale(field.frames, x, y)) is not None]
    return float(np.median(scales)) if scales else None


def _scale(frames: np.ndarray, x: Correlation, y: Correlation) -> float | None:
    side = min(*frames.shape[-2:], _MAX_SIDE)
    if side < _MIN_SIDE:
        return None
    transforms = [_transform(frame[:side, :side]) for frame in frames]
    noise = _noise_power(np.abs(transforms[0]) ** 2, x, y)  # (side, side)
    cross = (transforms[0] * transforms[-1].conj()).real
    single = len(frames) == 1
    signal, count, frequency = _radial(cross - noise if single else cross)
    chance = _radial(noise)[0] * (_CHANCE / np.sqrt(count) + (_UNSURE if single else 0))
    signal[signal < chance] = 0
    if np.count_nonzero(signal) < 2:
        return None
    weight = signal * frequency  # a ring has as many pixels as it is long
    return float(np.sum(weight) / (2 * np.sum(weight * frequency)))


def _transform(image: np.ndarray) -> np.ndarray:
    window = np.hanning(len(image))
    return np.fft.fft2((image - image.mean()) * window * window[:, None])


def _noise_power(power: np.ndarray, x: Correlation, y: Correlation) -> np.ndarray:
    """Return the spectrum of noise with these correlations, scaled to the corners of `power`."""
    frequency = np.fft.fftfreq(len(power))
    shape_x, shape_y = (_spectrum(axis.rho, frequency) for axis in (x, y))
    shape = shape_y[:, None] * shape_x
    corner = (np.abs(frequency[:, None]) > 0.35) & (np.abs(frequency) > 0.35)
    return shape * float(power[corner].sum() / max(shape[corner].sum(), 1e-12))


def _spectrum(rho: np.ndarray, frequency: np.ndarray) -> np.ndarray:
    lags = np.arange(1, len(rho))
    spectrum = 1 + 2 * np.cos(2 * np.pi * np.outer(frequency, lags)) @ rho[1:]
    return np.maximum(spectrum, 0.02)


def _radial(power: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, number of pixels and frequency [1/px] of the rings from the second to Nyquist's."""
    side = len(power)
    index = np.fft.fftfreq(side, 1 / side)
    ring = np.hypot(index[:, None], index).round().astype(int).ravel()
    count = np.bincount(ring)[2 : side // 2]
    total = np.bincount(ring, power.ravel())[2 : side // 2]
    return total / count, count, np.arange(2, side // 2) / side

"""Noise measured on images: its correlation, and its variance as a function of the intensity.

Where a movie has two frames of one field, their difference is pure noise. On single images noise is
what varies faster than objects do: second differences, corrected for the correlation of the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from beamwright.data.fingerprints import Noise
from beamwright.data.sampling import Field

__all__ = ["Correlation", "correlation_of", "estimate_noise"]

_LAGS = 10
_BLOCK = 16
_FLAT_BLOCK = 32
_SIGNIFICANT = 0.05
_QUANTILE = 0.2
_QUANTILE_Z = -0.8416
_BINS = 16


@dataclass(frozen=True, eq=False)
class Correlation:
    """Autocorrelation of noise along one axis.

    Parameters
    ----------
    rho
        ``(lags + 1,)``, one at lag 0, zero from where it cannot be told from white noise.
    """

    rho: np.ndarray

    @property
    def neighbour(self) -> float:
        """Correlation of neighbouring pixels."""
        return float(self.rho[1])

    @property
    def length(self) -> float:
        """Length over which the correlation falls by e [px]; 0 for white noise.

        A part of the noise may be white: the decay is fitted to the lags from 1 on.
        """
        known = int(np.argmin(self.rho > 0)) if (self.rho <= 0).any() else len(self.rho)
        if known < 2:
            return 0.0
        lags = np.arange(1, known)
        if known == 2:
            return float(-1 / np.log(min(self.rho[1], 0.999)))
        slope = np.polyfit(lags, np.log(self.rho[1:known]), 1, w=self.rho[1:known])[0]
        return float(-1 / min(slope, -1e-3))

    def gain(self) -> float:
        """Return the variance that second differences make of noise of variance 1 (6 if it is white)."""
        return max(float(6 - 8 * self.rho[1] + 2 * self.rho[2]), 0.3)


def estimate_noise(fields: Sequence[Field]) -> tuple[Noise, Correlation, Correlation]:
    """Estimate the noise of single frames.

    Parameters
    ----------
    fields
        Movies decide where there are any.

    Returns
    -------
    tuple
        The noise, and its correlation along x and along y.
    """
    movies = [field for field in fields if len(field.frames) == 2]
    if movies:
        differences = [(field.frames[0] - field.frames[1]) / np.sqrt(np.float32(2)) for field in movies]
        x, y = (correlation_of(differences, axis, pure=True) for axis in (-1, -2))
        points = [
            _block_variances(field.mean, noise) for field, noise in zip(movies, differences, strict=True)
        ]
    else:
        images = [field.frames[0] for field in fields]
        x, y = (correlation_of(images, axis, pure=False) for axis in (-1, -2))
        points = [_block_variances(image, _second_differences(image, x, y)) for image in images]
    means, variances = np.concatenate(points, axis=-1)
    gain, offset, sigma, share = _mean_variance(means, variances, pure=bool(movies))
    noise = Noise(
        sigma=sigma, poisson_share=share, gain=gain, offset=offset,
        correlation_x=x.neighbour, correlation_y=y.neighbour,
        correlation_length_x=x.length, correlation_length_y=y.length,
        method="frames" if movies else "residual",
    )  # fmt: skip
    return noise, x, y


def correlation_of(images: Sequence[np.ndarray], axis: int, *, pure: bool) -> Correlation:
    """Measure the autocorrelation of noise along an axis in the flattest blocks.

    Parameters
    ----------
    images
        Each ``(H, W)``.
    axis
        -1 for x, -2 for y.
    pure
        Whether the images are noise only. Otherwise fourth differences across the axis remove the
        objects; the correlation of the noise along the axis is not changed by that.
    """
    blocks = np.concatenate([_flattest(image, 0.5 if pure else 0.1) for image in images])  # (B, n, n)
    along_x = blocks if axis == -1 else blocks.swapaxes(-1, -2)
    if not pure:
        along_x = np.diff(along_x, n=4, axis=-2)
    covariance = np.array(
        [np.mean(along_x[..., : along_x.shape[-1] - lag] * along_x[..., lag:]) for lag in range(_LAGS + 1)]
    )
    rho = covariance / covariance[0] if covariance[0] > 0 else np.eye(1, _LAGS + 1)[0]
    # Differences of rows repeat each pixel's noise, so that fewer than all products are independent.
    independent = along_x.size / (1 if pure else 4)
    limit = max(_SIGNIFICANT, 4 / np.sqrt(independent))
    rho[1:][np.abs(rho[1:]) < limit] = 0
    return Correlation(rho)


def _flattest(image: np.ndarray, share: float) -> np.ndarray:
    """Return the blocks ``(B, n, n)`` that vary least, their mean planes removed."""
    blocks = _without_planes(_blocks(image, min(_FLAT_BLOCK, *image.shape)))
    variance = blocks.var(axis=(-1, -2))
    varying = blocks[variance > 0] if (variance > 0).any() else blocks
    order = np.argsort(varying.var(axis=(-1, -2)))
    return varying[order[: max(int(share * len(order)), min(8, len(order)))]]


def _blocks(image: np.ndarray, size: int) -> np.ndarray:
    """Cut an image into blocks ``(B, size, size)``; what is left at the borders falls away."""
    rows, columns = image.shape[0] // size, image.shape[1] // size
    cut = image[: rows * size, : columns * size].reshape(rows, size, columns, size)
    return cut.swapaxes(1, 2).reshape(-1, size, size)


def _without_planes(blocks: np.ndarray) -> np.ndarray:
    ramp = np.arange(blocks.shape[-1], dtype=np.float32) - (blocks.shape[-1] - 1) / 2
    norm = np.sum(ramp**2) * len(ramp)
    flat = blocks - blocks.mean(axis=(-1, -2), keepdims=True)
    slope_x = np.einsum("bij,j->b", flat, ramp) / norm
    slope_y = np.einsum("bij,i->b", flat, ramp) / norm
    plane: np.ndarray = slope_x[:, None, None] * ramp + slope_y[:, None, None] * ramp[:, None]
    return flat - plane


def _second_differences(image: np.ndarray, x: Correlation, y: Correlation) -> np.ndarray:
    """Return second differences along both axes, scaled to the noise's own variance: ``(H, W)``."""
    scale = np.float32(np.sqrt(x.gain() * y.gain()))
    return np.pad(np.diff(np.diff(image, n=2, axis=0), n=2, axis=1) / scale, 1, mode="edge")


def _block_variances(image: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the mean and the noise variance of every block: ``(2, B)``."""
    size = min(_BLOCK, *image.shape)
    means = _blocks(image, size).mean(axis=(-1, -2), dtype=np.float64)
    centred = noise - noise.mean()  # the beam current may differ between frames
    return np.stack([means, np.square(_blocks(centred, size)).mean(axis=(-1, -2), dtype=np.float64)])


def _mean_variance(
    means: np.ndarray, variances: np.ndarray, *, pure: bool
) -> tuple[float | None, float | None, float, float | None]:
    """Fit ``variance = gain (mean - offset)``; return gain, offset, sigma and Poisson share."""
    level = float(means.mean())
    points = _binned(means, variances, pure=pure)
    typical = float(np.interp(level, *points))
    fit = _line(*points)
    if fit is None:
        return None, None, float(np.sqrt(max(typical, 0))), None
    gain, intercept = fit
    variance = max(gain * level + intercept, np.finfo(float).tiny)
    # No electrons are at zero counts, or below where counts are negative.
    dark = max(gain * min(0.0, float(means.min())) + intercept, 0.0)
    return gain, -intercept / gain, float(np.sqrt(variance)), float(np.clip(1 - dark / variance, 0, 1))


def _binned(means: np.ndarray, variances: np.ndarray, *, pure: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and noise variance in bins of equally many blocks, ascending."""
    count = int(np.clip(len(means) // 24, 1, _BINS))
    groups = np.array_split(np.argsort(means, kind="stable"), count)
    centres = np.array([means[group].mean() for group in groups])
    if pure:
        return centres, np.array([np.median(variances[group]) for group in groups])
    # Objects only add variance, so a low quantile is taken, and corrected for what it is in pure noise
    # (Wilson and Hilferty's chi-square; second differences leave 1 / 3.78 of the degrees of freedom).
    spread = 2 / (9 * _BLOCK**2 / 3.78)
    bias = (1 - spread + _QUANTILE_Z * np.sqrt(spread)) ** 3
    return centres, np.array([np.quantile(variances[group], _QUANTILE) / bias for group in groups])


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float] | None:
    """Return slope and intercept, or None where no growth with the intensity can be told."""
    if len(x) < 4 or np.ptp(x) <= 0 or (y <= 0).any():
        return None
    weights = 1 / y
    for _ in range(3):
        slope, intercept = np.polyfit(x, y, 1, w=weights)
        weights = 1 / np.maximum(slope * x + intercept, 0.1 * y)
    residual = (y - slope * x - intercept) * weights
    centred = x - np.average(x, weights=weights**2)
    error = np.sqrt(np.sum(residual**2) / (len(x) - 2) / np.sum((weights * centred) ** 2))
    return (float(slope), float(intercept)) if slope > 3 * error else None

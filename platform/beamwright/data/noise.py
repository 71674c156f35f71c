"""The noise that a microscope would have added: counting, scan and readout noise."""

from __future__ import annotations

import numpy as np

from beamwright.errors import DataError
from beamwright.experiment import NoiseConfig

__all__ = ["add_noise", "expected_electrons"]


def expected_electrons(image: np.ndarray, noise: NoiseConfig, *, mean: float | None = None) -> np.ndarray:
    """Scale a clean image to the electrons that each pixel expects at the dose.

    Parameters
    ----------
    image
        Clean image ``(..., H, W)`` in any units; its zero is no electrons.
    noise
        The dose [e-/px].
    mean
        The mean of the whole image, where `image` is a patch of it; by default that of `image`.

    Returns
    -------
    ndarray
        Expected electrons [e-], float32, the shape of `image`.

    Raises
    ------
    DataError
        If the mean is not positive, or a value is negative.
    """
    level = float(np.mean(image, dtype=np.float64)) if mean is None else mean
    lowest = float(np.min(image))
    if level <= 0 or lowest < 0:
        raise DataError(
            "Synthetic counting noise needs clean images that are proportional to electrons: none below zero "
            f"and a positive mean, not from {lowest:g} with mean {level:g}; subtract the detector's offset."
        )
    return np.asarray(image, np.float32) * np.float32(noise.dose / level)


def add_noise(
    image: np.ndarray, noise: NoiseConfig, rng: np.random.Generator, *, mean: float | None = None
) -> np.ndarray:
    """Return what a detector would have counted: ``Poisson(dose image / mean)``, scan and readout noise.

    Parameters
    ----------
    image
        Clean image ``(..., H, W)`` in any units; its zero is no electrons.
    noise
        Dose [e-/px], standard deviations [e-] and correlation length [px].
    rng
        Where the randomness comes from.
    mean
        The mean of the whole image, where `image` is a patch of it; by default that of `image`.

    Returns
    -------
    ndarray
        Noisy image [e-], float32; `expected_electrons` is its expectation.

    Raises
    ------
    DataError
        If the mean is not positive, or a value is negative.
    """
    counts = rng.poisson(expected_electrons(image, noise, mean=mean)).astype(np.float32)
    if noise.readout:
        counts += noise.readout * rng.standard_normal(counts.shape, dtype=np.float32)
    if noise.scan:
        counts += noise.scan * _scan_noise(counts.shape, noise.scan_length, rng)
    return counts


def _scan_noise(shape: tuple[int, ...], length: float, rng: np.random.Generator) -> np.ndarray:
    """Return unit noise that decays as ``exp(-|x| / length)`` along x and is independent along y."""
    from scipy.signal import lfilter

    decay = np.exp(-1 / length)
    white = rng.standard_normal(shape, dtype=np.float32)
    # The first column already has the variance that the recursion keeps: the noise is stationary.
    first, steps = white[..., :1], white[..., 1:] * np.sqrt(1 - decay**2)
    rest, _ = lfilter([1.0], [1.0, -decay], steps, axis=-1, zi=decay * first)
    return np.concatenate([first, rest], axis=-1).astype(np.float32)

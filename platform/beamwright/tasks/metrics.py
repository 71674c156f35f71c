"""Figures of merit of restored images: PSNR, SSIM and Fourier ring correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage, signal

__all__ = ["RingCorrelation", "frc", "frc_resolution", "psnr", "ssim", "unbiased_squared_error"]

WINDOW_CORRELATES = (35 / 18) ** 2
"""Pixels of a spectrum that a Hann window makes one independent one: mean(w^4) / mean(w^2)^2, twice."""


def psnr(squared_error: np.ndarray | float, data_range: float) -> np.ndarray:
    """Return the peak signal-to-noise ratio [dB] of mean squared errors.

    Parameters
    ----------
    squared_error
        Of any shape; zero gives infinity.
    data_range
        What counts as the peak, in the units of the images.
    """
    with np.errstate(divide="ignore"):
        return 10 * np.log10(data_range**2 / np.asarray(squared_error, dtype=np.float64))


def unbiased_squared_error(output: np.ndarray, noisy: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Estimate, pixel by pixel, the squared error to the clean image that nobody has.

    `noisy` = clean + a and `reference` = clean + b, with independent noise of equal variance. The naive
    error to the reference is too large by the variance of b; half the squared difference of the two
    frames has this variance as its expectation. Single pixels may be negative; the mean over an image
    estimates the true mean squared error as long as `output` was made without the reference.

    Parameters
    ----------
    output, noisy, reference
        Each ``(H, W)``: the restored image, what it was restored from, and the other frame.

    References
    ----------
    .. [1] J. Lehtinen et al., Noise2Noise, ICML 2018, section 2, for why the reference may be noisy.
    """
    return (output - reference) ** 2 - (noisy - reference) ** 2 / 2


def ssim(output: np.ndarray, reference: np.ndarray, data_range: float) -> float:
    """Return the structural similarity of two images ``(H, W)``, as Wang et al. (2004) define it."""
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            output.astype(np.float32, copy=False),
            reference.astype(np.float32, copy=False),
            data_range=data_range,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
    )


@dataclass(frozen=True)
class RingCorrelation:
    """A curve of Fourier ring correlation.

    Parameters
    ----------
    frequency
        Centres of the rings, ``(rings,)`` [1/px], up to 0.5.
    correlation
        ``(rings,)``, in [-1, 1].
    chance
        What images that share nothing reach in none of ten thousand rings, ``(rings,)``, in [0, 1].
    """

    frequency: np.ndarray
    correlation: np.ndarray
    chance: np.ndarray


def frc(first: np.ndarray, second: np.ndarray) -> RingCorrelation:
    """Correlate two images ring by ring in Fourier space.

    The mean is removed and a Hann window laid over both, so that the borders do not correlate. Before sums
    over rings are divided, each ring is joined by its neighbours up to a sixteenth of its radius: single
    rings of a small image are noisy enough to cross a threshold by chance.

    Parameters
    ----------
    first, second
        ``(H, W)``; any scale and offset. Two images that share more than the specimen, such as two outputs
        of one network, correlate by what they share: compare an output with a raw frame it has not seen.

    References
    ----------
    .. [1] N. Banterle et al., J. Struct. Biol. 183 (2013) 363, equation 1.
    .. [2] M. van Heel and M. Schatz, J. Struct. Biol. 151 (2005) 250, for the level of chance:
       three standard deviations. Its number of pixels is reduced, as there, by what the window correlates.
    """
    window = np.outer(*(signal.windows.hann(size, sym=False) for size in first.shape)).astype(np.float32)
    spectra = [
        fft.rfft2((image - image.mean(dtype=np.float64)).astype(np.float32) * window)
        for image in (first, second)
    ]
    rings = min(first.shape) // 2
    radius = np.hypot(fft.fftfreq(first.shape[0])[:, None], fft.rfftfreq(first.shape[1]))  # [1/px]
    ring = np.minimum(
        (radius * 2 * rings).astype(np.intp), rings
    )  # the corners beyond 0.5/px fall into the last
    cross, *powers = (
        _ring_sums(ring, product, rings)
        for product in (
            (spectra[0] * spectra[1].conj()).real,
            np.abs(spectra[0]) ** 2,
            np.abs(spectra[1]) ** 2,
        )
    )
    norm = np.sqrt(powers[0] * powers[1])
    correlation = np.divide(cross, norm, out=np.zeros_like(cross), where=norm > 0)
    pixels = 2 * _ring_sums(ring, np.ones(ring.shape), rings) / WINDOW_CORRELATES
    # Fisher's transformation, under which the standard deviation is the same for every correlation.
    chance = np.tanh(3 / np.sqrt(pixels / 2))
    return RingCorrelation((np.arange(rings) + 0.5) / (2 * rings), correlation, chance)


def _ring_sums(ring: np.ndarray, values: np.ndarray, rings: int) -> np.ndarray:
    """Return sums over rings, each with its neighbours up to a sixteenth of its radius."""
    sums = np.bincount(ring.ravel(), weights=values.ravel(), minlength=rings + 1)[:rings]
    running = np.concatenate([[0.0], np.cumsum(sums)])
    at = np.arange(rings)
    reach = np.maximum(1, at // 16)
    return running[np.minimum(at + reach + 1, rings)] - running[np.maximum(at - reach, 0)]


def frc_resolution(curve: RingCorrelation, *, threshold: float = 1 / 7, pixel_size: float = 1.0) -> float:
    """Return the resolution at which the correlation falls below a threshold for the last time.

    The last time, because images of crystals correlate at their reflections only and the curve has gaps
    between them; where it falls steadily the first time is the last. A band of rings above the threshold
    counts if somewhere in it the correlation is above chance as well: among the many rings of a small
    image one is above the threshold by accident.

    Which threshold: two independent noisy halves are compared at **1/7** in super-resolution and SEM work
    and at **0.143** in cryo-EM (Rosenthal and Henderson 2003); the two agree to three digits, being the
    same argument rounded differently. A result against a clean reference, or a map against a model, is
    by convention judged at **0.5**.

    Parameters
    ----------
    threshold
        Of the correlation.
    pixel_size
        [nm] gives the resolution in nm; 1 gives it in pixels.

    Returns
    -------
    resolution
        Full period; twice the pixel size (Nyquist) when the curve ends above the threshold, the width of
        the image when nothing is above chance.
    """
    above = curve.correlation >= threshold
    significant = above & (curve.correlation >= curve.chance)
    if not significant.any():
        return pixel_size / float(curve.frequency[0]) / 2
    bands, _ = ndimage.label(above)
    last = int(np.flatnonzero(bands == bands[significant][-1])[-1])
    if last == len(above) - 1:
        return 2 * pixel_size
    pair = slice(last, last + 2)
    frequency = np.interp(-threshold, -curve.correlation[pair], curve.frequency[pair])
    return pixel_size / float(frequency)

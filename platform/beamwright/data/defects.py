"""Pixels of the detector that are stuck: brighter or darker than all their neighbours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from beamwright.data.fingerprints import Noise
from beamwright.data.sampling import Field

__all__ = ["count_defects"]

_SIGMAS = 6.0
_RANGE = 0.5


def count_defects(fields: Sequence[Field], noise: Noise) -> tuple[int, int]:
    """Return the numbers of dead and of hot pixels in a frame.

    Parameters
    ----------
    fields
        Where several frames have one shape, a pixel counts if it stands out in at least half of them.
    noise
        Tells how far a pixel stands out by chance.
    """
    by_shape: dict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)
    area = {}
    for field in fields:
        by_shape[field.file.shape[-2:]] += list(field.frames)
        area[field.file.shape[-2:]] = np.prod(field.file.shape[-2:]) / field.frames[0].size
    shape, frames = max(by_shape.items(), key=lambda item: len(item[1]))
    needed = max((len(frames) + 1) // 2, 1)
    dead, hot = (
        np.sum([_stands_out(sign * frame, sign, noise) for frame in frames], axis=0) >= needed
        for sign in (-1, 1)
    )
    return round(float(dead.sum() * area[shape])), round(float(hot.sum() * area[shape]))


def _stands_out(image: np.ndarray, sign: int, noise: Noise) -> np.ndarray:
    """Tell where an image (negated for dead pixels) exceeds all neighbours by more than chance."""
    from scipy.ndimage import maximum_filter

    around = np.ones((3, 3), bool)
    around[1, 1] = False
    neighbours = maximum_filter(image, footprint=around, mode="reflect")
    low, high = np.percentile(image[::2, ::2], (1, 99))
    margin = np.maximum(_SIGMAS * _sigma(sign * neighbours, noise), _RANGE * (high - low))
    found: np.ndarray = image - neighbours > margin
    return found


def _sigma(level: np.ndarray, noise: Noise) -> np.ndarray | float:
    """Return the standard deviation of the noise at these intensities."""
    if noise.gain is None or noise.offset is None:
        return noise.sigma
    variance: np.ndarray = np.sqrt(np.maximum(noise.gain * (level - noise.offset), 0.01 * noise.sigma**2))
    return variance

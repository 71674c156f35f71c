"""The cover picture of a bundle: input beside output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

__all__ = ["write_cover"]


def write_cover(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32], path: Path) -> None:
    """Write a PNG twice as wide as high, both halves on the grey scale of the input.

    Parameters
    ----------
    before, after
        Images (H, W); of a volume the middle plane, of a spectrum a band.
    path
        Where the picture goes.
    """
    halves = [_plane(image) for image in (before, after)]
    low, high = np.percentile(halves[0], (0.5, 99.5))
    grey = (np.hstack(halves) - low) / max(high - low, np.finfo(np.float32).tiny)
    Image.fromarray((np.clip(grey, 0, 1) * 255).astype(np.uint8)).save(path, optimize=True)


def _plane(image: npt.NDArray[np.float32], edge: int = 384) -> npt.NDArray[np.float32]:
    if image.ndim == 3:
        image = image[len(image) // 2]
    if image.ndim == 1:
        image = np.tile(image, (image.size, 1))
    side = min(edge, *image.shape)
    top, left = ((length - side) // 2 for length in image.shape)
    return image[top : top + side, left : left + side]

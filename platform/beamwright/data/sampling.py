"""A bounded sample of the pixels: what every estimate of the fingerprint is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from beamwright.data.image import ImageFile

__all__ = ["Field", "sample_fields", "spread"]

_MAX_FIELDS = 12
_MIN_SIDE = 256


@dataclass(frozen=True, eq=False)
class Field:
    """The middle of one field of view.

    Parameters
    ----------
    file
        Where it comes from.
    frames
        One frame, or two neighbouring ones of a movie: ``(1 or 2, H, W)`` float32.
    """

    file: ImageFile
    frames: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """The mean of the frames ``(H, W)``."""
        mean: np.ndarray = self.frames.mean(axis=0)
        return mean


def sample_fields(files: Mapping[str, Sequence[ImageFile]], *, max_pixels: int) -> tuple[Field, ...]:
    """Cut the middle out of a few files, those of the first role if it has enough.

    Parameters
    ----------
    files
        By role, the training files first.
    max_pixels
        Bound on the pixels that are returned.
    """
    pool = next((group for group in files.values() if group), ())
    chosen = spread(pool, _MAX_FIELDS)
    total = sum(min(file.frames, 2) if file.kind == "movie" else 1 for file in chosen)
    side = max(int(np.sqrt(max_pixels / max(total, 1))), _MIN_SIDE)
    return tuple(_field(file, side) for file in chosen)


def spread(items: Sequence[ImageFile], count: int) -> list[ImageFile]:
    """Return up to `count` items, evenly spread over the sequence."""
    where = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    return [items[index] for index in where]


def _field(file: ImageFile, side: int) -> Field:
    middle = file.frames // 2
    indices = (middle - 1, middle) if file.kind == "movie" and file.frames > 1 else (middle,)
    frames = [_middle(file.read(index), side).astype(np.float32) for index in indices]
    return Field(file, np.stack(frames))


def _middle(image: np.ndarray, side: int) -> np.ndarray:
    where = tuple(
        slice(max((length - side) // 2, 0), max((length - side) // 2, 0) + side) for length in image.shape
    )
    return image[where]

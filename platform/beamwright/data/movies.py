"""Movies: several noisy frames of one field, as two independent images of it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from beamwright.data.image import ImageFile
from beamwright.errors import DataError

__all__ = ["even_odd"]


def even_odd(file: ImageFile) -> tuple[np.ndarray, np.ndarray]:
    """Sum the even and the odd frames of a movie, reading one frame at a time.

    Returns
    -------
    tuple of ndarray
        Two images ``(H, W)``, float32, of equally many frames: the last of an odd number is left out.

    Raises
    ------
    DataError
        If the file has fewer than two frames.
    """
    if file.frames < 2:
        raise DataError(f"{file.name}: even and odd sums need two frames of one field, not {file.frames}.")
    return _sums(file.stream(), file.frames // 2 * 2)


def _sums(frames: Iterable[np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    sums: list[np.ndarray] = []
    for index, frame in enumerate(frames):
        if index < 2:
            sums.append(frame.astype(np.float32))
        elif index < count:
            sums[index % 2] += frame
    return sums[0], sums[1]

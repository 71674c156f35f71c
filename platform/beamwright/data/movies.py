"""Movies: several noisy frames of one field, as two independent images of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from beamwright.data.image import ImageFile
from beamwright.errors import DataError

__all__ = ["even_odd", "pair_frames", "read_pair"]


def pair_frames(frames: int) -> tuple[tuple[int, int], ...]:
    """Return the pairs of neighbouring frames that cover a movie; neighbours drift least.

    Parameters
    ----------
    frames
        Number of frames. With an odd number the last frame is in a second pair with its neighbour.

    Raises
    ------
    DataError
        If there are fewer than two.
    """
    if frames < 2:
        raise DataError(f"A pair needs two frames of one field, not {frames}; use movies, or another regime.")
    starts = [*range(0, frames - 1, 2)] + ([frames - 2] if frames % 2 else [])
    return tuple((start, start + 1) for start in starts)


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


def read_pair(
    file: ImageFile, index: int = 0, *, pairs: Literal["frames", "even_odd"] = "frames"
) -> tuple[np.ndarray, np.ndarray]:
    """Return two noisy images ``(H, W)`` float32 of one field: a pair of frames, or the two sums.

    Raises
    ------
    DataError
        If the file has fewer than two frames.
    """
    if pairs == "even_odd":
        return even_odd(file)
    first, second = pair_frames(file.frames)[index]
    return file.read(first).astype(np.float32), file.read(second).astype(np.float32)


def _sums(frames: Iterable[np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    sums: list[np.ndarray] = []
    for index, frame in enumerate(frames):
        if index < 2:
            sums.append(frame.astype(np.float32))
        elif index < count:
            sums[index % 2] += frame
    return sums[0], sums[1]

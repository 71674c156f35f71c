"""Results on disk: arrays that are filled through memory maps and become files when they are complete."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from beamwright.data import formats
from beamwright.data.image import ImageFile
from beamwright.data.writing import describe_mrc, tiff_options
from beamwright.errors import DataError

__all__ = ["WRITERS", "writing"]

Result = npt.NDArray[np.float32]

_TIFF_LIMIT = 2**32 - 2**25  # what classic TIFF, and so ImageJ's flavour of it, can address


@contextmanager
def writing(target: Path, file: ImageFile) -> Iterator[Result]:
    """Give an array on disk that takes the target's place when all of it is written.

    Parameters
    ----------
    target
        Where the result goes; its suffix is one of `WRITERS`.
    file
        The input: the result has its shape, pixel size and voltage.

    Yields
    ------
    numpy.ndarray
        float32, to be filled.  # (N, H, W)

    Raises
    ------
    DataError
        If the result cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".writing-") as scratch:
            part = Path(scratch) / target.name
            with WRITERS[formats.suffix(target)](part, file) as array:
                yield array.reshape(-1, *file.shape[-2:])
            os.replace(part, target)
    except OSError as error:
        raise DataError(
            f"{target}: cannot be written ({error}); free space or give another output."
        ) from error


@contextmanager
def _mrc(path: Path, file: ImageFile) -> Iterator[Result]:
    import mrcfile

    with mrcfile.new_mmap(path, file.shape, mrc_mode=2, overwrite=True) as mrc:
        stack = len(file.shape) == 3 and file.kind != "volume"
        describe_mrc(mrc, stack=stack, pixel_size=file.pixel_size, voltage=file.voltage)
        yield mrc.data
        header = mrc.header
        header.dmin, header.dmax, header.dmean, header.rms = _statistics(mrc.data)


@contextmanager
def _tiff(path: Path, file: ImageFile) -> Iterator[Result]:
    import tifffile

    imagej = 4 * prod(file.shape) < _TIFF_LIMIT
    options = tiff_options(
        imagej=imagej, stack=len(file.shape) == 3, pixel_size=file.pixel_size, voltage=file.voltage
    )
    array = tifffile.memmap(path, shape=file.shape, dtype=np.float32, bigtiff=not imagej, **options)
    yield array
    array.flush()


@contextmanager
def _npy(path: Path, file: ImageFile) -> Iterator[Result]:
    array = np.lib.format.open_memmap(path, "w+", np.float32, file.shape)
    yield array
    array.flush()


WRITERS = {
    ".tif": _tiff,
    ".tiff": _tiff,
    ".npy": _npy,
    **dict.fromkeys((".mrc", ".mrcs", ".map", ".st", ".ali", ".rec"), _mrc),
}
"""Suffixes that results can have."""


def _statistics(array: Result) -> tuple[float, float, float, float]:
    """Return minimum, maximum, mean and standard deviation, without a copy of the whole."""
    flat = array.reshape(-1)
    parts = [flat[start : start + 2**22] for start in range(0, flat.size, 2**22)]
    low, high = min(part.min() for part in parts), max(part.max() for part in parts)
    mean = sum(part.sum(dtype=np.float64) for part in parts) / flat.size
    variance = sum(np.square(part - mean, dtype=np.float64).sum() for part in parts) / flat.size
    return float(low), float(high), float(mean), float(variance**0.5)

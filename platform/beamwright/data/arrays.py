"""NumPy's own files: npy, memory-mapped, and npz, of which every member that can be an image is one."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from beamwright.data.checks import check_promise, handles, some
from beamwright.data.image import ImageFile
from beamwright.data.streams import StreamedArray
from beamwright.errors import DataError

__all__ = ["open_file", "opened"]

_DEFLATE_RATIO = 1100
"""Deflate cannot pack better than 1032:1."""


def open_file(path: Path) -> tuple[ImageFile, ...]:
    """Read the headers of an npy or npz file."""
    if path.suffix.lower() == ".npy":
        with path.open("rb") as stream:
            shape, _, dtype, offset = _header(stream)
        check_promise(_nbytes(shape, dtype), path.stat().st_size - offset)
        return handles(path, shape, dtype, kind="unknown")
    with zipfile.ZipFile(path) as archive:
        return _members(path, archive)


@contextmanager
def opened(file: ImageFile) -> Iterator[Any]:
    """Map an npy file into memory; unpack a member of an npz frame by frame."""
    if file.key is None:
        yield np.load(file.path, mmap_mode="r", allow_pickle=False)
        return
    with zipfile.ZipFile(file.path) as archive, archive.open(f"{file.key}.npy") as stream:
        shape, fortran, dtype, offset = _header(stream)
        packed = StreamedArray(stream, offset, shape[::-1] if fortran else shape, dtype)
        yield packed[...].T if fortran else packed


def _members(path: Path, archive: zipfile.ZipFile) -> tuple[ImageFile, ...]:
    found: list[ImageFile] = []
    faults = []
    for info in archive.infolist():
        if not info.filename.endswith(".npy"):
            continue
        try:
            found += _member(path, archive, info)
        except DataError as error:
            faults.append(f"{info.filename.removesuffix('.npy')}: {error}")
    if not found:
        raise DataError("none of its members is an image: " + some(faults))
    return tuple(found)


def _member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[ImageFile, ...]:
    with archive.open(info) as stream:
        shape, _, dtype, offset = _header(stream)
    files = handles(path, shape, dtype, kind="unknown", key=info.filename.removesuffix(".npy"))
    check_promise(_nbytes(shape, dtype), info.file_size - offset)
    check_promise(info.file_size, info.compress_size + 64, ratio=_DEFLATE_RATIO)
    return files


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    version = npy.read_magic(stream)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    if dtype.hasobject:
        raise DataError("it holds Python objects, which are never loaded: they could run code.")
    return shape, fortran, dtype, stream.tell()


def _nbytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    return math.prod(shape) * dtype.itemsize

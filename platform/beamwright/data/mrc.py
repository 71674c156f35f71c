"""MRC2014 files (``.mrc .mrcs .map .st .ali .rec``), also packed by gzip or bzip2.

Only the header is parsed here, so that pixels can be memory-mapped, or unpacked frame by frame; its
layout, its types and FEI's extended header are those of mrcfile.
"""

from __future__ import annotations

import bz2
import gzip
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from mrcfile import utils
from mrcfile.dtypes import HEADER_DTYPE, get_ext_header_dtype

from beamwright.data.checks import check_promise, handles
from beamwright.data.image import ImageFile
from beamwright.data.streams import StreamedArray, read_exactly
from beamwright.errors import DataError

__all__ = ["VOLTAGE_LABEL", "open_file", "opened"]

VOLTAGE_LABEL = "Acceleration voltage [kV]: "
"""MRC has no field for the voltage, so it is written, and looked for, in a label."""

_PACKERS = {".gz": gzip.open, ".bz2": bz2.open}


@dataclass(frozen=True)
class _Layout:
    header: np.recarray
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int
    extended: bytes

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def open_file(path: Path) -> tuple[ImageFile, ...]:
    """Read the header of an MRC file."""
    with _stream(path) as stream:
        layout = _layout(stream)
    if not _packed(path):
        check_promise(layout.nbytes, path.stat().st_size - layout.offset)
    pixel_size, voltage = _instrument(layout)
    return handles(
        path, layout.shape, layout.dtype, pixel_size=pixel_size, voltage=voltage, kind=_kind(layout)
    )


@contextmanager
def opened(file: ImageFile) -> Iterator[Any]:
    """Map the pixels into memory, or unpack them as they are asked for."""
    with _stream(file.path) as stream:
        layout = _layout(stream)
        if _packed(file.path):
            yield StreamedArray(stream, layout.offset, layout.shape, layout.dtype)
            return
    yield np.memmap(file.path, layout.dtype, mode="r", offset=layout.offset, shape=layout.shape)


def _packed(path: Path) -> bool:
    return path.suffix.lower() in _PACKERS


def _stream(path: Path) -> IO[bytes]:
    packer: Any = _PACKERS.get(path.suffix.lower(), open)
    stream: IO[bytes] = packer(path, "rb")
    return stream


def _layout(stream: IO[bytes]) -> _Layout:
    header = _byte_order(read_exactly(stream, HEADER_DTYPE.itemsize))
    sizes = [int(header[name]) for name in ("nx", "ny", "nz", "nsymbt")]
    if min(sizes[:3]) <= 0 or sizes[3] < 0:
        raise DataError(
            f"its header is not one of MRC: nx, ny, nz = {sizes[:3]}, extended header {sizes[3]} bytes."
        )
    try:
        dtype = utils.data_dtype_from_header(header)
    except ValueError:
        raise DataError(
            f"its pixels are of MRC mode {header.mode}; modes 0, 1, 2, 6 and 12 are read."
        ) from None
    if utils.spacegroup_is_volume_stack(header.ispg) and not 0 < header.mz <= header.nz:
        raise DataError(f"its header says volumes of {header.mz} sections in a file of {header.nz}.")
    extended = get_ext_header_dtype(header.exttyp, header.mode.dtype.byteorder)
    wanted = min(sizes[3], extended.itemsize if extended is not None else 0)
    return _Layout(
        header, utils.data_shape_from_header(header), dtype, HEADER_DTYPE.itemsize + sizes[3],
        read_exactly(stream, wanted),
    )  # fmt: skip


def _byte_order(head: bytes) -> np.recarray:
    """Take the byte order in which mode and size make sense: machine stamps are often missing or wrong."""
    orders = [
        np.frombuffer(head, HEADER_DTYPE.newbyteorder(order)).reshape(()).view(np.recarray) for order in "<>"
    ]
    return min(orders, key=lambda header: (not 0 <= header.mode < 256, abs(int(header.nx))))


def _instrument(layout: _Layout) -> tuple[float | None, float | None]:
    """Return pixel size [nm] and voltage [kV]: the header's, else those of FEI's extended header."""
    header = layout.header
    pixel_size = float(header.cella.x) / int(header.mx) / 10 if header.mx > 0 else 0.0  # cell in Å
    labels = b" ".join(header.label).decode("ascii", "replace")
    found = re.search(re.escape(VOLTAGE_LABEL) + r"([\d.]+)", labels)
    voltage = float(found.group(1)) if found else 0.0
    dtype = get_ext_header_dtype(header.exttyp, header.mode.dtype.byteorder)
    if dtype is not None and len(layout.extended) == dtype.itemsize:
        fei = np.frombuffer(layout.extended, dtype)[0]
        voltage = voltage or float(fei["HT"]) / 1e3  # V
        pixel_size = pixel_size or float(fei["Pixel size X"]) * 1e9  # m
    return _positive(pixel_size), _positive(voltage)


def _positive(value: float) -> float | None:
    return value if np.isfinite(value) and value > 0 else None


def _kind(layout: _Layout) -> str:
    header = layout.header
    if utils.spacegroup_is_volume_stack(header.ispg) or (header.ispg == 1 and header.mz == header.nz):
        return "volume"
    return "unknown"

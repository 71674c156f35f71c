"""Writing images with their pixel size, all or nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from beamwright.data import formats
from beamwright.errors import DataError

__all__ = ["describe_mrc", "tiff_options", "write_image"]


def write_image(
    path: str | Path, array: np.ndarray, *, pixel_size: float | None = None, voltage: float | None = None
) -> None:
    """Write an image or a stack; an interrupted write leaves nothing behind.

    Parameters
    ----------
    path
        ``.mrc`` (also ``.mrcs``, ``.map``, ``.st`` and packed) and ``.tif`` keep pixel size and voltage;
        ``.npy`` and ``.png`` (an image of 8 or 16 bits) do not.
    array
        ``(H, W)`` or ``(N, H, W)``. What the format has no type for is written as float32.
    pixel_size
        Pixel size [nm].
    voltage
        Acceleration voltage [kV].

    Raises
    ------
    DataError
        If the suffix is none of these, or the array does not fit the format.
    """
    path, array = Path(path), np.asarray(array)
    ending = formats.suffix(path)
    if ending not in _WRITERS:
        raise DataError(
            f'{path}: images are written as {", ".join(sorted(_WRITERS))}, not as "{path.suffix}".'
        )
    if array.ndim not in (2, 3):
        raise DataError(
            f"{path}: an image is (H, W) and a stack (N, H, W); this has the shape {array.shape}."
        )
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        # The name keeps its suffix: writers choose the packing by it.
        part = Path(folder) / f"image{ending}"
        _WRITERS[ending](part, array, pixel_size, voltage)
        os.replace(part, path)


def _write_mrc(path: Path, array: np.ndarray, pixel_size: float | None, voltage: float | None) -> None:
    import mrcfile

    packing = {".gz": "gzip", ".bz2": "bzip2"}.get(path.suffix)
    with mrcfile.new(path, compression=packing) as mrc:
        mrc.set_data(_as_type(array, ("int8", "int16", "uint16", "float16", "float32")))
        describe_mrc(mrc, stack=array.ndim == 3, pixel_size=pixel_size, voltage=voltage)


def describe_mrc(mrc: Any, *, stack: bool, pixel_size: float | None, voltage: float | None) -> None:
    """Write into the header of an open MRC file what its frames, pixels [nm] and voltage [kV] are."""
    from beamwright.data.mrc import VOLTAGE_LABEL

    if stack:
        mrc.set_image_stack()
    if pixel_size is not None:
        mrc.voxel_size = pixel_size * 10  # Å
    if voltage is not None:
        mrc.add_label(f"{VOLTAGE_LABEL}{voltage:.9g}")


def _write_tiff(path: Path, array: np.ndarray, pixel_size: float | None, voltage: float | None) -> None:
    import tifffile

    # ImageJ's flavour knows these types only, and is what others read the unit nm from.
    imagej = array.dtype.name in ("uint8", "uint16", "float32")
    options = tiff_options(imagej=imagej, stack=array.ndim == 3, pixel_size=pixel_size, voltage=voltage)
    tifffile.imwrite(path, array, **options)


def tiff_options(
    *, imagej: bool, stack: bool, pixel_size: float | None, voltage: float | None
) -> dict[str, Any]:
    """Return how tifffile writes grey images with their pixel size [nm] and voltage [kV]."""
    metadata: dict[str, Any] = {"axes": "TYX" if stack else "YX"}
    options: dict[str, Any] = {"imagej": imagej, "metadata": metadata, "photometric": "minisblack"}
    if voltage is not None:
        metadata["voltage_kv"] = voltage
    if pixel_size is not None:
        per_unit = (1 if imagej else 1e7) / pixel_size
        options |= {"resolution": (per_unit, per_unit), "resolutionunit": "NONE" if imagej else "CENTIMETER"}
        metadata |= {"unit": "nm"} if imagej else {}
    return options


def _write_npy(path: Path, array: np.ndarray, pixel_size: float | None, voltage: float | None) -> None:
    np.save(path, array, allow_pickle=False)


def _write_png(path: Path, array: np.ndarray, pixel_size: float | None, voltage: float | None) -> None:
    from PIL import Image

    if array.ndim != 2 or array.dtype not in (np.uint8, np.uint16):
        raise DataError(
            f"PNG holds an image of uint8 or uint16, not {array.dtype} of shape {array.shape}; use .tif."
        )
    Image.fromarray(np.ascontiguousarray(array)).save(path)


def _as_type(array: np.ndarray, known: tuple[str, ...]) -> np.ndarray:
    return array if array.dtype.name in known or array.dtype == np.uint8 else array.astype(np.float32)


_Writer = Callable[[Path, np.ndarray, float | None, float | None], None]
_WRITERS: dict[str, _Writer] = {
    ".tif": _write_tiff, ".tiff": _write_tiff, ".npy": _write_npy, ".png": _write_png,
    **{ending: _write_mrc for ending, module in formats.READERS.items() if module == "mrc"},
}  # fmt: skip

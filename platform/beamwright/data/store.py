"""Zarr stores (versions 2 and 3), an array or a group of arrays; OME-Zarr at full resolution."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zarr

from beamwright.data.checks import handles, some
from beamwright.data.image import ImageFile
from beamwright.data.units import nanometres
from beamwright.errors import DataError

__all__ = ["open_file", "opened"]

_SPARSE = 10_000
"""Zarr leaves out chunks that are zero; a store with a smaller share than one in so many is damaged."""

_METADATA = {"zarr.json", ".zarray", ".zattrs", ".zgroup", ".zmetadata"}


def open_file(path: Path) -> tuple[ImageFile, ...]:
    """Read the metadata of a zarr store."""
    root = zarr.open(path, mode="r")
    if isinstance(root, zarr.Array):
        return _array(path, root, None, None)
    levels = _multiscales(root)
    if levels:
        key, pixel_size = levels
        return _array(path, root[key], key, pixel_size)
    found: list[ImageFile] = []
    faults = []
    for key, array in sorted(root.arrays()):
        try:
            found += _array(path, array, key, None)
        except DataError as error:
            faults.append(f"{key}: {error}")
    if not found:
        raise DataError("none of its arrays is an image: " + some(faults))
    return tuple(found)


@contextmanager
def opened(file: ImageFile) -> Iterator[Any]:
    """Open a store; the chunks are read that an index touches."""
    root: Any = zarr.open(file.path, mode="r")
    yield root if file.key is None else root[file.key]


def _array(path: Path, array: Any, key: str | None, pixel_size: float | None) -> tuple[ImageFile, ...]:
    files = handles(path, array.shape, array.dtype, kind="unknown", key=key, pixel_size=pixel_size)
    _check_chunks(path / (key or ""), array)
    return files


def _check_chunks(folder: Path, array: Any) -> None:
    """Compare the chunks by the metadata with the files that there are; zarr's own count tries each name."""
    grid = zip(array.shape, array.shards or array.chunks, strict=True)
    promised = math.prod(-(-length // chunk) for length, chunk in grid)
    held = sum(path.is_file() and path.name not in _METADATA for path in folder.rglob("*"))
    if promised > held * _SPARSE:
        raise DataError(
            f"its metadata promise {promised:,} chunks and the store holds {held:,}: it is incomplete; "
            "copy it again."
        )


def _multiscales(group: Any) -> tuple[str, float | None] | None:
    """Return the full resolution of an OME-Zarr image and its pixel size [nm]."""
    attributes = group.attrs.asdict()
    multiscales = attributes.get("ome", attributes).get("multiscales")
    if not multiscales:
        return None
    level = multiscales[0]["datasets"][0]
    scales = [step["scale"] for step in level.get("coordinateTransformations", ()) if "scale" in step]
    axes = multiscales[0].get("axes", ())
    unit = axes[-1].get("unit") if axes and isinstance(axes[-1], Mapping) else None
    return level["path"], nanometres(scales[0][-1], unit) if scales else None

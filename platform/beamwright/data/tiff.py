"""TIFF: single images and stacks, memory-mapped where they are not packed."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from beamwright.data.checks import as_grey, check_promise, handles
from beamwright.data.image import ImageFile
from beamwright.data.units import nanometres
from beamwright.errors import DataError

__all__ = ["open_file", "opened"]

_RATIO = 5_000
"""More than LZW and deflate can pack; a larger promise is damage."""

_UNITS = {2: 25.4e6, 3: 1e7}
"""Nanometres in the resolution units of TIFF: inch and centimetre."""

# tifffile logs what it finds odd; what matters is raised here.
logging.getLogger("tifffile").setLevel(logging.CRITICAL)


class _Pages:
    """The pages of a packed stack, decoded when they are asked for."""

    def __init__(self, series: tifffile.TiffPageSeries, shape: tuple[int, ...]) -> None:
        self._series, self.shape, self.ndim = series, shape, len(shape)

    def __getitem__(self, where: Any) -> np.ndarray:
        indices = () if where is ... else where
        outer = self.shape[:-2]
        if len(indices) == len(outer) == self._paged(outer) and indices:
            return self._grey(self._series.pages[int(np.ravel_multi_index(indices, outer))].asarray())
        return self._grey(self._series.asarray())[where]

    def _grey(self, pixels: np.ndarray) -> np.ndarray:
        return as_grey(pixels) if _is_colour(self._series.keyframe) else pixels

    def _paged(self, outer: tuple[int, ...]) -> int:
        """Return the number of outer axes if every frame is a page of its own, else -1."""
        return len(outer) if len(self._series.pages) == int(np.prod(outer)) else -1


def open_file(path: Path) -> tuple[ImageFile, ...]:
    """Read the tags of a TIFF file: one handle for each series of pages of one shape."""
    with tifffile.TiffFile(path) as tif:
        size = path.stat().st_size
        pixel_size, voltage = _pixel_size(tif), _voltage(tif)
        found: list[ImageFile] = []
        for number, item in enumerate(tif.series):
            if item.keyframe.is_reduced:
                continue
            _check_size(item, size)
            found += handles(
                path, _grey_shape(item), item.dtype, kind=_kind(tif), pixel_size=pixel_size,
                voltage=voltage, key=str(number) if len(tif.series) > 1 else None,
            )  # fmt: skip
    if not found:
        raise DataError("it holds no image.")
    return tuple(found)


@contextmanager
def opened(file: ImageFile) -> Iterator[Any]:
    """Map a plain file into memory; decode the pages of a packed one as they are asked for."""
    number = int(file.key or 0)
    with tifffile.TiffFile(file.path) as tif:
        series = tif.series[number]
        if series.dataoffset is None or _is_colour(series.keyframe):
            yield _Pages(series, _grey_shape(series))
            return
        offset, shape, dtype = series.dataoffset, series.shape, np.dtype(tif.byteorder + series.dtype.char)
    yield np.memmap(file.path, dtype, mode="r", offset=offset, shape=shape)


def _is_colour(page: Any) -> bool:
    return bool(page.samplesperpixel > 1 and page.axes.endswith("S"))


def _grey_shape(series: tifffile.TiffPageSeries) -> tuple[int, ...]:
    return tuple(series.shape[:-1] if _is_colour(series.keyframe) else series.shape)


def _check_size(series: tifffile.TiffPageSeries, size: int) -> None:
    if series.dataoffset is not None:
        check_promise(series.nbytes, size - series.dataoffset)
        return
    check_promise(series.nbytes, size, ratio=_RATIO)
    for page in series.pages:
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if max(ends, default=0) > size:
            raise DataError(
                f"its header promises data up to byte {max(ends):,} and the file has {size:,}: it is "
                "truncated or damaged; copy it again."
            )


def _kind(tif: tifffile.TiffFile) -> str:
    imagej = tif.imagej_metadata or {}
    if imagej.get("frames", 1) > 1:
        return "movie"
    return "volume" if imagej.get("slices", 1) > 1 else "unknown"


def _pixel_size(tif: tifffile.TiffFile) -> float | None:
    """Return the pixel size [nm] of the instrument's tags, else ImageJ's, else the resolution."""
    fei, zeiss = tif.fei_metadata or {}, tif.sem_metadata or {}
    if width := fei.get("Scan", {}).get("PixelWidth") or fei.get("EScan", {}).get("PixelWidth"):
        return nanometres(float(width), "m")
    if "ap_image_pixel_size" in zeiss:
        return nanometres(*zeiss["ap_image_pixel_size"][1:3])
    if ome := re.search(r'PhysicalSizeX="([^"]+)"', tif.ome_metadata or ""):
        unit = re.search(r'PhysicalSizeXUnit="([^"]+)"', tif.ome_metadata or "")
        return nanometres(float(ome.group(1)), unit.group(1) if unit else "µm")
    return _resolution(tif)


def _resolution(tif: tifffile.TiffFile) -> float | None:
    tags = tif.pages.first.tags
    if "XResolution" not in tags:
        return None
    numerator, denominator = tags["XResolution"].value
    if not numerator or not denominator:
        return None
    size = denominator / numerator
    unit = (tif.imagej_metadata or {}).get("unit")
    if unit is not None:
        return nanometres(size, unit)
    return nanometres(size * _UNITS.get(tags.valueof("ResolutionUnit", 0), 0), "nm")


def _voltage(tif: tifffile.TiffFile) -> float | None:
    """Return the voltage [kV] of the instrument's tags, or the one that `write_image` wrote."""
    volts = (tif.fei_metadata or {}).get("Beam", {}).get("HV")
    if volts:
        return float(volts) / 1e3
    zeiss = (tif.sem_metadata or {}).get("ap_actualkv")
    if zeiss:
        return float(zeiss[1])
    ours = (tif.imagej_metadata or {}).get("voltage_kv")
    if ours is None and tif.shaped_metadata:
        ours = tif.shaped_metadata[0].get("voltage_kv")
    return float(ours) if ours else None

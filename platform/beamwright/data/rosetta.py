"""DM3, DM4, EMD, SER, HSPY and BLO by rosettasciio: the only module that imports it (GPL-3, optional)."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from beamwright.data.checks import handles, some
from beamwright.data.image import ImageFile
from beamwright.data.units import nanometres
from beamwright.errors import DataError, MissingExtraError

__all__ = ["open_file", "opened"]

_PLUGINS = {
    ".dm3": "digitalmicrograph", ".dm4": "digitalmicrograph", ".emd": "emd", ".ser": "tia",
    ".hspy": "hspy", ".blo": "blockfile",
}  # fmt: skip
_TIMES = {"time", "frame", "frames"}


def open_file(path: Path) -> tuple[ImageFile, ...]:
    """Read the headers of all images in a file; spectra in it are left aside.

    Raises
    ------
    MissingExtraError
        If rosettasciio is not installed.
    """
    found: list[ImageFile] = []
    faults = []
    signals = _signals(path)
    for number, signal in enumerate(signals):
        try:
            found += _handles(path, signal, str(number) if len(signals) > 1 else None)
        except DataError as error:
            faults.append(str(error))
    if not found:
        raise DataError(f"it holds no image: {some(faults)}" if faults else "it holds no image.")
    return tuple(found)


@contextmanager
def opened(file: ImageFile) -> Iterator[Any]:
    """Open a file lazily (a dask array): the pixels are read that an index touches."""
    yield _signals(file.path)[int(file.key or 0)]["data"]


def _signals(path: Path) -> list[dict[str, Any]]:
    ending = path.suffix.lower()
    try:
        reader = importlib.import_module(f"rsciio.{_PLUGINS[ending]}")
    except ImportError:
        raise MissingExtraError(f"Reading {ending} files such as {path}", "formats") from None
    logging.getLogger("rsciio").setLevel(logging.CRITICAL)
    # Spectrum images of EMD take long to unpack, and are no images.
    options = {"select_type": "images"} if ending == ".emd" else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        signals: list[dict[str, Any]] = reader.file_reader(str(path), lazy=True, **options)
    return signals


def _handles(path: Path, signal: Mapping[str, Any], key: str | None) -> tuple[ImageFile, ...]:
    axes, data = signal["axes"], signal["data"]
    outer = [axis for axis in axes if axis.get("navigate")]
    if len(axes) - len(outer) == 1:
        raise DataError(f"it holds spectra of shape {data.shape}.")
    beam = signal.get("metadata", {}).get("Acquisition_instrument", {})
    voltage = beam.get("TEM", beam.get("SEM", {})).get("beam_energy")
    return handles(
        path, data.shape, data.dtype, kind=_kind(outer), key=key,
        pixel_size=nanometres(float(axes[-1].get("scale", 0)), axes[-1].get("units")),
        voltage=float(voltage) if voltage else None,
    )  # fmt: skip


def _kind(outer: list[Any]) -> str:
    if len(outer) == 2:
        return "images"  # a scan: every position of the beam has its own diffraction pattern
    names = {str(axis.get("name")).lower() for axis in outer} | {str(axis.get("units")) for axis in outer}
    return "movie" if names & (_TIMES | {"s", "ms"}) else "unknown"

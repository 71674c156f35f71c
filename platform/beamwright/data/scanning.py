"""Finding and checking images: every unreadable file is named at once, before anything starts."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from beamwright.data import formats
from beamwright.data.image import ImageFile
from beamwright.errors import DataError, MissingExtraError

__all__ = ["Paths", "expand_paths", "open_image", "scan_images"]

Paths = str | Path | Sequence[str | Path]

_SHOWN = 30


def open_image(path: str | Path) -> tuple[ImageFile, ...]:
    """Read the header of one file, which may hold several images; the pixels are not checked.

    Raises
    ------
    DataError
        If the file is missing, of an unknown suffix, or its header has a fault.
    MissingExtraError
        If reading this format needs an extra.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: there is no such file.")
    return formats.open_file(path)


def expand_paths(paths: Paths) -> list[Path]:
    """Return the files that folders (searched through), files and glob patterns stand for.

    Parameters
    ----------
    paths
        In folders and patterns, files of other suffixes and hidden ones are left aside; a file that is
        named must have a known suffix.

    Returns
    -------
    list of Path
        Without repetition, each folder's in the order of names.

    Raises
    ------
    DataError
        If one of them stands for nothing; all of these at once.
    """
    found: list[Path] = []
    faults = []
    for item in [paths] if isinstance(paths, (str, Path)) else paths:
        try:
            found += _expand(str(item))
        except DataError as error:
            faults.append(str(error))
    if faults or not found:
        raise DataError("\n".join(faults) or "No images are named; give a folder, files or a pattern.")
    return list(dict.fromkeys(found))


def scan_images(paths: Paths, *, stack: Literal["auto", "images", "movie"] = "auto") -> list[ImageFile]:
    """Open and check all images.

    Headers are read and compared with the files; pixels that could be damaged (packed) or not finite
    (floating point) are looked at, one frame in memory at a time.

    Parameters
    ----------
    paths
        As in `expand_paths`.
    stack
        What a file of several frames is: ``movie``: frames of one field; ``images``: unrelated images,
        each of which gets a handle of its own; ``auto``: what its header says, and a movie where that
        says nothing.

    Raises
    ------
    DataError
        One that lists every unreadable file with its reason.
    MissingExtraError
        If an extra would read all that cannot be read.
    """
    files: list[ImageFile] = []
    faults: list[Exception] = []
    for path in expand_paths(paths):
        try:
            opened = open_image(path)
            for file in opened:
                _check_pixels(file)
            files += opened
        except (DataError, MissingExtraError) as error:
            faults.append(error)
    if faults:
        raise _all_at_once(faults)
    return _resolve_stacks(files, stack)


def _expand(item: str) -> list[Path]:
    path = Path(item).expanduser()
    if path.is_dir() and not formats.is_image(path):
        return _inside(path)
    if path.exists():
        return [path]
    matches = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []
    found = [file for match in matches for file in _matched(Path(match))]
    if not found:
        why = "the pattern matches no image" if glob.has_magic(item) else "there is no such file or folder"
        raise DataError(f"{item}: {why}; {_nearest(path)}.")
    return found


def _matched(path: Path) -> list[Path]:
    if formats.is_image(path):
        return [path]
    return _inside(path) if path.is_dir() else []


def _inside(folder: Path) -> list[Path]:
    found = sorted(_walk(folder))
    if not found:
        raise DataError(
            f"{folder}: the folder holds no image; known suffixes are {', '.join(sorted(formats.READERS))}."
        )
    return found


def _walk(folder: Path) -> Iterable[Path]:
    """Yield the images below a folder; a zarr store is one image, not a folder of files."""
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if formats.is_image(path) and (path.is_file() or formats.suffix(path) == ".zarr"):
            yield path
        elif path.is_dir():
            yield from _walk(path)


def _nearest(path: Path) -> str:
    parents = [parent for parent in path.parents if parent.is_dir()]
    return f"the nearest folder that exists is {parents[0].absolute()}" if parents else "check its spelling"


def _check_pixels(file: ImageFile) -> None:
    floating = file.dtype.kind == "f"
    if not floating and not formats.is_packed(file.path):
        return
    for index, frame in enumerate(file.stream()):
        if floating and not np.isfinite(frame).all():
            bad = int(np.count_nonzero(~np.isfinite(frame)))
            where = f" of frame {index}" if file.frames > 1 else ""
            raise DataError(
                f"{file.name}: {bad} pixels{where} are NaN or infinite; replace them, e.g. by the median."
            )


def _all_at_once(faults: list[Exception]) -> Exception:
    if len(faults) == 1 or all(isinstance(fault, MissingExtraError) for fault in faults):
        return faults[0]
    lines = [f"  {fault}" for fault in faults[:_SHOWN]]
    if len(faults) > _SHOWN:
        lines.append(f"  and {len(faults) - _SHOWN} more.")
    return DataError("\n".join([f"{len(faults)} files cannot be read; mend or remove them:", *lines]))


def _resolve_stacks(files: list[ImageFile], stack: str) -> list[ImageFile]:
    if stack == "images":
        return [part for file in files for part in file.split()]
    return [
        replace(file, kind="movie")
        if file.frames > 1 and (stack == "movie" or file.kind == "unknown")
        else file
        for file in files
    ]

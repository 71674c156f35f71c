"""Which file is read by which module: one table of suffixes, nothing imported before it is used.

A reader module has two functions: ``open_file(path)`` reads the header and returns the handles of a
file; ``opened(file)`` is a context in which the stored array can be indexed, frame by frame.
"""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beamwright.errors import BeamwrightError, DataError, did_you_mean

if TYPE_CHECKING:
    from beamwright.data.image import ImageFile

__all__ = ["READERS", "is_image", "is_packed", "open_file", "reading", "reason", "stem", "suffix"]

READERS = {
    ".mrc": "mrc", ".mrcs": "mrc", ".map": "mrc", ".st": "mrc", ".ali": "mrc", ".rec": "mrc",
    ".mrc.gz": "mrc", ".mrcs.gz": "mrc", ".map.gz": "mrc",
    ".mrc.bz2": "mrc", ".mrcs.bz2": "mrc", ".map.bz2": "mrc",
    ".tif": "tiff", ".tiff": "tiff", ".png": "png",
    ".npy": "arrays", ".npz": "arrays", ".zarr": "store",
    ".dm3": "rosetta", ".dm4": "rosetta", ".emd": "rosetta", ".ser": "rosetta",
    ".hspy": "rosetta", ".blo": "rosetta",
}  # fmt: skip

_PLAIN = (".mrc", ".mrcs", ".map", ".st", ".ali", ".rec", ".npy")


def suffix(path: Path) -> str:
    """Return the suffix of a known format, lower case, or an empty string."""
    name = path.name.lower()
    fitting = [known for known in READERS if name.endswith(known) and name != known]
    return max(fitting, key=len, default="")


def stem(path: Path) -> str:
    """Return the file name without the suffix of its format."""
    return path.name[: len(path.name) - len(suffix(path))] if suffix(path) else path.stem


def is_image(path: Path) -> bool:
    """Tell whether the name is that of a format that can be read."""
    return bool(suffix(path))


def is_packed(path: Path) -> bool:
    """Tell whether the pixels have to be decoded, so that damage shows only then."""
    return suffix(path) not in _PLAIN


def open_file(path: Path) -> tuple[ImageFile, ...]:
    """Read the header of a file with the reader of its suffix.

    Raises
    ------
    DataError
        If there is no reader, or the reader finds a fault; the message starts with the path.
    MissingExtraError
        If the reader's packages are not installed.
    """
    ending = suffix(path)
    if not ending:
        raise DataError(
            f'{path}: there is no reader for the suffix "{"".join(path.suffixes[-1:])}".'
            f"{_proposal(path.suffix.lower())} Known: {', '.join(sorted(READERS))}."
        )
    try:
        files: tuple[ImageFile, ...] = _module(ending).open_file(path)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except BeamwrightError:
        raise
    except Exception as error:
        raise DataError(f"{path}: {reason(error)}") from error
    return files


def _proposal(wrong: str) -> str:
    """Propose a suffix for one that is mistyped, not for one of another kind of file, as .py and .mat are."""
    letters = Counter(wrong)
    similar = (
        known
        for known in READERS
        if known[:2] == wrong[:2] and (letters <= Counter(known) or Counter(known) <= letters)
    )
    return did_you_mean(wrong, similar)


@contextmanager
def reading(file: ImageFile) -> Iterator[Any]:
    """Open the stored array of a file for indexing.

    Raises
    ------
    DataError
        If the file cannot be decoded.
    """
    try:
        with _module(suffix(file.path)).opened(file) as array:
            yield array
    except DataError as error:
        raise DataError(f"{file.name}: {error}") from None
    except BeamwrightError:
        raise
    except Exception as error:
        raise DataError(f"{file.name}: {reason(error)}") from error


def reason(error: Exception) -> str:
    """Say in words why a library could not read a file."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file."
    if isinstance(error, PermissionError):
        return "it may not be read; change its permissions."
    if isinstance(error, EOFError):
        return "it ends early: the file is truncated; copy it again."
    return (
        f"it cannot be decoded ({type(error).__name__}: {error}); it is damaged or not what its suffix says."
    )


def _module(ending: str) -> Any:
    return importlib.import_module(f"beamwright.data.{READERS[ending]}")

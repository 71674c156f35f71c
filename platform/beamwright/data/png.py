"""PNG, 8 and 16 bits."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from beamwright.data.checks import as_grey, check_promise, handles
from beamwright.data.image import ImageFile

__all__ = ["open_file", "opened"]

_RATIO = 1100
"""Deflate cannot pack better than 1032:1."""


def open_file(path: Path) -> tuple[ImageFile, ...]:
    """Read the header of a PNG file."""
    with _open(path) as image:
        width, height = image.size
        dtype = np.dtype(np.uint16 if image.mode.startswith("I") else np.uint8)
    check_promise(width * height // 8, path.stat().st_size, ratio=_RATIO)
    return handles(path, (height, width), dtype)


@contextmanager
def opened(file: ImageFile) -> Iterator[Any]:
    """Decode the image; colours that are all grey are accepted, others refused."""
    with _open(file.path) as image:
        if image.mode == "1":
            yield np.asarray(image.convert("L"))
        elif image.mode in ("L", "I", "I;16"):
            yield np.asarray(image)
        else:
            yield as_grey(np.asarray(image if image.mode in ("LA", "RGB", "RGBA") else image.convert("RGBA")))


def _open(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        # Large mosaics are normal here; what the file cannot hold is refused by its size.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path, formats=["PNG"])

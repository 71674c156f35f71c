"""One image, movie or volume on disk: what its header says, and its pixels when they are asked for."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from beamwright.data import formats
from beamwright.errors import DataError

__all__ = ["ImageFile", "Kind", "leading_ones"]

Kind = Literal["image", "images", "movie", "volume", "unknown"]

_CHUNK = 1 << 20
_PIECE = 4096


@dataclass(frozen=True)
class ImageFile:
    """A handle that holds no pixels: cheap to keep by the thousand and to send to another process.

    Parameters
    ----------
    path
        The file, or the folder of a zarr store.
    shape
        ``(H, W)``, or ``(N, H, W)`` for a movie, a volume or a set of images.
    dtype
        Type of the pixels, in this machine's byte order.
    pixel_size
        Pixel size [nm], where the header has one.
    voltage
        Acceleration voltage [kV], where the header has one.
    kind
        What the frames are to each other.
    key
        The array inside a file that holds several: a member of an npz, an array of a zarr group.
    item
        The entry along the first axis of the stored array, where this handle is one of many.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    pixel_size: float | None = None
    voltage: float | None = None
    kind: Kind = "image"
    key: str | None = None
    item: int | None = None

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.shape[0] if len(self.shape) == 3 else 1

    @property
    def nbytes(self) -> int:
        """Size of the decoded pixels [bytes]."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def stem(self) -> str:
        """File name without the suffix of its format, and which part of the file it is."""
        return formats.stem(self.path) + self._part

    @property
    def name(self) -> str:
        """How messages call it: the path, and which part of the file it is."""
        return f"{self.path}{self._part}"

    @property
    def _part(self) -> str:
        key = "" if self.key is None else f":{self.key}"
        return key + ("" if self.item is None else f"[{self.item}]")

    def read(self, index: int | None = None) -> np.ndarray:
        """Return the pixels; a read-only memory map where the format allows.

        Parameters
        ----------
        index
            The frame; by default the image, or all frames.

        Returns
        -------
        ndarray
            ``(H, W)``, or ``(N, H, W)`` for all frames of several.

        Raises
        ------
        DataError
            If the file has changed, or cannot be decoded.
        IndexError
            If there is no such frame.
        """
        if index is not None and not 0 <= index < self.frames:
            raise IndexError(f"{self.name} has {self.frames} frames; there is no frame {index}.")
        with formats.reading(self) as array:
            return self._pixels(array, index)

    def stream(self) -> Iterator[np.ndarray]:
        """Yield the frames ``(H, W)`` one after another, decoding the file once.

        Raises
        ------
        DataError
            If the file has changed, or cannot be decoded.
        """
        with formats.reading(self) as array:
            for index in range(self.frames):
                yield self._pixels(array, index)

    def split(self) -> tuple[ImageFile, ...]:
        """Return one handle for each frame, for files that hold unrelated images."""
        if self.frames == 1 or self.item is not None:
            return (self,)
        return tuple(
            replace(self, shape=self.shape[1:], kind="image", item=index) for index in range(self.frames)
        )

    def identity(self) -> str:
        """Return the SHA-256 of the file's bytes; of a zarr store, of its files in order of their names."""
        digest = hashlib.sha256()
        inside = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        for path in inside:
            if path.is_file():
                if path != self.path:
                    digest.update(path.relative_to(self.path).as_posix().encode() + b"\0")
                with path.open("rb") as stream:
                    while chunk := stream.read(_CHUNK):
                        digest.update(chunk)
        return digest.hexdigest()

    def signature(self) -> str:
        """Return a hash of the size and three pieces: equal files have equal ones, and few others do."""
        if self.path.is_dir():
            return f"{self.shape}{self.dtype}"
        size = self.path.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with self.path.open("rb") as stream:
            for start in (0, size // 2, max(size - _PIECE, 0)):
                stream.seek(start)
                digest.update(stream.read(_PIECE))
        return digest.hexdigest()

    def _pixels(self, array: Any, index: int | None) -> np.ndarray:
        where = (0,) * leading_ones(array.shape) + (() if self.item is None else (self.item,))
        if index is not None and len(self.shape) == 3:
            where += (index,)
        pixels = np.asarray(array[where or ...])
        expected = self.shape if index is None else self.shape[-2:]
        if pixels.size != math.prod(expected):
            raise DataError(
                f"it held an array of shape {expected} when it was opened and now holds "
                f"{pixels.shape}; leave files alone while they are in use."
            )
        return pixels.reshape(expected).astype(self.dtype, copy=False)


def leading_ones(shape: Sequence[int]) -> int:
    """Return how many axes of length one are in front of an image; they do not count in its shape."""
    return sum(1 for _ in takewhile(lambda length: length == 1, shape[:-2]))

"""Images that were never files: handles with the pixels inside, for everything that takes files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from beamwright.data.image import ImageFile

__all__ = ["MemoryImage"]


@dataclass(frozen=True, eq=False)
class MemoryImage(ImageFile):
    """A handle that holds its pixels; what is simulated is split, looked at and hashed as files are.

    Parameters
    ----------
    pixels
        ``(H, W)``.
    """

    pixels: np.ndarray = field(default_factory=lambda: np.zeros((0, 0), np.float32), repr=False)

    @classmethod
    def of(cls, pixels: np.ndarray, name: str, *, pixel_size: float | None = None) -> MemoryImage:
        """Return a handle of an image ``(H, W)``; `name` is its path, unlike those of all others."""
        return cls(Path(name), pixels.shape, pixels.dtype, pixel_size, pixels=pixels)

    def read(self, index: int | None = None) -> np.ndarray:
        """Return the pixels ``(H, W)``.

        Raises
        ------
        IndexError
            If `index` is not that of the only frame.
        """
        if index not in (None, 0):
            raise IndexError(f"{self.name} has 1 frame; there is no frame {index}.")
        return self.pixels

    def stream(self) -> Iterator[np.ndarray]:
        """Yield the only frame."""
        yield self.pixels

    def identity(self) -> str:
        """Return the SHA-256 of shape, type and pixels."""
        digest = hashlib.sha256(f"{self.shape}{self.dtype}".encode())
        digest.update(np.ascontiguousarray(self.pixels).tobytes())
        return digest.hexdigest()

    def signature(self) -> str:
        """Return what equal images have in common."""
        return self.identity()

"""Fields of view: the frames of one place on the specimen, in memory or on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from beamwright.data import ImageFile

__all__ = ["Field", "Frames", "Source", "load", "sample_pixels"]


Source: TypeAlias = "np.ndarray | ImageFile"


@dataclass(frozen=True)
class Frames:
    """Frames of one size: ``frames[i]`` is ``(H, W)``, in the type of the file.

    Parameters
    ----------
    sources
        Pixels ``(N, H, W)``, or files that are opened, memory-mapped, where they are first needed; their
        frames follow one another.
    """

    sources: tuple[Source, ...]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width [px]."""
        return self.sources[0].shape[-2], self.sources[0].shape[-1]

    def __len__(self) -> int:
        return sum(_count(source) for source in self.sources)

    def __getitem__(self, index: int) -> np.ndarray:
        for source in self.sources:
            if index < _count(source):
                return source[index] if isinstance(source, np.ndarray) else _read(source, index)
            index -= _count(source)
        raise IndexError(f"there is no frame {index + len(self)} of {len(self)}")


def _count(source: Source) -> int:
    return len(source) if isinstance(source, np.ndarray) else source.frames


def _read(file: ImageFile, index: int) -> np.ndarray:
    mapped = _mapped(file)
    return _decoded(file, index) if mapped is None else mapped[index]


@lru_cache(maxsize=512)
def _mapped(file: ImageFile) -> np.ndarray | None:
    """Return the frames ``(N, H, W)`` where the format allows a memory map, which costs no memory to keep."""
    pixels = file.read()
    base: object = pixels
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    if base is None:
        return None
    return pixels if pixels.ndim == 3 else pixels[None]


@lru_cache(maxsize=8)
def _decoded(file: ImageFile, index: int) -> np.ndarray:
    return file.read(index)


@dataclass(frozen=True)
class Field:
    """One field of view.

    Parameters
    ----------
    name
        Of the file, and of the image in it where it holds several.
    frames
        Noisy images of the field; in the regime ``synthetic`` the clean one.
    target
        Its clean image, where there is one.
    scale
        What pixels are multiplied by before anything else: electrons per count in the regime ``synthetic``.
    """

    name: str
    frames: Frames
    target: Frames | None = None
    scale: float = 1.0

    @property
    def size(self) -> tuple[int, int]:
        """Height and width [px]."""
        return self.frames.size


def load(file: ImageFile, *, keep: bool) -> Source:
    """Return the pixels of a file ``(N, H, W)``, or the file itself unless `keep` says to read it."""
    if not keep:
        return file
    pixels = file.read()
    # A float64 image has no more to tell than float32, in twice the memory.
    stack = np.array(pixels, np.float32 if pixels.dtype.itemsize > 4 else pixels.dtype)
    return stack.reshape(-1, *stack.shape[-2:])


def sample_pixels(fields: Sequence[Field], *, references: bool = False, limit: int = 1 << 22) -> np.ndarray:
    """Return about `limit` pixels, scaled, float32, of 64 fields at most: of inputs or of references."""
    chosen = [fields[i] for i in np.unique(np.linspace(0, len(fields) - 1, 64).astype(int))]
    step = max(1, round((sum(np.prod(item.size) for item in chosen) / limit) ** 0.5))
    frames = [(item.target if references and item.target else item.frames)[0] for item in chosen]
    pixels = [
        frame[::step, ::step].ravel() * np.float32(item.scale)
        for frame, item in zip(frames, chosen, strict=True)
    ]
    return np.concatenate(pixels).astype(np.float32, copy=False)

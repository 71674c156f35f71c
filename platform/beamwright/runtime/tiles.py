"""Overlapping tiles that give the same numbers as the whole image.

A network with a receptive radius of `halo` pixels and a downsampling by `divisor` gives the same output
in a tile as in the whole image where the tile starts on a multiple of the divisor and its outer `halo`
pixels are thrown away. At the borders of the image tiles end with the image, so that the padding inside
the network is the one that the whole image gets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from math import ceil

import numpy as np
import numpy.typing as npt

from beamwright.errors import BundleError

__all__ = ["Piece", "Tiling", "predict_image"]

Slices = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """One tile: which pixels the network reads, and which of its output go where."""

    read: Slices
    keep: Slices
    write: Slices


@dataclass(frozen=True, slots=True)
class Tiling:
    """How images are cut.

    Parameters
    ----------
    tile
        Largest extent of a tile along each spatial axis, overlap included [px].
    overlap
        Pixels that are thrown away at each inner edge, a multiple of the divisor [px].
    divisor
        Tiles start on multiples of this [px].
    """

    tile: tuple[int, ...]
    overlap: int = 0
    divisor: int = 1

    @classmethod
    def fit(
        cls,
        shape: tuple[int, ...],
        *,
        halo: int | None,
        divisor: int,
        pixels: float,
        tile: int | None = None,
    ) -> Tiling:
        """Return the largest tiles that fit; the whole image where that fits.

        Parameters
        ----------
        shape
            Spatial shape of the image [px].
        halo
            Receptive radius [px]; None for a network that must see the whole image.
        divisor
            Downsampling of the network [px].
        pixels
            Largest number of pixels in a tile.
        tile
            Extent of a tile, instead of what `pixels` allows [px].

        Raises
        ------
        BundleError
            If tiles would be all overlap, or the network cannot be run by tiles.
        """
        if tile is None and np.prod(shape, dtype=float) <= pixels:
            return cls(shape, 0, divisor)
        if halo is None:
            raise BundleError(
                f"This network must see the whole image, and {_show(shape)} pixels need more memory than is "
                f"allowed (enough for {pixels:.3g} pixels); raise memory, or bin the image."
            )
        # At least the divisor: the padding inside the network must find its pixels in the last tile.
        overlap = _round_up(max(halo, divisor - 1), divisor)
        extent = _extents(shape, pixels) if tile is None else (tile,) * len(shape)
        least = 2 * overlap + divisor
        for length, size in zip(shape, extent, strict=True):
            if size < min(least, length):
                raise BundleError(
                    f"Tiles of {_show(extent)} pixels are too small for a network that sees {halo} pixels "
                    f"far; use tiles of {least} pixels or more (tile={least}, or a larger memory)."
                )
        return cls(
            tuple(min(size, length) for size, length in zip(extent, shape, strict=True)), overlap, divisor
        )

    def pieces(self, shape: tuple[int, ...]) -> Iterator[Piece]:
        """Yield the tiles of an image; what they write covers it exactly once."""
        axes = [self._spans(length, size) for length, size in zip(shape, self.tile, strict=True)]
        for spans in product(*axes):
            yield Piece(
                tuple(slice(start, stop) for start, stop, _, _ in spans),
                tuple(slice(begin - start, end - start) for start, _, begin, end in spans),
                tuple(slice(begin, end) for _, _, begin, end in spans),
            )

    def _spans(self, length: int, size: int) -> list[tuple[int, int, int, int]]:
        """Return (start, stop, begin, end) of the tiles of an axis: read from start, kept from begin."""
        if length <= size:
            return [(0, length, 0, length)]
        margin, inner = 2 * self.overlap, length - 2 * self.overlap
        room = (size - margin) // self.divisor * self.divisor
        step = _round_up(ceil(inner / ceil(inner / room)), self.divisor)  # tiles of equal size
        spans = []
        for start in range(0, inner, step):
            stop = min(start + step + margin, length)
            begin = start + self.overlap if start else 0
            spans.append((start, stop, begin, length if stop == length else stop - self.overlap))
        return spans


def predict_image(
    network: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]],
    image: npt.NDArray[np.generic],
    *,
    tiling: Tiling,
    out: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Run a network over an image, tile by tile.

    Parameters
    ----------
    network
        Maps (1, C, *tile) to (1, K, *tile), both float32.
    image
        Any real dtype, possibly memory-mapped; only one tile at a time is read.  # (C, *spatial)
    tiling
        How the image is cut.
    out
        Where the result goes, possibly memory-mapped.  # (K, *spatial)

    Returns
    -------
    numpy.ndarray
        `out`.
    """
    for piece in tiling.pieces(image.shape[1:]):
        tile = np.ascontiguousarray(image[(slice(None), *piece.read)], dtype=np.float32)
        out[(slice(None), *piece.write)] = network(tile[None])[0][(slice(None), *piece.keep)]
    return out


def _extents(shape: tuple[int, ...], pixels: float) -> tuple[int, ...]:
    """Share a number of pixels among the axes, as square as the image allows."""
    extent = [0] * len(shape)
    axes = sorted(range(len(shape)), key=lambda axis: shape[axis])
    for done, axis in enumerate(axes):
        extent[axis] = min(shape[axis], int(pixels ** (1 / (len(axes) - done))))
        pixels /= max(extent[axis], 1)
    return tuple(extent)


def _round_up(value: int, step: int) -> int:
    return -(-value // step) * step


def _show(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))

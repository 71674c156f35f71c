"""Frames of an array that lies in a compressed stream: as few bytes are decoded as the format allows."""

from __future__ import annotations

import math
from types import EllipsisType
from typing import IO, Any

import numpy as np

from beamwright.errors import DataError

__all__ = ["StreamedArray", "read_exactly"]

_CHUNK = 1 << 22


class StreamedArray:
    """An array in row order inside a stream that can be read forwards, and backwards at a cost.

    Parameters
    ----------
    stream
        An open binary stream.
    offset
        Where the pixels start [bytes].
    shape
        The shape of the stored array.
    dtype
        Its type, with the byte order of the file.
    """

    def __init__(self, stream: IO[bytes], offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._stream, self._offset = stream, offset
        self.shape, self.dtype, self.ndim = shape, dtype, len(shape)

    def __getitem__(self, where: EllipsisType | int | tuple[int, ...]) -> np.ndarray:
        if isinstance(where, EllipsisType):
            where = ()
        elif isinstance(where, int):
            where = (where,)
        inner = self.shape[len(where) :]
        nbytes = math.prod(inner) * self.dtype.itemsize
        first = int(np.ravel_multi_index(where, self.shape[: len(where)])) if where else 0
        self._stream.seek(self._offset + first * nbytes)
        return np.frombuffer(read_exactly(self._stream, nbytes), self.dtype).reshape(inner)


def read_exactly(stream: IO[bytes], nbytes: int) -> bytes:
    """Read so many bytes piece by piece, so that an absurd number fails without being allocated.

    Raises
    ------
    DataError
        If the stream ends before.
    """
    pieces, missing = [], nbytes
    while missing:
        piece = stream.read(min(missing, _CHUNK))
        if not piece:
            raise DataError(
                f"its header promises {nbytes:,} bytes and the file ends after {nbytes - missing:,}: "
                "it is truncated or damaged; copy it again."
            )
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)

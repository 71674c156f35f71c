"""What an array on disk must be to count as an image; messages get the path in front by `formats`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beamwright.data.image import ImageFile, leading_ones
from beamwright.errors import DataError

__all__ = ["MIN_SIZE", "as_grey", "check_promise", "handles", "some"]

MIN_SIZE = 16
"""Smallest height and width of an image [px]."""

_AXES = {0: "a single number", 1: "a list or a spectrum"}


def handles(path: Path, shape: Sequence[int], dtype: np.dtype[Any], **fields: Any) -> tuple[ImageFile, ...]:
    """Return the handles of one stored array: one, or one for each movie of a four-dimensional array.

    Parameters
    ----------
    path
        The file.
    shape
        ``(H, W)``, ``(N, H, W)`` or ``(movies, N, H, W)``; axes of length one in front do not count.
    dtype
        As stored.
    **fields
        Other fields of `ImageFile`.

    Raises
    ------
    DataError
        If this cannot be an image.
    """
    shape = tuple(int(length) for length in shape)
    _check_type(np.dtype(dtype))
    shape = shape[leading_ones(shape) :]
    _check_shape(shape)
    native = np.dtype(np.uint8) if dtype == np.bool_ else np.dtype(dtype).newbyteorder("=")
    if len(shape) == 2:
        fields["kind"] = "image"
    if len(shape) < 4:
        return (ImageFile(path, shape, native, **fields),)
    inner = shape[2:] if shape[1] == 1 else shape[1:]
    return tuple(ImageFile(path, inner, native, item=item, **fields) for item in range(shape[0]))


def check_promise(promised: int, held: int, *, ratio: int = 1) -> None:
    """Refuse a header that promises more bytes than the file can hold, before anything is allocated.

    Parameters
    ----------
    promised
        Bytes of pixels by the header.
    held
        Bytes of pixels in the file.
    ratio
        How much a compressed file can grow at most.

    Raises
    ------
    DataError
        If it does.
    """
    if promised > held * ratio:
        packed = "" if ratio == 1 else " packed"
        raise DataError(
            f"its header promises {promised:,} bytes of pixels and the file holds {max(held, 0):,}{packed}: "
            "it is truncated or damaged; copy it again."
        )


def as_grey(image: np.ndarray) -> np.ndarray:
    """Return the one channel of a grey image that was saved in colour.

    Parameters
    ----------
    image
        ``(..., H, W, S)`` with S channels: grey and alpha, RGB, or RGB and alpha.

    Raises
    ------
    DataError
        If the channels differ: a micrograph has no colours, so any choice would be a guess.
    """
    colours = image[..., : 1 if image.shape[-1] == 2 else 3]
    if (colours != colours[..., :1]).any():
        raise DataError(
            "it has colours and a micrograph has one channel; save the channel that counts as grey."
        )
    return np.ascontiguousarray(image[..., 0])


def some(faults: Sequence[str], *, most: int = 3) -> str:
    """Return the first few of many faults in one sentence."""
    more = f" (and {len(faults) - most} more)" if len(faults) > most else ""
    return "; ".join(fault.rstrip(".") for fault in faults[:most]) + more + "." if faults else "it is empty."


def _check_type(dtype: np.dtype[Any]) -> None:
    if dtype.kind == "c":
        raise DataError("its pixels are complex; save the modulus or the phase.")
    if dtype.kind not in "biuf":
        raise DataError(f"its values are of type {dtype}, not numbers.")


def _check_shape(shape: tuple[int, ...]) -> None:
    if not 2 <= len(shape) <= 4:
        what = _AXES.get(len(shape), f"an array of {len(shape)} axes")
        raise DataError(
            f"it holds {what} of shape {shape}; an image is (H, W), a movie (N, H, W), several (M, N, H, W)."
        )
    if 0 in shape:
        raise DataError(f"it is empty: its shape is {shape}.")
    if min(shape[-2:]) < MIN_SIZE:
        raise DataError(
            f"it is {shape[-2]} x {shape[-1]} pixels and the smallest image is {MIN_SIZE} x {MIN_SIZE}."
        )

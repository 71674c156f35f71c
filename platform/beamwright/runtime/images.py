"""Whether an image fits a model, and how far it is from what the model was trained on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from beamwright.errors import DataError, DataWarning

__all__ = ["check_image", "takes_dose", "with_channels"]

Image = npt.NDArray[np.generic]

_SPREAD = 20  # contrast varies between images; a scaled or normalised image is off by more


def check_image(
    image: npt.ArrayLike,
    metadata: Mapping[str, Any],
    *,
    pixel_size: float | None = None,
    name: str = "The image",
) -> Image:
    """Return an image as (C, *spatial), uncopied, or say why it cannot be predicted.

    Parameters
    ----------
    image
        (*spatial), with a leading channel axis if the model takes several.
    metadata
        Of the bundle.
    pixel_size
        Pixel size of the image [nm], where it is known.
    name
        How messages call the image.

    Raises
    ------
    DataError
        If the image does not fit the model, or is not finite.

    Warns
    -----
    DataWarning
        If pixel size or counts are unlike those that the model was trained on.
    """
    array = np.asarray(image)
    channels, axes = metadata["inputs"][0]["channels"], metadata["inputs"][0]["axes"][2:]
    if array.dtype.kind not in "buif":
        raise DataError(f"{name} must hold real numbers, not {array.dtype}; take its modulus or real part.")
    if array.ndim != len(axes) + (channels > 1) or (channels > 1 and array.shape[0] != channels):
        expected = ", ".join(([str(channels)] if channels > 1 else []) + axes)
        raise DataError(
            f"{name} must have the axes ({expected}), and has the shape {array.shape}; "
            "predict the frames of a stack one by one."
        )
    if not array.size:
        raise DataError(f"{name} is empty: its shape is {array.shape}.")
    if array.dtype.kind == "f" and not (np.isfinite(array.min()) and np.isfinite(array.max())):
        raise DataError(f"{name} holds NaN or infinite values; replace them, for instance by the median.")
    _check_dose(array, metadata, name)
    _compare_pixel_size(pixel_size, metadata["pixel_size_range"], name)
    _compare_counts(array, metadata, name)
    return with_channels(array, channels)


def with_channels(array: npt.NDArray[Any], channels: int) -> npt.NDArray[Any]:
    """Return (C, *spatial) of an array that lacks the channel axis if there is one channel only."""
    return array[None] if channels == 1 else array


def takes_dose(metadata: Mapping[str, Any]) -> bool:
    """Tell whether a model completes sparse scans: its input is values and the electrons of each pixel."""
    return metadata["inputs"][0].get("channel_names") == ["value", "dose"]


def _check_dose(array: Image, metadata: Mapping[str, Any], name: str) -> None:
    """Refuse doses that say of no pixel, or wrongly, that it was measured."""
    if not takes_dose(metadata):
        return
    least, most = array[1].min(), array[1].max()
    if least < 0 or most <= 0:
        raise DataError(
            f"{name} must have the dose as its second channel: electrons per pixel where it was measured, 0 "
            f"elsewhere, and its doses are from {least:g} to {most:g}."
        )


def _compare_pixel_size(pixel_size: float | None, trained: list[float] | None, name: str) -> None:
    if pixel_size and trained and not 0.8 * trained[0] <= pixel_size <= 1.25 * trained[1]:
        warnings.warn(
            f"{name} has a pixel size of {pixel_size:.4g} nm, and the model was trained on {trained[0]:.4g} "
            f"to {trained[1]:.4g} nm; what it knows of shapes may not hold.",
            DataWarning,
            stacklevel=4,
        )


def _compare_counts(array: Image, metadata: Mapping[str, Any], name: str) -> None:
    sample = _thinned(array, axes=len(metadata["inputs"][0]["axes"]) - 2).astype(np.float32)
    sparse = takes_dose(metadata)
    if sparse and not (sample := sample[0][sample[1] > 0]).size:
        return
    mean, spread = float(sample.mean()), float(sample.std())
    low, high = metadata["intensity_range"] or (mean, mean)
    std = (metadata["normalisation"] or {"std": spread})["std"]
    flat = std > _SPREAD * spread and not sparse  # a short path may have seen nothing yet
    if not low <= mean <= high or flat or spread > _SPREAD * std:
        warnings.warn(
            f"{name} has values of {mean:.4g} +- {spread:.4g}, and the model was trained on {low:.4g} to "
            f"{high:.4g}, +- {std:.4g}; give raw counts as in training, neither scaled nor normalised.",
            DataWarning,
            stacklevel=4,
        )


def _thinned(array: Image, *, axes: int, pixels: int = 2**20) -> Image:
    """Return a regular sample of about as many pixels, so that large files are not read twice."""
    step = max(1, int((array.size / pixels) ** (1 / axes)))
    window: tuple[slice, ...] = (slice(None),) * (array.ndim - axes) + (slice(None, None, step),) * axes
    return array[window]

"""Pictures of what a model does: input, result and target side by side, above their spectra."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from beamwright.tracking.files import write_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Example", "crop_example", "load_examples", "make_panel", "make_tiles", "save_examples"]

Example = Mapping[str, "NDArray[np.float32] | None"]
"""``input``, ``output`` and, where there is one, ``target``: (H, W), or (C, H, W): the first is shown."""

_LABELS = {"input": "noisy", "output": "result", "target": "target"}
_GAP, _HEADER = 6, 22  # [px]
_BACK, _INK = 24, 226  # dark, so that the panel suits either theme


def save_examples(path: Path, examples: Sequence[Example], *, side: int = 256, most: int = 3) -> None:
    """Keep the centres of a few examples as one npz file.

    Parameters
    ----------
    side
        Largest side [px]; what is larger is cropped to its centre.
    most
        How many are kept.
    """
    arrays = {
        f"{index}_{role}": array
        for index, example in enumerate(examples[:most])
        for role, array in crop_example(example, side).items()
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy types keywords as allow_pickle
    write_bytes(path, buffer.getvalue())


def crop_example(example: Example, side: int = 256) -> dict[str, NDArray[np.float32]]:
    """Return the centres of the images that there are, (side, side) at most: pixels stay pixels."""
    return {
        role: _crop(_first(np.asarray(image, dtype=np.float32)), side)
        for role in _LABELS
        if (image := example.get(role)) is not None
    }


def load_examples(path: Path) -> list[dict[str, NDArray[np.float32]]]:
    """Return what `save_examples` kept, or an empty list if there is no such file."""
    if not path.exists():
        return []
    examples: dict[str, dict[str, NDArray[np.float32]]] = {}
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            index, _, role = name.partition("_")
            examples.setdefault(index, {})[role] = file[name]
    return [examples[index] for index in sorted(examples, key=int)]


def make_tiles(example: Example) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Return an 8-bit image and log power spectrum, each (H, W), per label.

    One grey scale serves all images and another all spectra, or they could not be compared: the 0.5 to 99.5
    percentiles of the target, or of the result where there is none, with a margin for the noise.
    """
    images = {
        label: np.nan_to_num(_first(np.asarray(example[role], dtype=np.float64)))
        for role, label in _LABELS.items()
        if example.get(role) is not None
    }
    spectra = {label: _log_power(image) for label, image in images.items()}
    low, high = np.percentile(list(images.values())[-1], (0.5, 99.5))
    margin = 0.15 * (high - low)
    faint, bright = np.percentile(np.stack(list(spectra.values())), (1.0, 99.9))
    return {
        label: (
            _to_bytes(images[label], low - margin, high + margin),
            _to_bytes(spectra[label], faint, bright),
        )
        for label in images
    }


def make_panel(example: Example, *, pixel_size: float | None = None) -> NDArray[np.uint8]:
    """Return one labelled picture (H', W'): images above, their log power spectra below.

    Parameters
    ----------
    pixel_size
        [nm], for the label of the field of view.
    """
    tiles = make_tiles(example)
    height, width = next(iter(tiles.values()))[0].shape
    row = height + _HEADER + _GAP
    panel = Image.new("L", (len(tiles) * (width + _GAP) + _GAP, 2 * row + _GAP), color=_BACK)
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(size=13)
    for column, (label, (image, spectrum)) in enumerate(tiles.items()):
        left = _GAP + column * (width + _GAP)
        captions = (f"{label}{_field(width, pixel_size) if column == 0 else ''}", f"log power, {label}")
        for line, (caption, tile) in enumerate(zip(captions, (image, spectrum), strict=True)):
            top = line * row
            draw.text((left, top + 4), caption, fill=_INK, font=font)
            panel.paste(Image.fromarray(tile), (left, top + _HEADER))
    return np.asarray(panel)


def _field(width: int, pixel_size: float | None) -> str:
    return f", {width * pixel_size:.3g} nm wide" if pixel_size else f", {width} px wide"


def _first(image: NDArray[Any]) -> NDArray[Any]:
    """Return the channel that is shown (H, W)."""
    return image[0] if image.ndim == 3 else image


def _crop(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    top, left = (max(0, (size - side) // 2) for size in image.shape)
    return image[top : top + side, left : left + side]


def _log_power(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log power spectrum (H, W), centred; a window takes away the cross that edges make."""
    window = np.outer(np.hanning(image.shape[0] + 2)[1:-1], np.hanning(image.shape[1] + 2)[1:-1])
    power = np.abs(np.fft.fftshift(np.fft.fft2((image - image.mean()) * window))) ** 2
    return np.log10(power + 1e-12 * power.max() + 1e-30)


def _to_bytes(image: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    scaled = (image - low) / (high - low) if high > low else np.full(image.shape, 0.5)
    return np.round(255 * np.clip(scaled, 0, 1)).astype(np.uint8)

"""What ``beamwright.json`` must say before a bundle is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from beamwright.errors import BundleError

__all__ = ["FORMAT", "parse_metadata"]

FORMAT = 1
"""Version of the layout of ``beamwright.json``; a reader refuses newer ones."""


def parse_metadata(content: bytes, *, origin: str) -> dict[str, Any]:
    """Read and check the metadata of a bundle.

    Parameters
    ----------
    content
        What ``beamwright.json`` holds.
    origin
        How messages call the bundle.

    Raises
    ------
    BundleError
        If the content is no JSON, of a newer format, or has a missing or impossible value.
    """
    try:
        metadata = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(
            f"beamwright.json of {origin} is not JSON ({error}); export the bundle again."
        ) from None
    if not isinstance(metadata, dict):
        raise BundleError(f"beamwright.json of {origin} must be an object, not {type(metadata).__name__}.")
    if not _is_count(metadata.get("format")) or metadata["format"] > FORMAT:
        raise BundleError(
            f"beamwright.json of {origin} has the format {metadata.get('format')!r}, and this version of "
            f"beamwright reads up to {FORMAT}; update beamwright."
        )
    for key, (rule, holds) in _RULES.items():
        if key not in metadata or not holds(metadata[key]):
            raise BundleError(
                f"beamwright.json of {origin}: {key} must be {rule}, not {_show(metadata.get(key))}; "
                "export the bundle again."
            )
    return metadata


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value < 2**31


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and isfinite(value)


def _is_range(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] <= value[1]
    )


def _is_normalisation(value: Any) -> bool:
    known = isinstance(value, Mapping) and all(_is_number(value.get(key)) for key in ("mean", "std"))
    return known and value["std"] > 0


def _is_tensors(value: Any) -> bool:
    return (
        isinstance(value, list) and len(value) == 1 and isinstance(value[0], Mapping) and _is_tensor(value[0])
    )


def _is_tensor(value: Mapping[str, Any]) -> bool:
    axes = value.get("axes")
    known = [["batch", "channel", *"zyx"[-ndim:]] for ndim in (1, 2, 3)]
    whole = axes in known and _is_count(value.get("channels")) and value.get("dtype") == "float32"
    return whole and _are_names(value.get("channel_names"), value["channels"])


def _are_names(value: Any, count: int) -> bool:
    """Tell whether there are names of all channels, or none at all as in older bundles."""
    known = isinstance(value, list) and len(value) == count
    return value is None or (known and all(isinstance(name, str) for name in value))


def _is_sha256(value: Any) -> bool:
    digest = value.get("model.onnx") if isinstance(value, Mapping) else None
    return isinstance(digest, str) and len(digest) == 64


_TENSORS = 'one float32 tensor with axes ["batch", "channel", ...] and a number of channels'
_RULES = {
    "task": ("a name", lambda value: isinstance(value, str)),
    "inputs": (_TENSORS, _is_tensors),
    "outputs": (_TENSORS, _is_tensors),
    "halo": ("a number of pixels, or null", lambda value: value is None or _is_count(value, 0)),
    "divisor": ("a number of pixels", _is_count),
    "inference_bytes_per_pixel": ("a positive number", lambda value: _is_number(value) and value > 0),
    "normalisation": (
        "mean and positive std, or null",
        lambda value: value is None or _is_normalisation(value),
    ),
    "pixel_size_range": ("[least, largest] or null", lambda value: value is None or _is_range(value)),
    "intensity_range": ("[least, largest] or null", lambda value: value is None or _is_range(value)),
    "sha256": ("the hashes of the files, model.onnx among them", _is_sha256),
}

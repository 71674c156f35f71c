"""Recorded images as hidden specimens: crops of them, turned and mirrored."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from beamwright.data import ImageFile, expand_paths, scan_images
from beamwright.envs.core.config import Split
from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.compose import compose
from beamwright.envs.microscope.specimens.specimen import Specimen
from beamwright.errors import MicroscopeError

__all__ = ["crops", "images"]

_TEST_SHARE = 0.2
_CLIPPED = 0.1
"""Percentage of the pixels that may lie beyond either end of the full scale."""


def images(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float | None = None,
    folder: str | None = None,
    split: Split = "train",
    strength: float = 0.5,
) -> Specimen:
    """Return random crops of the images of a folder.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm]; by default that of the files' headers, or 1 where they have none.
    folder
        Folder, file or glob pattern.
    split
        A fifth of the files, chosen by their names, is for testing only.
    strength
        Phase at full scale [rad]; the phase is taken to be proportional to the signal.

    Raises
    ------
    MicroscopeError
        If no folder is given, an image is smaller than the field or constant, or one file is to be split.
    DataError
        If files cannot be read, or hold NaN.
    """
    if folder is None:
        raise MicroscopeError('The class "images" needs images; set folder to where they are.')
    stamps = tuple((str(path), path.stat().st_mtime_ns) for path in expand_paths(folder))
    maps, sampling = _read(stamps, split)
    return _cut(streams, maps, shape=shape, pixel_size=pixel_size or sampling, strength=strength)


def crops(
    streams: Streams,
    arrays: Sequence[np.ndarray],
    *,
    shape: tuple[int, int],
    pixel_size: float = 1.0,
    strength: float = 0.5,
) -> Specimen:
    """Return random crops of arrays ``(H, W)``, each scaled from darkest to brightest; see `images`."""
    maps = {f"Image {index}": _scaled(array, f"Image {index}") for index, array in enumerate(arrays)}
    return _cut(streams, maps, shape=shape, pixel_size=pixel_size, strength=strength)


@functools.lru_cache(maxsize=2)
def _read(stamps: tuple[tuple[str, int], ...], split: Split) -> tuple[dict[str, Tensor], float]:
    """Return the images of a split and their sampling; remembered, since a pool asks in portions."""
    chosen = _of_split(scan_images([path for path, _ in stamps], stack="images"), split)
    maps = {file.name: _scaled(file.read(), file.name) for file in chosen}
    sizes = {file.pixel_size for file in chosen if file.pixel_size}
    return maps, sizes.pop() if len(sizes) == 1 else 1.0


def _cut(
    streams: Streams,
    maps: Mapping[str, Tensor],
    *,
    shape: tuple[int, int],
    pixel_size: float,
    strength: float,
) -> Specimen:
    for name, image in maps.items():
        _check_size(image, name, shape)
    pictures = list(maps.values())
    choice = streams.integers(1, low=0, high=len(pictures))[:, 0].tolist()
    corners = streams.uniform(2).tolist()
    cut = [_crop(pictures[index], shape, corner) for index, corner in zip(choice, corners, strict=True)]
    signal = torch.stack(cut).to(streams.device)  # (B, H, W)
    specimen = compose(signal, strength * signal, pixel_size=pixel_size)
    return replace(specimen, signal=signal, scale=torch.ones_like(specimen.scale))


def _of_split(files: Sequence[ImageFile], split: Split) -> list[ImageFile]:
    """Return whole files, so that no specimen is on both sides."""
    paths = sorted({file.path for file in files}, key=_rank)
    if len(paths) == 1:
        if split == "test":
            raise MicroscopeError(
                f"{paths[0]} is a single file, and the split test needs files that training never sees; "
                "add files, or use held_out_classes."
            )
        return list(files)
    tested = set(paths[: max(1, round(_TEST_SHARE * len(paths)))])
    return [file for file in files if (file.path in tested) == (split == "test")]


def _rank(path: Path) -> str:
    return hashlib.sha256(path.name.encode()).hexdigest()


def _check_size(image: Tensor, name: str, shape: tuple[int, int]) -> None:
    if image.shape[0] < shape[0] or image.shape[1] < shape[1]:
        raise MicroscopeError(
            f"{name} must be at least as large as the field of {shape[0]} x {shape[1]} pixels, not "
            f"{image.shape[0]} x {image.shape[1]}; choose a smaller field, or leave it out."
        )


def _scaled(array: np.ndarray, name: str) -> Tensor:
    if array.ndim != 2:
        raise MicroscopeError(f"{name} must be an image of two axes, not {array.ndim}; give one plane of it.")
    if not np.isfinite(array).all():
        bad = int(np.count_nonzero(~np.isfinite(array)))
        raise MicroscopeError(
            f"{name} has {bad} pixels that are NaN or infinite; replace them, e.g. by the median."
        )
    low, high = np.percentile(array, [_CLIPPED, 100 - _CLIPPED])
    if not low < high:
        raise MicroscopeError(f"{name} is {low:g} everywhere; there is nothing to see, so leave it out.")
    return torch.from_numpy(np.clip((array.astype(np.float32) - low) / (high - low), 0, 1).astype(np.float32))


def _crop(image: Tensor, shape: tuple[int, int], place: Sequence[float]) -> Tensor:
    top, left = (
        int(at * (size - want + 1)) for at, size, want in zip(place, image.shape, shape, strict=True)
    )
    return image[top : top + shape[0], left : left + shape[1]]

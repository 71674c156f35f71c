"""Looking at data before training: a second or two of work, however much data there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from beamwright.data.concerns import concerns
from beamwright.data.defects import count_defects
from beamwright.data.duplicates import find_duplicates, have_in_common, shift_between
from beamwright.data.fingerprints import Fingerprint
from beamwright.data.image import ImageFile
from beamwright.data.noise_estimates import estimate_noise
from beamwright.data.sampling import Field, sample_fields
from beamwright.data.spectra import object_scale
from beamwright.errors import DataError

__all__ = ["fingerprint"]

_PERCENTILES = (0.1, 1, 50, 99, 99.9)


def fingerprint(
    files: Mapping[str, Sequence[ImageFile]], *, regime: str | None = None, max_pixels: int = 4_000_000
) -> Fingerprint:
    """Find what the data are like and what is wrong with them.

    Parameters
    ----------
    files
        Scanned files by role, the training files first (``Split.inputs()``); one role where none are given.
    regime
        How a network is to be trained, if that is known.
    max_pixels
        Bound on the pixels that noise and objects are estimated from.

    Raises
    ------
    DataError
        If there are no files, or one of them cannot be decoded.
    """
    files = {role: tuple(group) for role, group in files.items() if group}
    everything = [file for group in files.values() for file in group]
    if not everything:
        raise DataError("A fingerprint needs at least one image; give a folder, files or a pattern.")
    fields = sample_fields(files, max_pixels=max_pixels)
    noise, x, y = estimate_noise(fields)
    dead, hot = count_defects(fields, noise)
    drift, related = _motion(fields)
    found = Fingerprint(
        files={role: len(group) for role, group in files.items()},
        frames={role: sum(file.frames for file in group) for role, group in files.items()},
        shapes=tuple(sorted({(file.shape[-2], file.shape[-1]) for file in everything})),
        pixel_sizes=_different(file.pixel_size for file in everything),
        voltages=_different(file.voltage for file in everything),
        dead_pixels=dead, hot_pixels=hot, noise=noise, object_scale=object_scale(fields, x, y),
        duplicates=find_duplicates(files), drift=drift, related=related, **_range(fields),
        ranges=tuple(_mean_std(field) for field in fields),
    )  # fmt: skip
    return replace(found, warnings=concerns(found, regime))


def _range(fields: Sequence[Field]) -> dict[str, Any]:
    pixels = np.concatenate([field.frames.ravel() for field in fields])
    top = [
        np.count_nonzero(field.frames >= np.float32(np.iinfo(field.file.dtype).max))
        for field in fields
        if field.file.dtype.kind in "iu"
    ]
    return {
        "minimum": float(pixels.min()),
        "maximum": float(pixels.max()),
        "mean": float(pixels.mean(dtype=np.float64)),
        "std": float(pixels.std(dtype=np.float64)),
        "percentiles": {
            f"{share:g}": float(value)
            for share, value in zip(_PERCENTILES, np.percentile(pixels, _PERCENTILES), strict=True)
        },
        "saturated": float(sum(top) / len(pixels)),
    }


def _mean_std(field: Field) -> tuple[str, float, float]:
    return field.file.name, float(field.frames.mean(dtype=float)), float(field.frames.std(dtype=float))


def _different(values: Iterable[float | None]) -> tuple[float, ...]:
    """Return the different values, ascending; headers round them, so five digits decide."""
    return tuple(sorted({float(f"{value:.5g}") for value in values if value is not None}))


def _motion(fields: Sequence[Field]) -> tuple[float | None, bool | None]:
    """Return the largest shift between the frames of a field [px], and whether they show one field."""
    movies = [field.frames for field in fields if len(field.frames) == 2]
    if not movies:
        return None, None
    drifts = [float(np.hypot(*shift)) for frames in movies if (shift := shift_between(*frames))]
    return max(drifts, default=None), bool(drifts) or any(have_in_common(*frames) for frames in movies)

"""From files to what trials need: regime, fields of view, normalisation, limits of the space."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from beamwright.data import MemoryImage, add_noise, even_odd, fingerprint, resolve_regime, split_files
from beamwright.errors import DataError
from beamwright.search_spaces import SpaceLimits
from beamwright.tasks.fields import Field, Frames, load, sample_pixels
from beamwright.tasks.simulating import simulated_images
from beamwright.tasks.task import ROLES, TaskData

if TYPE_CHECKING:
    from beamwright.data import Fingerprint, ImageFile, Pair
    from beamwright.experiment import DataConfig, Experiment, Regime

__all__ = ["prepare"]

CORRELATED = 0.2
"""Correlation of neighbours' noise from which on a single hidden pixel is given away by them."""
LONGEST_RUN = 8
"""Half the length of the widest blind spot [px]; beyond it too little is left to predict from."""


def prepare(experiment: Experiment, *, scaled: bool = True) -> TaskData:
    """Read the files of an experiment, or simulate its images, and look at them.

    Parameters
    ----------
    scaled
        The regime ``synthetic`` scales images to ``data.noise.dose`` electrons per pixel.

    Raises
    ------
    DataError
        If files cannot be read, or do not fit the regime.
    """
    config = experiment.data
    split = split_files(config, seed=experiment.seed, simulate=simulated_images)
    regime = resolve_regime(config, split)
    found = fingerprint(split.inputs(), regime=regime)
    files = [file for role in ROLES for pair in getattr(split, role) for file in pair if file is not None]
    keep = sum(file.nbytes for file in files) <= config.memory_limit * 2**30
    scaled = scaled and regime == "synthetic"
    fields = {role: _fields(getattr(split, role), config, regime, keep=keep) for role in ROLES}
    if scaled:
        fields = {role: tuple(_in_electrons(field, config) for field in fields[role]) for role in ROLES}
    mean, std = _normalisation(fields["train"], config, experiment.seed, noisy=scaled)
    pixel_size = config.pixel_size or (found.pixel_sizes[0] if len(found.pixel_sizes) == 1 else None)
    return TaskData(
        regime=regime,
        fields=fields,
        mean=mean,
        std=std,
        data_range={role: _data_range(fields[role]) for role in ROLES},
        limits=_limits(found, regime, experiment.space.fix),
        fingerprint=found,
        noise=config.noise,
        seed=experiment.seed,
        mask_run=_mask_run(found) if regime == "blind_spot" else 0,
        pixel_size=pixel_size,
        provenance=_provenance(files),
        units=dict.fromkeys(("resolution", "resolution_0143"), "nm" if pixel_size else "px"),
    )


def _provenance(files: Iterable[ImageFile]) -> dict[str, str]:
    """Return the SHA-256 of every file; of simulated images, of each set."""
    found: dict[str, str] = {}
    sets: dict[str, hashlib._Hash] = {}
    for file in {file.path: file for file in files}.values():
        if isinstance(file, MemoryImage):
            sets.setdefault(str(file.path.parent), hashlib.sha256()).update(file.identity().encode())
        else:
            found[str(file.path)] = file.identity()
    return found | {name: digest.hexdigest() for name, digest in sets.items()}


def _is_movie(file: ImageFile, regime: Regime) -> bool:
    """Tell whether frames show one field: by the header, or because noise2noise is asked for."""
    return file.kind == "movie" or (regime == "noise2noise" and file.kind != "images")


def _fields(pairs: Iterable[Pair], config: DataConfig, regime: Regime, *, keep: bool) -> tuple[Field, ...]:
    return tuple(
        _field(image, target, config, regime, keep=keep)
        for pair in pairs
        for image, target in _unrelated(pair, regime)
    )


def _unrelated(pair: Pair, regime: Regime) -> Iterable[Pair]:
    """Yield one pair for every field of view: a file may hold several that are unrelated."""
    image, target = pair
    if image.frames == 1 or _is_movie(image, regime):
        return [pair]
    images = image.split()
    targets = (None,) if target is None else target.split()
    return zip(images, targets * (len(images) // len(targets)), strict=True)


def _field(
    image: ImageFile, target: ImageFile | None, config: DataConfig, regime: Regime, *, keep: bool
) -> Field:
    if regime == "noise2noise":
        return Field(image.name, _noisy_frames(image, target, config, keep=keep))
    frames = Frames((load(image, keep=keep),))
    if target is None:
        return Field(image.name, frames)
    return Field(image.name, frames, Frames((load(target, keep=keep),)))


def _in_electrons(field: Field, config: DataConfig) -> Field:
    """Return a clean field with the scale that gives it the dose."""
    mean = float(np.mean(field.frames[0], dtype=np.float64))
    if mean > 0:
        return replace(field, scale=config.noise.dose / mean)
    raise DataError(
        f'{field.name}: the regime "synthetic" scales images to data.noise.dose electrons per pixel, and the '
        f"mean of this one is {mean:g}; remove it, or give images that are proportional to electrons."
    )


def _noisy_frames(image: ImageFile, target: ImageFile | None, config: DataConfig, *, keep: bool) -> Frames:
    """Return frames of one field with independent noise of equal variance."""
    if target is not None:
        return Frames((load(image, keep=keep), load(target, keep=keep)))
    if config.pairs == "frames":
        return Frames((load(image, keep=keep),))
    # Means per frame, so that the model sees the counts of one frame whatever the movie's length.
    return Frames((np.stack(even_odd(image)) / np.float32(image.frames // 2),))


def _normalisation(
    fields: Sequence[Field], config: DataConfig, seed: int, *, noisy: bool
) -> tuple[float, float]:
    """Return mean and standard deviation of the training inputs, hot pixels cut off [counts]."""
    pixels = sample_pixels(fields)
    if noisy:
        pixels = add_noise(pixels, config.noise, np.random.default_rng(seed), mean=config.noise.dose)
    pixels = np.clip(pixels, *np.percentile(pixels, [0.1, 99.9]))
    mean, std = float(pixels.mean(dtype=np.float64)), float(pixels.std(dtype=np.float64))
    if not std > 0:
        raise DataError(
            f"The training images must show something, and all pixels are {mean:g}; check data.train.images."
        )
    return mean, std


def _data_range(fields: Sequence[Field]) -> float:
    """Return the range from the 0.1 to the 99.9 percentile of the references [counts]."""
    low, high = np.percentile(sample_pixels(fields, references=True), [0.1, 99.9])
    return float(high - low) or 1.0


def _limits(found: Fingerprint, regime: Regime, fix: dict[str, Any]) -> SpaceLimits:
    noisy_targets = regime in ("noise2noise", "blind_spot")
    return SpaceLimits(
        patch_sizes=found.patch_sizes(),
        max_levels=found.max_levels(),
        losses=found.losses(regime),
        # The sampler adds no noise in these regimes, so there is nothing to search.
        fixed={"augment_noise": 0.0, **fix} if noisy_targets else dict(fix),
    )


def _mask_run(found: Fingerprint) -> int:
    """Return half the length over which noise is correlated along x, to a twentieth of its variance [px]."""
    noise = found.noise
    if noise.correlation_x < CORRELATED:
        return 0
    return min(LONGEST_RUN, math.ceil(noise.correlation_length_x * math.log(20)))

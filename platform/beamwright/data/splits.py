"""Which files are trained on, which are validated on, and which are kept for the end."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from beamwright.data.image import ImageFile
from beamwright.data.noise_estimates import estimate_noise
from beamwright.data.pairing import Pair, pair_up
from beamwright.data.sampling import sample_fields
from beamwright.data.scanning import scan_images
from beamwright.errors import DataError, DataWarning
from beamwright.experiment import DataConfig, ImageSet, Regime, SimulateConfig

__all__ = ["Pair", "Simulate", "Split", "resolve_regime", "split_files"]

Simulate = Callable[[SimulateConfig], Sequence[ImageFile]]
"""Who makes the images of a simulated set; the simulator needs torch, and readers must not."""

_SIZE_TOLERANCE = 0.01
# Means of two frames have 0.71 of the noise of one: what is less was meant to be cleaner.
_AS_NOISY = 0.75


@dataclass(frozen=True)
class Split:
    """Pairs of an input and its target (None where there is none), by role.

    Parameters
    ----------
    train, validation, test
        Shares never put a file into two of them; sets that the experiment names are taken as they are.
    """

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    test: tuple[Pair, ...]

    def inputs(self) -> dict[str, tuple[ImageFile, ...]]:
        """Return the input files by role, as `fingerprint` takes them."""
        return {
            role: tuple(image for image, _ in getattr(self, role)) for role in ("train", "validation", "test")
        }


def split_files(config: DataConfig, *, seed: int, simulate: Simulate | None = None) -> Split:
    """Scan the files of an experiment, or simulate its images, and give each its role.

    Parameters
    ----------
    config
        Sets are taken as they are; shares are shares of the training files, drawn by file.
    seed
        Decides which files shares draw.
    simulate
        Makes the images of simulated sets.

    Returns
    -------
    Split
        In the order of the names; the same for the same files and seed.

    Raises
    ------
    DataError
        If files cannot be read, there are too few for the shares, targets do not fit, pixel sizes
        contradict the experiment, or the regime needs what the files have not.

    Warns
    -----
    DataWarning
        If targets, taken for clean by ``auto``, are about as noisy as the images.
    """
    pairs = {"train": _load(config.train, config, simulate)}
    shares = {}
    for role in ("validation", "test"):
        value = getattr(config, role)
        if isinstance(value, ImageSet):
            pairs[role] = _load(value, config, simulate)
        else:
            shares[role] = value
    pairs |= _draw(pairs["train"], shares, seed)
    split = Split(**{role: tuple(group) for role, group in pairs.items()})
    _check_regime(config, split)
    if config.regime == "auto":
        _doubt_targets(split.train)
    return split


def resolve_regime(config: DataConfig, split: Split) -> Regime:
    """Return the regime, finding out what ``auto`` means for these files."""
    if config.regime != "auto":
        return config.regime
    if config.train.simulate is not None:
        return "synthetic"
    if all(target is not None for _, target in split.train):
        return "clean"
    is_movie = [image.kind == "movie" and image.frames > 1 for image, _ in split.train]
    return "noise2noise" if all(is_movie) else "blind_spot"


def _load(images: ImageSet, config: DataConfig, simulate: Simulate | None) -> list[Pair]:
    if images.simulate is not None:
        if simulate is None:
            raise DataError("Simulated images cannot be made here; name files under images instead.")
        return [(file, None) for file in simulate(images.simulate)]
    assert images.images is not None  # the experiment has seen to it
    inputs = scan_images(images.images, stack=config.stack)
    targets = None if images.targets is None else scan_images(images.targets, stack=config.stack)
    pairs: Sequence[Pair] = [(file, None) for file in inputs] if targets is None else pair_up(inputs, targets)
    sized = [(_sized(image, config.pixel_size), target) for image, target in pairs]
    return sized


def _sized(file: ImageFile, pixel_size: float | None) -> ImageFile:
    """Fill in the pixel size of the experiment where the header has none."""
    if pixel_size is None:
        return file
    if file.pixel_size is not None and abs(file.pixel_size / pixel_size - 1) > _SIZE_TOLERANCE:
        raise DataError(
            f"{file.name}: its header says a pixel size of {file.pixel_size:.5g} nm, data.pixel_size says "
            f"{pixel_size:.5g} nm; remove data.pixel_size, or correct the header."
        )
    return replace(file, pixel_size=pixel_size)


def _draw(pairs: list[Pair], shares: dict[str, float], seed: int) -> dict[str, list[Pair]]:
    """Draw shares of the files, at least one each, and leave the rest to training."""
    if not shares:
        return {"train": pairs}
    if sum(shares.values()) >= 1:
        raise DataError(
            f"The shares {_listed(shares)} leave nothing to train on; together they must be below 1."
        )
    counts = _counts(shares, len(pairs))
    if sum(counts.values()) >= len(pairs):
        raise _too_few(pairs, shares)
    order = np.random.default_rng(seed).permutation(len(pairs))
    drawn: dict[str, list[Pair]] = {}
    for role, number in counts.items():
        drawn[role] = [pairs[index] for index in sorted(order[:number])]
        order = order[number:]
    return {"train": [pairs[index] for index in sorted(order)], **drawn}


def _too_few(pairs: list[Pair], shares: dict[str, float]) -> DataError:
    cure = f"give at least {_needed(shares)} files, or name files for "
    cure += " and ".join(f"data.{role}" for role in shares)
    if any(image.frames > 1 for image, _ in pairs):
        cure += "; if the frames of a file are unrelated images, set data.stack: images"
    return DataError(
        f"Data are split by file, and {len(pairs)} training "
        f"file{'' if len(pairs) == 1 else 's'} cannot give the shares {_listed(shares)}: {cure}."
    )


def _counts(shares: dict[str, float], files: int) -> dict[str, int]:
    return {role: max(round(share * files), 1) for role, share in shares.items()}


def _needed(shares: dict[str, float]) -> int:
    return next(files for files in count(1) if sum(_counts(shares, files).values()) < files)


def _listed(shares: dict[str, float]) -> str:
    return ", ".join(f"{role} {share:g}" for role, share in shares.items())


def _check_regime(config: DataConfig, split: Split) -> None:
    """Refuse, for all roles at once, files that the regime cannot use; shares have the faults of `train`."""
    regime = resolve_regime(config, split)
    _check_simulated(config, regime)
    named = [role for role in ("train", "validation", "test") if isinstance(getattr(config, role), ImageSet)]
    faults = [fault for role in named if (fault := _misfit(role, regime, getattr(split, role)))]
    if faults:
        raise DataError("\n".join(faults))


def _check_simulated(config: DataConfig, regime: Regime) -> None:
    """Refuse simulated images where noisy ones are needed."""
    sets = {role: getattr(config, role) for role in ("train", "validation", "test")}
    simulated = [role for role, value in sets.items() if isinstance(value, ImageSet) and value.simulate]
    if simulated and regime != "synthetic":
        raise DataError(
            f'The regime "{regime}" needs recorded images, and data.{simulated[0]} simulates clean ones; '
            "set data.regime: synthetic, or name recorded images."
        )


def _doubt_targets(pairs: Sequence[Pair]) -> None:
    """Warn where second noisy images were taken for clean ones."""
    targets = [target for _, target in pairs if target is not None]
    if not targets:
        return
    noisy, clean = (_sigma(group) for group in ([image for image, _ in pairs], targets))
    if clean > _AS_NOISY * noisy > 0:
        warnings.warn(
            "data.regime = auto takes targets for clean images, and these are about as noisy as the inputs "
            f"(sigma {clean:.3g} and {noisy:.3g} counts): if they are second noisy images of the same "
            "fields, set data.regime: noise2noise; if they are clean, set data.regime: clean.",
            DataWarning,
            stacklevel=3,
        )


def _sigma(files: Sequence[ImageFile]) -> float:
    """Return the noise of single frames [counts]."""
    single = [replace(file, kind="images") for file in files]  # both sides by the same estimate
    return estimate_noise(sample_fields({"": single}, max_pixels=1_000_000))[0].sigma


def _misfit(role: str, regime: Regime, pairs: Sequence[Pair]) -> str | None:
    lacking = [image for image, target in pairs if target is None]
    if regime == "clean" and lacking:
        return (
            f'The regime "clean" needs clean targets, and data.{role} has none; name them under '
            f"data.{role}.targets, or choose another data.regime."
        )
    if regime == "synthetic" and len(lacking) < len(pairs):
        return (
            f'The regime "synthetic" puts noise on clean images, so that data.{role}.targets have no use; '
            "remove them."
        )
    single = [image.name for image in lacking if image.frames < 2]
    if regime == "noise2noise" and single:
        shown = ", ".join(single[:3]) + (f" and {len(single) - 3} more" if len(single) > 3 else "")
        return (
            'The regime "noise2noise" needs files of two or more frames, or second images as '
            f"data.{role}.targets; these have one frame: {shown}. Use blind_spot for single images."
        )
    return None

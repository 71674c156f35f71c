"""What ``beamwright predict`` is going to do, and everything that can be wrong with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from beamwright.data import formats
from beamwright.data.image import ImageFile
from beamwright.data.mapped_writing import WRITERS
from beamwright.data.pairing import pair_up
from beamwright.errors import DataError
from beamwright.runtime import Bundle
from beamwright.runtime.images import takes_dose

__all__ = ["Job", "plan_jobs"]


@dataclass(frozen=True)
class Job:
    """A file that goes through a model.

    Parameters
    ----------
    file
        What is read.
    targets
        What is written, a file for every channel of the result.
    volume
        Whether the model takes the whole file at once.
    channels
        Frames of the file that are channels of one image.
    dose
        The second channel, where it has a file of its own.
    """

    file: ImageFile
    targets: tuple[Path, ...]
    volume: bool = False
    channels: int = 1
    dose: ImageFile | None = None

    @property
    def images(self) -> int:
        """How often the model is run."""
        return 1 if self.volume else self.file.frames // self.channels

    @property
    def result(self) -> ImageFile:
        """What results look like: the file, less the frames that are channels."""
        if self.channels == 1:
            return self.file
        shape = self.file.shape[-2:]
        return replace(self.file, shape=shape if self.images == 1 else (self.images, *shape))

    def passes(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield name and pixels of what goes through the model at once: a volume, or image after image."""
        if self.volume:
            yield self.file.name, self.file.read()
            return
        for index, image in enumerate(self._frames()):
            yield (f"{self.file.name}, frame {index}" if self.images > 1 else self.file.name), image

    def _frames(self) -> Iterator[np.ndarray]:
        """Yield images, ``(H, W)`` or ``(C, H, W)``."""
        if self.dose is not None:
            dose = self.dose.read()
            for index, frame in enumerate(self.file.stream()):
                yield np.stack([frame, dose if dose.ndim == 2 else dose[index]])
        elif self.channels == 1:
            yield from self.file.stream()
        else:
            frames = self.file.stream()
            for group in zip(*[frames] * self.channels, strict=True):
                yield np.stack(group)


def plan_jobs(
    bundle: Bundle,
    files: Sequence[ImageFile],
    output: Path,
    *,
    doses: Sequence[ImageFile] | None,
    overwrite: bool,
) -> list[Job]:
    """Say what is read and written.

    Parameters
    ----------
    files
        The inputs.
    output
        A file for a single input, if its suffix is that of an image; else a folder.
    doses
        One for all inputs or one for each, where the model takes doses and the inputs do not have them.
    overwrite
        Replace results that are there.

    Raises
    ------
    DataError
        If inputs do not fit the model, or a result would replace something; all of these at once.
    """
    source, names = (bundle.metadata[side][0] for side in ("inputs", "outputs"))
    ndim, channels = len(source["axes"]) - 2, source["channels"]
    _check_model(bundle, ndim, channels)
    pairs = _with_doses(bundle, files, doses)
    labels = names.get("channel_names") or [f"channel{index}" for index in range(names["channels"])]
    jobs = []
    for (file, dose), target in zip(pairs, _targets(files, output), strict=True):
        taken = 1 if dose else channels
        _check_file(bundle, file, ndim=ndim, channels=taken)
        jobs.append(Job(file, _for_channels(target, labels), ndim == 3, taken, dose))
    _check_targets(jobs, overwrite)
    return jobs


def _check_model(bundle: Bundle, ndim: int, channels: int) -> None:
    if ndim == 1 or (ndim == 3 and channels > 1):
        raise DataError(
            f'"{bundle.path}" takes {channels} channels of {ndim}D data, and files are predicted by models '
            "of 2D data, or of one channel in 3D; use beamwright.runtime.load_bundle."
        )


def _with_doses(
    bundle: Bundle, files: Sequence[ImageFile], doses: Sequence[ImageFile] | None
) -> Sequence[tuple[ImageFile, ImageFile | None]]:
    if doses is None:
        return [(file, None) for file in files]
    if not takes_dose(bundle.metadata):
        raise DataError(f'"{bundle.path}" does not complete sparse scans and takes no doses: omit --dose.')
    if len(doses) > 1:
        return pair_up(files, doses)
    faults = [file.name for file in files if doses[0].shape not in (file.shape, file.shape[-2:])]
    if faults:
        raise DataError(
            f"The dose must have the shape of the values: {doses[0].name} has {doses[0].shape}, unlike "
            f"{', '.join(faults[:3])}."
        )
    return [(file, doses[0]) for file in files]


def _check_file(bundle: Bundle, file: ImageFile, *, ndim: int, channels: int) -> None:
    if ndim > len(file.shape):
        raise DataError(
            f'{file.name} has the shape {file.shape}, and "{bundle.path}" takes volumes (z, y, x).'
        )
    if file.dtype.kind not in "buif":
        raise DataError(
            f"{file.name} must hold real numbers, not {file.dtype}; take its modulus or real part."
        )
    if file.frames % channels:
        names = bundle.metadata["inputs"][0].get("channel_names") or [f"{channels} channels"]
        cure = ", or give the doses apart (--dose)" if takes_dose(bundle.metadata) else ""
        raise DataError(
            f'{file.name} has {file.frames} frame{"s" * (file.frames > 1)}, and "{bundle.path}" takes '
            f"{channels} for each image ({', '.join(names)}); put them into one file{cure}."
        )


def _check_targets(jobs: Sequence[Job], overwrite: bool) -> None:
    sources: dict[Path, list[str]] = defaultdict(list)
    for job in jobs:
        for target in job.targets:
            sources[target].append(job.file.name)
    originals = {file.path.resolve() for job in jobs for file in (job.file, job.dose) if file}
    faults = []
    for target, names in sources.items():
        if len(names) > 1:
            faults.append(f"{target}: would hold the results of {', '.join(names)}; predict them apart.")
        elif target.resolve() in originals:
            faults.append(
                f"{target}: is an input, and inputs are never replaced; give another output folder."
            )
        elif target.exists() and not overwrite:
            faults.append(
                f"{target}: is already there; remove it, give another output, or overwrite it (--overwrite)."
            )
    if faults:
        raise DataError("\n".join(faults))


def _targets(files: Sequence[ImageFile], output: Path) -> list[Path]:
    ending = formats.suffix(output)
    if not ending or output.is_dir():
        return [output / _result_name(file) for file in files]
    if ending not in WRITERS:
        raise DataError(f"{output}: results are written as {', '.join(sorted(WRITERS))}, not as {ending}.")
    if len(files) > 1:
        raise DataError(f"{output}: one file cannot hold the results of {len(files)} inputs; give a folder.")
    return [output]


def _for_channels(target: Path, labels: Sequence[str]) -> tuple[Path, ...]:
    """Return a file for each channel, the first under the name of the result itself."""
    ending = formats.suffix(target)
    stem = target.name[: len(target.name) - len(ending)]
    return (target, *(target.with_name(f"{stem}-{label}{ending}") for label in labels[1:]))


def _result_name(file: ImageFile) -> str:
    ending = formats.suffix(file.path).removesuffix(".gz").removesuffix(".bz2")
    kept = {".png": ".tif"}.get(ending, ending if ending in WRITERS else ".mrc")
    stem = "".join(character if character not in '<>:"/\\|?*[]' else "-" for character in file.stem)
    return stem.rstrip("-") + kept

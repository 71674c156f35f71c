"""Files through a bundle: ``beamwright predict``.

Glue of readers and runtime; neither torch nor ray is imported. Results are written through memory maps,
frame by frame, so that stacks and images may be larger than memory.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from beamwright.data import formats
from beamwright.data.image import ImageFile
from beamwright.data.mapped_writing import WRITERS, writing
from beamwright.data.scanning import scan_images
from beamwright.errors import DataError, DataWarning
from beamwright.runtime import Bundle, load_bundle
from beamwright.runtime.bundle import MEMORY

__all__ = ["predict_files"]

Progress = Callable[[Path, int, int], None]


@dataclass(frozen=True)
class _Job:
    file: ImageFile
    target: Path


def predict_files(
    bundle: str | Path | Bundle,
    inputs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    tile: int | None = None,
    memory: int = MEMORY,
    threads: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> list[Path]:
    """Run a bundle over files.

    Everything that can be wrong with bundle, inputs and outputs is looked for before the first result is
    written; each result appears under its name only when it is complete.

    Parameters
    ----------
    bundle
        A bundle, or its folder or ``.zip``.
    inputs
        Folders, files or glob patterns.
    output
        A file for a single input, if its suffix is that of an image; else a folder. In a folder, results
        have the names of the inputs; formats that are read but not written become ``.mrc``.
    tile
        Edge of the tiles, overlap included [px]; by default as large as `memory` allows.
    memory
        What the network's intermediate images may take [byte].
    threads
        By default one per core.
    overwrite
        Replace results that are there; inputs never are.
    progress
        Called after each frame with its file, and the numbers of frames done and of all frames.

    Returns
    -------
    list of Path
        The results, in the order of the inputs.

    Raises
    ------
    BundleError
        If the bundle cannot be loaded, or needs more memory.
    DataError
        If inputs cannot be read or do not fit the model, or a result would replace something.

    Warns
    -----
    DataWarning
        If pixel size or counts are unlike those that the model was trained on; once for each file.
    """
    loaded = bundle if isinstance(bundle, Bundle) else load_bundle(bundle, threads=threads)
    files = scan_images(inputs)
    jobs = _plan(files, Path(output), overwrite)
    for job in jobs:
        _check(job.file, loaded)
        loaded.tiling(job.file.shape[-_ndim(loaded) :], tile=tile, memory=memory)
    total = sum(_count(job.file, loaded) for job in jobs)
    done = count(1)
    for job in jobs:
        for _ in _run(job, loaded, tile, memory):
            if progress:
                progress(job.file.path, next(done), total)
    return [job.target for job in jobs]


def _run(job: _Job, bundle: Bundle, tile: int | None, memory: int) -> Iterator[None]:
    """Predict a file; yields after each pass."""
    volume = _ndim(bundle) == 3
    job.target.parent.mkdir(parents=True, exist_ok=True)
    with writing(job.target, job.file) as results:  # (N, H, W)
        for index, (name, image) in enumerate(_passes(job.file, volume)):
            out = results if volume else results[index]
            with warnings.catch_warnings():
                if index:  # what the first frame is warned about holds for all
                    warnings.simplefilter("ignore", DataWarning)
                bundle.predict(
                    image, tile=tile, memory=memory, out=out, pixel_size=job.file.pixel_size, name=name
                )
            yield


def _count(file: ImageFile, bundle: Bundle) -> int:
    """Return how often the model is run on a file."""
    return 1 if _ndim(bundle) == 3 else file.frames


def _ndim(bundle: Bundle) -> int:
    return len(bundle.metadata["inputs"][0]["axes"]) - 2


def _passes(file: ImageFile, volume: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Yield what goes through the model at once: a volume, or frame after frame."""
    if volume:
        yield file.name, file.read()
        return
    for index, frame in enumerate(file.stream()):
        yield (f"{file.name}, frame {index}" if file.frames > 1 else file.name), frame


def _check(file: ImageFile, bundle: Bundle) -> None:
    ndim = _ndim(bundle)
    channels = [bundle.metadata[side][0]["channels"] for side in ("inputs", "outputs")]
    if channels != [1, 1] or ndim == 1:
        raise DataError(
            f'"{bundle.path}" takes {channels[0]} channels of {ndim}D data to {channels[1]}, and files are '
            "predicted by models of one channel in 2D or 3D; use beamwright.runtime.load_bundle."
        )
    if ndim > len(file.shape):
        raise DataError(
            f'{file.name} has the shape {file.shape}, and "{bundle.path}" takes volumes (z, y, x).'
        )
    if file.dtype.kind not in "buif":
        raise DataError(
            f"{file.name} must hold real numbers, not {file.dtype}; take its modulus or real part."
        )


def _plan(files: Sequence[ImageFile], output: Path, overwrite: bool) -> list[_Job]:
    jobs = [_Job(file, target) for file, target in zip(files, _targets(files, output), strict=True)]
    sources: dict[Path, list[str]] = defaultdict(list)
    for job in jobs:
        sources[job.target].append(job.file.name)
    originals = {file.path.resolve() for file in files}
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
    return jobs


def _targets(files: Sequence[ImageFile], output: Path) -> list[Path]:
    ending = formats.suffix(output)
    if not ending or output.is_dir():
        return [output / _result_name(file) for file in files]
    if ending not in WRITERS:
        raise DataError(f"{output}: results are written as {', '.join(sorted(WRITERS))}, not as {ending}.")
    if len(files) > 1:
        raise DataError(f"{output}: one file cannot hold the results of {len(files)} inputs; give a folder.")
    return [output]


def _result_name(file: ImageFile) -> str:
    ending = formats.suffix(file.path).removesuffix(".gz").removesuffix(".bz2")
    kept = {".png": ".tif"}.get(ending, ending if ending in WRITERS else ".mrc")
    stem = "".join(character if character not in '<>:"/\\|?*[]' else "-" for character in file.stem)
    return stem.rstrip("-") + kept

"""Files through a bundle: ``beamwright predict``.

Glue of readers and runtime; neither torch nor ray is imported. Results are written through memory maps,
frame by frame, so that stacks and images may be larger than memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from beamwright.data.mapped_writing import writing
from beamwright.data.scanning import scan_images
from beamwright.errors import DataWarning
from beamwright.predict_jobs import Job, plan_jobs
from beamwright.runtime import Bundle, load_bundle
from beamwright.runtime.bundle import MEMORY

__all__ = ["predict_files"]

Paths = str | Path | Sequence[str | Path]
Progress = Callable[[Path, int, int], None]


def predict_files(
    bundle: str | Path | Bundle,
    inputs: Paths,
    output: str | Path,
    *,
    dose: Paths | None = None,
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
        have the names of the inputs; formats that are read but not written become ``.mrc``. Where the model
        gives several channels, the first has this name and the others have their own behind it.
    dose
        For models that complete sparse scans: files with the electrons of each pixel, 0 where nothing was
        measured; one for all inputs, or one for each, paired by name. Without it every input has two frames,
        or pairs of them: values and doses.
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
        The results, in the order of the inputs, their channels one after the other.

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
    doses = None if dose is None else scan_images(dose)
    jobs = plan_jobs(loaded, scan_images(inputs), Path(output), doses=doses, overwrite=overwrite)
    for job in jobs:
        loaded.tiling(job.file.shape if job.volume else job.file.shape[-2:], tile=tile, memory=memory)
    total = sum(job.images for job in jobs)
    done = count(1)
    for job in jobs:
        for _ in _run(job, loaded, tile, memory):
            if progress:
                progress(job.file.path, next(done), total)
    return [target for job in jobs for target in job.targets]


def _run(job: Job, bundle: Bundle, tile: int | None, memory: int) -> Iterator[None]:
    """Predict a file; yields after each pass."""
    job.targets[0].parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        results = [stack.enter_context(writing(target, job.result)) for target in job.targets]  # (N, H, W)
        for index, (name, image) in enumerate(job.passes()):
            outs = [result if job.volume else result[index] for result in results]
            with warnings.catch_warnings():
                if index:  # what the first frame is warned about holds for all
                    warnings.simplefilter("ignore", DataWarning)
                found = bundle.predict(
                    image,
                    tile=tile,
                    memory=memory,
                    out=outs[0] if len(outs) == 1 else None,
                    pixel_size=job.file.pixel_size,
                    name=name,
                )
            for channel, out in enumerate(outs if len(outs) > 1 else ()):
                out[...] = found[channel]
            yield

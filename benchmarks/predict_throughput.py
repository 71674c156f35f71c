"""Megapixels a second of bundles, against calling onnxruntime on whole images."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from bundles import untrained
from results import Section, table
from tools import WORK, beamwright

from beamwright.data import write_image
from beamwright.runtime import Bundle, load_bundle

__all__ = ["measure"]

NETWORKS = ("drunet", "unet")
SIZES = (512, 1024, 2048, 4096)
LARGEST_WHOLE = 2048
"""Of the U-Net, whose intermediate images at 4096 px take gigabytes."""
SECONDS = 8.0
"""Of repetitions a figure, at least three."""


def measure(folder: Path = WORK / "throughput") -> Section:
    """Time both in turn, so that what else the machine does touches both alike."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for network in NETWORKS:
        path = untrained(folder, network)
        bundle = load_bundle(path, threads=1)
        plain = _plain_session(bundle)
        for size in SIZES:
            if network != "drunet" and size > LARGEST_WHOLE:
                continue
            rows += [_row(network, bundle, plain, size, tile) for tile in _tiles(size)]
    command = table(
        ["", "image", "MP/s", "of onnxruntime"], [_command(folder, size) for size in (2048, 4096)]
    )
    text = f"""\
One thread. `onnxruntime` is a session with its default options (one thread), called on the whole image;
`Bundle.predict` checks the image and cuts it where it must. Medians of calls in turn; the aim is 0.9 or more.
A forced tile of 512 px shows what the overlap costs.

{table(["network", "image", "tiles", "onnxruntime [MP/s]", "Bundle.predict [MP/s]", "ratio"], rows)}

The command line, with start-up, reading and writing:

{command}
"""
    return Section("predict_throughput", "Prediction", text)


def _tiles(size: int) -> tuple[int | None, ...]:
    return (None,) if size <= 512 else (None, 512)


def _plain_session(bundle: Bundle) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(bundle.model, options, providers=["CPUExecutionProvider"])


def _image(size: int) -> np.ndarray:
    return np.random.default_rng(0).poisson(10, (size, size)).astype(np.float32)


def _row(
    network: str, bundle: Bundle, plain: onnxruntime.InferenceSession, size: int, tile: int | None
) -> list[str]:
    image = _image(size)
    name = plain.get_inputs()[0].name
    theirs, ours = _in_turn(
        lambda: plain.run(None, {name: image[None, None]}), lambda: bundle.predict(image, tile=tile)
    )
    count = sum(1 for _ in bundle.tiling(image.shape, tile=tile).pieces(image.shape))
    megapixels = size**2 / 1e6
    cells = [f"{megapixels / theirs:.2f}", f"{megapixels / ours:.2f}", f"{theirs / ours:.2f}"]
    return [network, f"{size} x {size}", f"{count}" if tile is None else f"{count} of {tile} px", *cells]


def _in_turn(*calls: Callable[[], object]) -> list[float]:
    """Return the median seconds of each call, timed in turn."""
    times: list[list[float]] = [[] for _ in calls]
    for call in calls:
        call()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times[0]) < 3:
        for call, spent in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            spent.append(time.perf_counter() - start)
    return [statistics.median(spent) for spent in times]


def _command(folder: Path, size: int) -> list[str]:
    image, result = folder / f"{size}.mrc", folder / f"{size}-out.mrc"
    write_image(image, _image(size))
    bundle = load_bundle(untrained(folder), threads=1)
    plain = _plain_session(bundle)
    name, array = plain.get_inputs()[0].name, _image(size)[None, None]

    def command() -> None:
        result.unlink(missing_ok=True)
        beamwright("predict", bundle.path, image, "-o", result, "--threads", "1")

    theirs, ours = _in_turn(lambda: plain.run(None, {name: array}), command)
    megapixels = size**2 / 1e6
    return [
        "`beamwright predict`, drunet",
        f"{size} x {size}",
        f"{megapixels / ours:.2f}",
        f"{theirs / ours:.2f}",
    ]

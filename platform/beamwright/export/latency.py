"""How long the exported model takes."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median

import numpy as np

from beamwright.runtime.session import open_session

__all__ = ["measure_latency"]


def measure_latency(
    path: str | Path,
    shape: tuple[int, ...] = (512, 512),
    *,
    channels: int = 1,
    threads: int = 1,
    repeats: int = 3,
) -> float:
    """Time an ONNX model on the CPU.

    Parameters
    ----------
    path
        The ONNX file.
    shape
        Spatial shape of the image [px].
    channels
        Channels of the image.
    threads
        Threads of onnxruntime.
    repeats
        Runs, after one to warm up; their median counts.

    Returns
    -------
    float
        Time per megapixel [ms].

    Raises
    ------
    BundleError
        If onnxruntime does not take the model.
    """
    session = open_session(Path(path).read_bytes(), threads=threads)
    name = session.get_inputs()[0].name
    image = np.random.default_rng(0).normal(size=(1, channels, *shape)).astype(np.float32)  # (1, C, *spatial)
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        session.run(None, {name: image})
        seconds.append(time.perf_counter() - start)
    return 1e3 * median(seconds[1:]) / (np.prod(shape) / 1e6).item()

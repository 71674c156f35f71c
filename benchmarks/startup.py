"""How much processor time the command line takes before it does anything."""

from __future__ import annotations

import os
import resource
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bundles import untrained
from results import Section, table
from tools import WORK

from beamwright.data import write_image

__all__ = ["measure"]

REPEATS = 5


def measure(folder: Path = WORK / "startup") -> Section:
    """Return the median processor time of two commands."""
    folder.mkdir(parents=True, exist_ok=True)
    bundle, image = untrained(folder), folder / "image.tif"
    write_image(image, np.random.default_rng(0).poisson(10, (64, 64)).astype(np.float32))
    predict = [
        "-m",
        "beamwright.cli",
        "predict",
        str(bundle),
        str(image),
        "-o",
        str(folder / "out.tif"),
        "--threads",
        "1",
    ]
    commands = {
        "`python -c pass`": ["-c", "pass"],
        "`python -c 'import numpy, onnxruntime'`": ["-c", "import numpy, onnxruntime"],
        "`beamwright --help`": ["-m", "beamwright.cli", "--help"],
        "`beamwright predict` of a 64 x 64 px image": predict,
    }
    rows = [[name, f"{_median(command, folder):.2f}"] for name, command in commands.items()]
    found = table(["", "processor time [s]"], rows)
    text = f"Median of {REPEATS} starts; the aim is less than one second.\n\n{found}\n"
    return Section("startup", "Start-up", text)


def _median(command: Sequence[str], folder: Path) -> float:
    times = []
    for _ in range(REPEATS):
        (folder / "out.tif").unlink(missing_ok=True)
        times.append(_processor_time([sys.executable, *command]))
    return statistics.median(times)


def _processor_time(command: list[str]) -> float:
    """Return user and system time of a process and its children [s]."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    actions = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(command[0], command, os.environ | {"OMP_NUM_THREADS": "1"}, file_actions=actions)
    _, status = os.waitpid(child, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} failed; run it to see why.")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

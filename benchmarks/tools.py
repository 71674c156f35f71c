"""The other tools, each in a process of the benchmarks' own virtual environment; and our own command line."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = ["WORK", "beamwright", "environment", "foreign"]

ROOT = Path(__file__).parents[1]
VENV = Path(os.environ.get("BEAMWRIGHT_BENCH_VENV", ROOT / ".venv-bench"))
"""Apart from ours: the tools pin other versions of what we need too."""
WORK = Path(os.environ.get("BEAMWRIGHT_BENCH_WORK", ROOT / "runs" / "benchmarks"))
"""Where images, runs and bundles of the benchmarks lie."""
FOREIGN = Path(__file__).parent / "foreign"


def environment() -> Path:
    """Return the Python of the tools' environment, made at the first call.

    `pip` is not asked to resolve: it backtracks without end, and would fetch torchvision and a CUDA build.
    """
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        requirements = Path(__file__).with_name("requirements.txt")
        command = [
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--requirement",
            str(requirements),
        ]
        subprocess.run(command, check=True)
    return python


def foreign(
    script: str, arrays: Mapping[str, npt.NDArray[np.float32]], *options: str, threads: int = 1
) -> dict[str, npt.NDArray[np.float32]]:
    """Run a script of ``foreign/`` on arrays and return the arrays that it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(given, allow_pickle=False, **arrays)
        command = [str(environment()), str(FOREIGN / script), str(given), str(made), *options]
        result = subprocess.run(
            command, env=os.environ | {"OMP_NUM_THREADS": str(threads)}, capture_output=True, text=True
        )
        if result.returncode:
            raise RuntimeError(f"{script} failed:\n{result.stderr[-3000:]}")
        with np.load(made) as found:
            return dict(found)


def beamwright(*arguments: str | Path, threads: int | None = 1, folder: Path | None = None) -> float:
    """Run our command line as a user would; return the seconds it took."""
    command: Sequence[str] = [sys.executable, "-m", "beamwright.cli", *map(str, arguments)]
    variables = dict(os.environ) if threads is None else os.environ | {"OMP_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    result = subprocess.run(command, env=variables, cwd=folder, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr[-3000:]}")
    return time.perf_counter() - start

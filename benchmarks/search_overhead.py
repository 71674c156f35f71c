"""What a search costs beyond its trainings: eight trials, against the same eight in a plain loop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml
from images import lattice_experiment, write_lattices
from results import Section, table
from tools import WORK, beamwright

from beamwright.experiment import load_experiment
from beamwright.search_spaces import Candidate
from beamwright.tasks import TASKS
from beamwright.tracking import RunFolder
from beamwright.training import Trainer

__all__ = ["measure"]

TRIALS = 8
WORKERS = 2
SECONDS = float(os.environ.get("BEAMWRIGHT_BENCH_TRIAL", "60"))
"""Of a trial."""
REPEATS = int(os.environ.get("BEAMWRIGHT_BENCH_REPEATS", "2"))
"""Once, or twice in opposite order."""
STEPS = 25
VALIDATION = 0.26
"""Pixels of validation after every epoch [megapixel]."""


def measure(folder: Path = WORK / "overhead") -> Section:
    """Time the plain loop and the search, one after the other, then in opposite order."""
    shutil.rmtree(folder, ignore_errors=True)
    write_lattices(folder)
    epochs = _epochs(folder)
    times: dict[str, list[float]] = {"search": [], "loop": []}
    for order in (("search", "loop"), ("loop", "search"))[:REPEATS]:
        for what in order:
            times[what].append((_search if what == "search" else _loop)(folder, epochs))
    search, loop = (sum(times[name]) / REPEATS for name in ("search", "loop"))
    rows = [
        [
            "`beamwright run`, from start to the end of the last trial",
            *(f"{value:.0f}" for value in times["search"]),
            f"{search:.0f}",
        ],
        [
            "the same trainings in a plain loop of two processes",
            *(f"{value:.0f}" for value in times["loop"]),
            f"{loop:.0f}",
        ],
    ]
    text = f"""\
{TRIALS} trials of the named U-Net, {epochs} epochs each, about {loop / TRIALS * WORKERS:.0f} s;
{WORKERS} workers of one thread, no scheduler. Both sides are timed from the start of their process to the end
of the last trial: imports, reading of the data, training and validation. The search also writes checkpoints,
curves and TensorBoard's images, exports every trial to ONNX and measures it in onnxruntime; the loop
does not.

{table(["", *("first [s]", "second [s]")[:REPEATS], "mean [s]"], rows)}

Ratio: **{search / loop:.2f}** (aim: 1.10 or less for trials of a minute).
"""
    return Section("search_overhead", "Overhead of a search", text)


def _experiment(folder: Path, epochs: int) -> dict[str, Any]:
    return lattice_experiment(
        folder,
        storage=str(folder / "runs"),
        space={"networks": ["unet"], "fix": _fixed()},
        search={"trials": TRIALS, "scheduler": "none", "sampler": "random"},
        training={"epochs": epochs, "steps_per_epoch": STEPS, "validation_pixels": VALIDATION},
        resources={"cpus": 1, "concurrent": WORKERS},
    )


def _fixed() -> dict[str, Any]:
    """Return what makes all trials cost the same: only what costs nothing is searched."""
    return {
        **{"block": "plain", "levels": 4, "width": 16, "growth": 2.0, "depth": 2, "stem": "full"},
        **{"skips": "concatenate", "downsample": "max", "upsample": "transpose", "decoder_depth": 2},
        **{"dilation": 1, "bottleneck": "none", "norm": "batch", "residual": False, "activation": "relu"},
        **{"batch_size": 8, "patch_size": 64, "optimizer": "adam", "ema": 0.0, "loss": "l2", "dropout": 0.0},
    }


def _epochs(folder: Path) -> int:
    """Return how many epochs fill a trial, both workers busy."""
    path = _write(folder, _experiment(folder, epochs=3))
    start = time.perf_counter()
    _run_workers(path, [[0], [1]], folder)
    once = time.perf_counter() - start
    path = _write(folder, _experiment(folder, epochs=9))
    start = time.perf_counter()
    _run_workers(path, [[0], [1]], folder)
    return max(3, round(SECONDS / ((time.perf_counter() - start - once) / 6)))


def _write(folder: Path, experiment: dict[str, Any]) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(experiment), encoding="utf-8")
    return path


def _search(folder: Path, epochs: int) -> float:
    """Run the search and return the seconds until its last trial ended."""
    path = _write(folder, _experiment(folder, epochs))
    start = time.time()
    beamwright("run", path)
    run = RunFolder.latest(folder / "runs")
    return (
        max((run.path / "trials" / f"{n:04d}" / "best.onnx").stat().st_mtime for n in range(TRIALS)) - start
    )


def _loop(folder: Path, epochs: int) -> float:
    path = _write(folder, _experiment(folder, epochs))
    start = time.perf_counter()
    _run_workers(path, [list(range(worker, TRIALS, WORKERS)) for worker in range(WORKERS)], folder)
    return time.perf_counter() - start


def _run_workers(path: Path, shares: list[list[int]], folder: Path) -> None:
    """Run each share of the trials in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), str(path)]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    workers = [subprocess.Popen([*command, *map(str, share)], env=variables) for share in shares]
    codes = [worker.wait() for worker in workers]
    if any(codes):
        raise RuntimeError(f"The plain loop failed: {codes}.")


def train(path: Path, numbers: list[int]) -> None:
    """Train candidates of the search, one after the other: the plain loop."""
    experiment = load_experiment(path)
    task = TASKS.load(experiment.task)()
    data = task.prepare(experiment)
    runs = sorted(Path(experiment.storage).glob("*/trials"))
    for number in numbers:
        trainer = Trainer(
            _candidate(runs, number, data),
            task,
            data,
            config=experiment.training,
            device="cpu",
            seed=experiment.seed,
        )
        for _ in range(experiment.training.epochs):
            trainer.run_epoch()


def _candidate(runs: list[Path], number: int, data: Any) -> Candidate:
    """Return what the search tried under this number, if it has run already; the seed is the same."""
    from beamwright.search_spaces import named

    path = runs[0] / f"{number:04d}" / "candidate.json" if runs else Path()
    if not path.is_file():
        return named("unet", limits=data.limits)
    return Candidate.from_dict(json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    train(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]])

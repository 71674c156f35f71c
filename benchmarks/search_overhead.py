"""What a search costs beyond its trainings: eight trials, against the same eight in a plain loop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
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
EPOCHS = int(os.environ.get("BEAMWRIGHT_BENCH_EPOCHS", "0"))
"""Of a trial; 0: as many as fill the seconds, which needs a quiet machine to find out."""
STEPS = 25
VALIDATION = 0.26
"""Pixels of validation after every epoch [megapixel]."""


def measure(folder: Path = WORK / "overhead") -> Section:
    """Time the plain loop and the search, one after the other, then in opposite order."""
    shutil.rmtree(folder, ignore_errors=True)
    write_lattices(folder)
    epochs = EPOCHS or _epochs(folder)
    times: dict[str, list[_Times]] = {"search": [], "loop": []}
    for order in (("search", "loop"), ("loop", "search"))[:REPEATS]:
        for what in order:
            times[what].append((_search if what == "search" else _loop)(folder, epochs))
    search, loop = (_mean(times[name]) for name in ("search", "loop"))
    rows = [
        _row("`beamwright run`, from start to the end of the last trial", times["search"]),
        _row("the same trainings in a plain loop of two processes", times["loop"]),
    ]
    text = f"""\
{TRIALS} trials of the named U-Net, {epochs} epochs each, about {search.training / TRIALS * WORKERS:.0f} s;
{WORKERS} workers of one thread, no scheduler. Both sides are timed from the start of their process to the end
of the last trial: imports, reading of the data, training and validation. The search also writes checkpoints,
curves and TensorBoard's images, exports every trial to ONNX and measures it in onnxruntime; the loop
does not.

The epochs themselves are timed on both sides, and each total is divided by them: what else this machine does
slows both down, but not alike.

{table(["", "total [s]", "epochs, per worker [s]", "total / epochs"], rows)}

Ratio of the last column: **{search.share / loop.share:.2f}** (aim: 1.10 or less for trials of a minute);
of the totals: {search.total / loop.total:.2f}.
"""
    return Section("search_overhead", "Overhead of a search", text)


@dataclass(frozen=True)
class _Times:
    """Seconds from start to end, and those spent in epochs by each worker."""

    total: float
    training: float

    @property
    def share(self) -> float:
        return self.total / self.training


def _mean(times: list[_Times]) -> _Times:
    count = len(times)
    return _Times(sum(time.total for time in times) / count, sum(time.training for time in times) / count)


def _row(name: str, times: list[_Times]) -> list[str]:
    mean = _mean(times)
    return [name, f"{mean.total:.0f}", f"{mean.training:.0f}", f"{mean.share:.3f}"]


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
    path = _write(folder, _experiment(folder, epochs=4))
    return max(3, round(SECONDS / (_run_workers(path, [[0], [1]]) / 4)))


def _write(folder: Path, experiment: dict[str, Any]) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(experiment), encoding="utf-8")
    return path


def _search(folder: Path, epochs: int) -> _Times:
    """Run the search, and time it until its last trial ended."""
    path = _write(folder, _experiment(folder, epochs))
    start = time.time()
    beamwright("run", path)
    trials = [RunFolder.latest(folder / "runs").trial(number) for number in range(TRIALS)]
    # The model is written before it is measured; its folder's last write is the trial's end.
    ends = [max(path.stat().st_mtime for path in trial.path.iterdir()) for trial in trials]
    spent = sum(epoch["seconds"] for trial in trials for epoch in trial.metrics())
    return _Times(max(ends) - start, spent / WORKERS)


def _loop(folder: Path, epochs: int) -> _Times:
    path = _write(folder, _experiment(folder, epochs))
    start = time.perf_counter()
    spent = _run_workers(path, [list(range(worker, TRIALS, WORKERS)) for worker in range(WORKERS)])
    return _Times(time.perf_counter() - start, spent)


def _run_workers(path: Path, shares: list[list[int]]) -> float:
    """Run each share of the trials in a process of its own; return the mean seconds of its epochs."""
    command = [sys.executable, str(Path(__file__).resolve()), str(path)]
    variables = os.environ | {"OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen([*command, *map(str, share)], env=variables, stdout=subprocess.PIPE, text=True)
        for share in shares
    ]
    printed = [worker.communicate()[0] for worker in workers]
    if any(worker.returncode for worker in workers):
        raise RuntimeError("The plain loop failed.")
    return sum(map(float, printed)) / len(shares)


def train(path: Path, numbers: list[int]) -> float:
    """Train candidates of the search one after the other, the plain loop; return the seconds of epochs."""
    experiment = load_experiment(path)
    task = TASKS.load(experiment.task)()
    data = task.prepare(experiment)
    runs = sorted(Path(experiment.storage).glob("*/trials"))
    spent = 0.0
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
            spent += trainer.run_epoch()["seconds"]
    return spent


def _candidate(runs: list[Path], number: int, data: Any) -> Candidate:
    """Return what the search tried under this number, if it has run already; the seed is the same."""
    from beamwright.search_spaces import named

    path = runs[0] / f"{number:04d}" / "candidate.json" if runs else Path()
    if not path.is_file():
        return named("unet", limits=data.limits)
    return Candidate.from_dict(json.loads(path.read_text(encoding="utf-8")))


if __name__ == "__main__":
    print(train(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]]))

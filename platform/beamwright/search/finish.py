"""After the last trial: classical rows, the winner's one look at the test split, leaderboard and report."""

from __future__ import annotations

import re
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from beamwright.errors import RunError
from beamwright.export import onnx_predict
from beamwright.search.deploy import deploy
from beamwright.tracking import RunFolder, TrialRecord, save_examples
from beamwright.tracking.leaderboard import leaderboard_rows, write_leaderboard
from beamwright.tracking.report import write_report

if TYPE_CHECKING:
    from rich.console import Console

    from beamwright.tasks import Predict, Scores, Task, TaskData

__all__ = ["find_winner", "finish"]


def finish(run: RunFolder, task: Task, data: TaskData, console: Console) -> None:
    """Measure and write everything that comes after the search; what is there already is kept.

    Raises
    ------
    RunError
        If no trial can be deployed; the message has the reasons of all.
    """
    _require_result(run)
    if not any(record.deployed for record in run.records()):
        _deploy_best_stopped(run, task, data)
    if not run.baselines():
        console.print("measuring the classical rows", highlight=False)
        run.write("baselines.json", list(_measure_baselines(task, data)))
    winner = find_winner(run, task)
    if (run.test() or {}).get("trial") != winner.number:
        _test(run, winner, task, data)
    write_leaderboard(run)
    run.update(state="finished")  # the report says so
    write_report(run)


def find_winner(run: RunFolder, task: Task) -> TrialRecord:
    """Return the trial whose exported model is best on the validation split.

    Raises
    ------
    RunError
        If none has been exported.
    """
    ranked = [row for row in leaderboard_rows(run) if row.kind == "network" and row.deployed]
    if not ranked or ranked[0].trial is None:
        raise RunError(
            f'No trial of "{run.path}" has finished; "beamwright resume {run.path}" goes on with it.'
        )
    return run.trial(ranked[0].trial).record


def _require_result(run: RunFolder) -> None:
    records = run.records()
    if any(record.deployed for record in records) or _deployable(run):
        return
    reasons = Counter(f"{record.state}: {_summarise(record)}" for record in records)
    listed = "\n".join(f"  {count} x {reason}" for reason, count in reasons.most_common(10))
    failed = any(record.state == "failed" for record in records)
    traces = f'The tracebacks are in "{run.trials_path}/*/error.txt". ' if failed else ""
    ended = f", and the search ended because {run.status.note}" if run.status.note else ""
    raise RunError(
        f"Not one of {len(records)} trials gave a result{ended}:\n{listed}\n"
        f"{traces}Put the cause right and start a new run."
    )


def _summarise(record: TrialRecord) -> str:
    """Return the reason without the value, which differs between trials that break the same limit."""
    if record.state == "infeasible":
        return re.sub(r"\S+( GiB| ms per megapixel is)? above", "above", record.reason)
    return record.reason or "not one epoch"


def _deployable(run: RunFolder) -> list[TrialRecord]:
    """Return the trials that got as far as a checkpoint."""
    return [
        record for record in run.records() if record.best and run.trial(record.number).checkpoint.exists()
    ]


def _deploy_best_stopped(run: RunFolder, task: Task, data: TaskData) -> None:
    """Export the best trial that was stopped: better than nothing when time was short."""
    from beamwright.training import Trainer

    sign = -1 if task.quality.maximise else 1
    best = min(_deployable(run), key=lambda record: sign * (record.best or {})[task.quality.name])
    folder, experiment = run.trial(best.number), run.experiment()
    trainer = Trainer(
        folder.read_candidate(), task, data, config=experiment.training, device="cpu", seed=experiment.seed
    )
    trainer.restore(folder.checkpoint)
    deployed = deploy(trainer, task, data, folder)
    folder.update(deployed=deployed.metrics, latency=deployed.latency)


def _measure_baselines(task: Task, data: TaskData) -> Any:
    image = _timed_image(task, data)
    for name, parameters, predict in task.baselines(data):
        validation, test = (task.evaluate(predict, data, role) for role in ("validation", "test"))
        yield {
            "name": name,
            "parameters": parameters,
            "metrics": validation.metrics,
            "latency": _latency(predict, image),
            "test": _describe(test),
        }


def _timed_image(task: Task, data: TaskData, *, side: int = 512) -> np.ndarray:
    """Return what classical methods are timed on: noise ``(H, W)``, or an input of several channels."""
    if len(task.inputs) == 1:
        return np.random.default_rng(0).poisson(20.0, (side, side)).astype(np.float32)
    image = task.examples(lambda image: image, data, "validation", count=1)[0]["input"]
    assert image is not None  # the suite of tasks sees to it
    return image


def _latency(predict: Predict, image: np.ndarray) -> float:
    """Return the time of a classical method [ms per megapixel]."""
    start = time.perf_counter()
    predict(image)
    return (time.perf_counter() - start) * 1e3 / (image.shape[-1] * image.shape[-2] / 1e6)


def _test(run: RunFolder, winner: TrialRecord, task: Task, data: TaskData) -> None:
    looks = (run.test() or {}).get("looks", 0) + 1
    predict = onnx_predict(run.trial(winner.number).onnx)
    scores = task.evaluate(predict, data, "test")
    save_examples(run.examples, task.examples(predict, data, "test"))
    rows = [{"name": row["name"], **row["test"]} for row in run.baselines() if "test" in row]
    content = {
        "name": winner.label,
        "trial": winner.number,
        "looks": looks,
        "baselines": rows,
        **_describe(scores),
    }
    run.write("test.json", content)


def _describe(scores: Scores) -> dict[str, Any]:
    return {
        "metrics": scores.metrics,
        "interval": list(scores.interval()),
        "interval_over": scores.interval_over,
        "notes": scores.notes,
        "per_image": list(scores.per_image),
    }

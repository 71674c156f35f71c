"""The conformance suite of tasks."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage

from beamwright.experiment import Experiment
from beamwright.search_spaces import SPACES
from beamwright.tasks import Channel, Metric, Predict, Scores, Task, TaskData
from beamwright.tasks.task import ROLES, Role
from beamwright.testing.batches import check_batches
from beamwright.testing.expecting import attempt, difference, expect

__all__ = ["check_task"]

MakeTask = Callable[[], Task]

_PIXELS = 128 * 128
_KINDS = ("classify", "detect", "segment", "restore", "regress")


def check_task(make_task: MakeTask, experiment: Experiment) -> None:
    """Hold a task to everything that a search relies on, on the data of an experiment.

    What is prepared pickles and is the same every time; batches follow from the seed and the step; losses are
    finite scalars; figures have the promised names, do not depend on who measures or on the library behind a
    predictor, and leave the data as they are; classical rows are valid.

    Parameters
    ----------
    make_task
        What the entry of the registry loads: called without arguments, as the driver and every worker do.
    experiment
        With data of a few small images. Call the suite once for every regime.

    Raises
    ------
    AssertionError
        If the task breaks a rule; the message says which.
    """
    task = make_task()
    _check_promises(task)
    data = _check_prepare(make_task, experiment)
    copy = pickle.loads(pickle.dumps(data))
    check_batches(task, make_task(), data)
    for role in ROLES[1:]:
        _check_scores(task, make_task(), data, role)
    _check_examples(task, data)
    _check_baselines(task, data)
    if changed := difference(data, copy):
        raise AssertionError(f"Measuring must leave the TaskData alone, which all trials share: {changed}.")


def _check_promises(task: Task) -> None:
    for name in ("name", "kind", "inputs", "outputs", "metrics", "quality", "default_space"):
        expect(hasattr(task, name), f"A task needs the attribute {name}; see Task.")
    expect(task.kind in _KINDS, f"task.kind = {task.kind!r} must be one of {', '.join(_KINDS)}.")
    expect(task.default_space in SPACES, f"task.default_space = {task.default_space!r} is not registered.")
    expect(
        all(isinstance(metric, Metric) and metric.summary for metric in task.metrics),
        "task.metrics must be Metric records, each with a summary.",
    )
    for name in ("inputs", "outputs"):
        channels = getattr(task, name)
        expect(
            channels and all(isinstance(item, Channel) and item.summary for item in channels),
            f"task.{name} must be Channel records, at least one, each with a summary.",
        )
    names = [metric.name for metric in task.metrics]
    expect(len(set(names)) == len(names), f"task.metrics = {names} must have different names.")
    expect(
        task.quality in task.metrics,
        f"task.quality = {task.quality.name!r} must be among task.metrics: {names}.",
    )


def _check_prepare(make_task: MakeTask, experiment: Experiment) -> TaskData:
    with attempt("task.prepare(experiment)"):
        data, again = make_task().prepare(experiment), make_task().prepare(experiment)
    expect(isinstance(data, TaskData), f"task.prepare must return TaskData, not {type(data).__name__}.")
    changed = difference(data, again)
    expect(not changed, f"task.prepare must give the same every time; {changed} differs.")
    with attempt("Pickling TaskData, which goes to every worker,"):
        copy = pickle.loads(pickle.dumps(data))
    changed = difference(data, copy)
    expect(not changed, f"TaskData must survive pickling, as it goes to every worker; {changed} differs.")
    for name, count in (("inputs", data.limits.in_channels), ("outputs", data.limits.out_channels)):
        channels = getattr(make_task(), name)
        expect(len(channels) == count, f"task.{name} must be {count} channels as in the limits of the space.")
    expect(data.regime != "auto", 'task.prepare must resolve the regime "auto".')
    expect(all(data.fields.get(role) for role in ROLES), f"TaskData.fields needs images for each of {ROLES}.")
    expect(
        math.isfinite(data.mean) and data.std > 0,
        f"The normalisation must be finite and std positive: mean {data.mean}, std {data.std}.",
    )
    expect(
        data.provenance and all(len(digest) == 64 for digest in data.provenance.values()),
        "TaskData.provenance must have the SHA-256 of every file.",
    )
    return data


def _check_scores(task: Task, other: Task, data: TaskData, role: Role) -> None:
    scores = _evaluate(task, _smooth, data, role)
    promised = {metric.name for metric in task.metrics}
    expect(
        scores.metrics.keys() <= promised,
        f"Figures must be promised in task.metrics: {sorted(scores.metrics.keys() - promised)} are not.",
    )
    expect(
        math.isfinite(scores.metrics.get(task.quality.name, math.nan)),
        f"task.evaluate must give the quality {task.quality.name!r} on the {role} split, a finite number.",
    )
    expect(
        scores.per_image and all("name" in row for row in scores.per_image),
        'Scores.per_image must have a row with a "name" for every image.',
    )
    low, high = scores.interval()
    expect(low <= high and scores.interval() == (low, high), "Scores.interval must be the same every time.")
    for who in (task, other):
        again = _evaluate(who, _smooth, data, role).metrics
        expect(again == scores.metrics, f"task.evaluate must give the same every time on the {role} split.")
    by_torch = _evaluate(task, _smooth_by_torch, data, role).metrics
    for name, value in scores.metrics.items():
        expect(
            math.isclose(by_torch[name], value, rel_tol=1e-3, abs_tol=1e-3),
            f"{name} must not depend on the library: {value} by numpy, {by_torch[name]} by torch.",
        )
    few = task.evaluate(_smooth, data, role, max_pixels=_PIXELS)
    expect(task.quality.name in few.metrics, "task.evaluate must give the quality with max_pixels too.")


def _evaluate(task: Task, predict: Predict, data: TaskData, role: Role) -> Scores:
    def watched(image: np.ndarray) -> np.ndarray:
        expect(
            isinstance(image, np.ndarray) and image.dtype == np.float32,
            f"A predictor takes numpy float32 in raw counts, not {getattr(image, 'dtype', type(image))}.",
        )
        return predict(image)

    with attempt(f"task.evaluate on the {role} split"):
        scores = task.evaluate(watched, data, role)
    expect(isinstance(scores, Scores), f"task.evaluate must return Scores, not {type(scores).__name__}.")
    return scores


def _smooth(image: np.ndarray) -> np.ndarray:
    """Smooth each channel; a task with as many channels out as in takes it for a predictor."""
    return ndimage.uniform_filter(image, (1,) * (image.ndim - 2) + (3, 3), mode="nearest")


def _smooth_by_torch(image: np.ndarray) -> np.ndarray:
    channels = torch.from_numpy(image).reshape(1, -1, *image.shape[-2:])
    padded = torch.nn.functional.pad(channels, (1, 1, 1, 1), mode="replicate")
    with torch.inference_mode():
        return torch.nn.functional.avg_pool2d(padded, 3, 1).numpy().reshape(image.shape)


def _check_examples(task: Task, data: TaskData) -> None:
    with attempt("task.examples"):
        examples = task.examples(_smooth, data, "validation", count=1)
    expect(len(examples) == 1, f"task.examples with count=1 must give one picture, not {len(examples)}.")
    for example in examples:
        expect(
            example.keys() >= {"input", "output", "target"},
            f"A picture needs input, output and target (or None), not {sorted(example)}.",
        )
        image, output = example["input"], example["output"]
        expect(
            image is not None and output is not None and np.array_equal(output, _smooth(image)),
            "The output of a picture must be what the predictor makes of its input.",
        )


def _check_baselines(task: Task, data: TaskData) -> None:
    with attempt("task.baselines"):
        rows = list(task.baselines(data))
    expect(
        rows, "task.baselines must have at least one row: without it nobody knows what a network is worth."
    )
    names = [name for name, _, _ in rows]
    expect(len(set(names)) == len(names), f"task.baselines = {names} must have different names.")
    for name, parameters, predict in rows:
        with attempt(f"The parameters of {name!r}, which go into a JSON file,"):
            json.dumps(parameters, allow_nan=False)
        with attempt(f"The classical row {name!r}"):
            quality = task.evaluate(predict, data, "validation").metrics[task.quality.name]
        expect(math.isfinite(quality), f"The {task.quality.name} of {name!r} is {quality}.")

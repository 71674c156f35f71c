"""From a trained trial to figures of what a user would run: the exported model in onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from beamwright.export import export_onnx, measure_latency, onnx_predict
from beamwright.training import untrained

if TYPE_CHECKING:
    from beamwright.search_spaces import Candidate
    from beamwright.tasks import Task, TaskData
    from beamwright.tracking import TrialFolder
    from beamwright.training import Deployable, Trainer

__all__ = ["Deployed", "deploy", "measure_untrained_latency"]


@dataclass(frozen=True, slots=True)
class Deployed:
    """Figures of an exported model.

    Parameters
    ----------
    metrics
        On the validation split.
    latency
        On one thread [ms per megapixel].
    """

    metrics: dict[str, float]
    latency: float


def deploy(trainer: Trainer, task: Task, data: TaskData, folder: TrialFolder) -> Deployed:
    """Export the best weights into the trial's folder and measure them there.

    Parameters
    ----------
    trainer
        A trainer that has finished at least one epoch.
    task, data
        Measure the quality, on the validation split.
    folder
        Gets ``best.onnx``.
    """
    channels = trainer.candidate.architecture.in_channels
    _export(trainer.deployable(best=True), folder.onnx, channels)
    scores = task.evaluate(onnx_predict(folder.onnx), data, "validation")
    return Deployed(metrics=dict(scores.metrics), latency=measure_latency(folder.onnx, channels=channels))


def measure_untrained_latency(candidate: Candidate, data: TaskData, folder: Path) -> float:
    """Return the latency of a candidate [ms per megapixel]; it does not depend on the weights."""
    path = folder / "untrained.onnx"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        channels = candidate.architecture.in_channels
        _export(untrained(candidate, data), path, channels)
        return measure_latency(path, channels=channels)
    finally:
        path.unlink(missing_ok=True)


def _export(deployable: Deployable, path: Path, channels: int) -> None:
    temporary = path.with_suffix(".tmp.onnx")
    export_onnx(deployable, temporary, channels=channels)
    temporary.replace(path)

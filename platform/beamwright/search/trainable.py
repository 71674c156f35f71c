"""A trial as Ray Tune sees it: one training that reports after every epoch."""

from __future__ import annotations

import math
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from beamwright.errors import BeamwrightError
from beamwright.experiment import Experiment
from beamwright.search.deploy import deploy, measure_untrained_latency
from beamwright.search_spaces import Candidate
from beamwright.tasks import TASKS, TaskData
from beamwright.tracking import RunFolder, TensorBoardLogger
from beamwright.training import Trainer, resolve_device

__all__ = ["SearchTrial", "TrialContext"]


@dataclass(frozen=True)
class TrialContext:
    """What all trials of a run share; it is put into Ray's object store once.

    Parameters
    ----------
    experiment
        The experiment.
    run
        The run's folder.
    data
        The task's data, read zero-copy by every worker of a node.
    """

    experiment: Experiment
    run: Path
    data: TaskData


class SearchTrial(tune.Trainable):
    """Trains one candidate, one epoch a step.

    Ray calls `setup` once per worker and `reset_config` for every further trial that the worker takes, so
    imports are paid once. A trial keeps its checkpoint and its curve in its own folder and goes on from
    there, whoever starts it again: Ray after a worker died, or ``resume`` after the driver died. What
    goes wrong inside is reported as a result, not raised: it is the trial's outcome.
    """

    def setup(self, config: dict[str, Any], *, context: TrialContext) -> None:
        """Start the worker's first trial."""
        self._context = context
        self._task = TASKS.load(context.experiment.task)()
        self._start(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Start the next trial in the same process."""
        self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train an epoch and report it; at the last one, export the model and measure what is deployed."""
        try:
            return self._report(self._advance())
        except Exception as error:
            return self._fail(error)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the state for a scheduler that pauses or clones trials."""
        if self._trainer is not None:
            self._trainer.save(Path(checkpoint_dir) / "checkpoint.pt")

    def load_checkpoint(self, checkpoint: str) -> None:
        """Take over the state that a scheduler hands out."""
        path = Path(checkpoint) / "checkpoint.pt"
        if self._trainer is not None and path.exists():
            self._trainer.restore(path)

    def cleanup(self) -> None:
        """Close what is open."""
        self._close()

    def _start(self, config: dict[str, Any]) -> None:
        self._close()
        self._failure: Exception | None = None
        self._trainer: Trainer | None = None
        self._logger: TensorBoardLogger | None = None
        self._latency: float | None = None
        self._parameters: dict[str, Any] = config["parameters"]
        # Population-based training hands on the donor's configuration; the name stays the trial's own.
        self._folder = RunFolder(self._context.run).trial(int(self.trial_name or config["number"]))
        try:
            self._build(config)
        except Exception as error:
            self._failure = error

    def _build(self, config: dict[str, Any]) -> None:
        """Make the trainer, and go on from the folder's checkpoint unless the scheduler brings another."""
        experiment = self._context.experiment
        going_on = self._folder.checkpoint.exists() and not config.get("cloned")
        # The folder's candidate has what the trial took over from others before a kill.
        candidate = self._folder.read_candidate() if going_on else _candidate(config)
        if _needs_latency(experiment):
            self._latency = measure_untrained_latency(candidate, self._context.data, self._folder.path)
        self._trainer = Trainer(
            candidate,
            self._task,
            self._context.data,
            config=experiment.training,
            device=_device(experiment),
            seed=experiment.seed,
            threads=max(1, int(experiment.resources.cpus)),
        )
        if going_on:
            self._trainer.restore(self._folder.checkpoint)
        self._kept_candidate, self._unsaved = going_on, False
        self._open_log(candidate)

    def _advance(self) -> dict[str, Any]:
        if self._failure is not None:
            raise self._failure
        trainer = self._trainer
        assert trainer is not None
        limit = self._context.experiment.space.max_latency
        if limit is not None and self._latency is not None and self._latency > limit:
            return {
                "epoch": 0,
                "infeasible": f"latency {self._latency:.3g} ms per megapixel is above {limit:g}",
            }
        if self._is_over(trainer):
            return self._folder.metrics()[-1]
        metrics = {"epoch": trainer.epoch + 1} | trainer.run_epoch()
        # The curve first: after a kill in between, the epoch is trained again and its later entry counts.
        self._folder.append_metrics(metrics)
        self._unsaved = True
        if trainer.epoch % self._context.experiment.training.checkpoint_every == 0 or self._is_over(trainer):
            self._save(trainer)
        self._log(metrics)
        return metrics

    def _save(self, trainer: Trainer) -> None:
        if not self._kept_candidate:
            self._folder.write_candidate(trainer.candidate)
            self._kept_candidate = True
        trainer.save(self._folder.checkpoint)
        self._unsaved = False

    def _report(self, metrics: dict[str, Any]) -> dict[str, Any]:
        if "infeasible" in metrics:
            return self._worst() | metrics | {"state": "infeasible", "latency": self._latency, "done": True}
        assert self._trainer is not None
        result = {**metrics, "state": "running", "latency": self._latency, "best": self._trainer.best}
        if self._is_over(self._trainer):
            deployed = deploy(self._trainer, self._task, self._context.data, self._folder)
            self._latency = deployed.latency
            result |= {
                "state": "finished",
                "latency": deployed.latency,
                "deployed": deployed.metrics,
                "done": True,
            }
            self._end_log("finished", deployed.metrics)
        return result

    def _fail(self, error: Exception) -> dict[str, Any]:
        reason = str(error) if isinstance(error, BeamwrightError) else f"{type(error).__name__}: {error}"
        self._folder.path.mkdir(parents=True, exist_ok=True)
        (self._folder.path / "error.txt").write_text(
            "".join(traceback.format_exception(error)), encoding="utf-8"
        )
        epoch = self._trainer.epoch if self._trainer is not None else 0
        self._end_log("failed", {})
        # Ray would hand the memory of a failed trial's model to the next one of this worker.
        self._trainer = None
        outcome = {"epoch": epoch, "state": "failed", "reason": reason.splitlines()[0], "done": True}
        return self._worst() | outcome

    def _worst(self) -> dict[str, float]:
        """Return a quality for schedulers, which take no result without one."""
        quality = self._task.quality
        return {quality.name: -math.inf if quality.maximise else math.inf}

    def _is_over(self, trainer: Trainer) -> bool:
        training = self._context.experiment.training
        if trainer.epoch >= training.epochs:
            return True
        best = trainer.best
        waited = trainer.epoch - best["epoch"] if best else 0
        return training.patience is not None and waited >= training.patience

    def _open_log(self, candidate: Candidate) -> None:
        assert self._trainer is not None
        self._logger = TensorBoardLogger(self._folder.path, resumed=self._trainer.epoch or None)
        self._logger.parameters(self._parameters, network=candidate.name)

    def _log(self, metrics: dict[str, Any]) -> None:
        if self._logger is None or self._trainer is None:
            return
        self._logger.epoch(metrics)
        epochs = self._context.experiment.training.epochs
        if metrics["epoch"] in (1, epochs // 2, epochs):
            data = self._context.data
            examples = self._task.examples(self._trainer.predict, data, "validation")
            self._logger.images(examples, epoch=metrics["epoch"], pixel_size=data.pixel_size)

    def _end_log(self, state: str, figures: dict[str, float]) -> None:
        if self._logger is not None:
            epoch = self._trainer.epoch if self._trainer is not None else 0
            self._logger.result(figures, state=state, epoch=epoch)
            self._logger.close()
            self._logger = None

    def _close(self) -> None:
        """End what is open; a trial that is taken away before its end was stopped by the scheduler."""
        if getattr(self, "_logger", None) is not None:
            if self._trainer is not None and self._unsaved:
                self._save(self._trainer)
            self._end_log("stopped", {})


def _device(experiment: Experiment) -> str:
    """Return the device: no card that Ray has not set aside for the trial."""
    resources = experiment.resources
    visible = resolve_device(resources.device).type
    return "cpu" if visible == "cuda" and not resources.gpus else resources.device


def _candidate(config: dict[str, Any]) -> Candidate:
    candidate = Candidate.from_dict(config["candidate"])
    recipe = candidate.recipe.model_copy(update=config.get("vary", {}))
    return candidate.model_copy(update={"recipe": recipe})


def _needs_latency(experiment: Experiment) -> bool:
    return "latency" in experiment.search.objectives or experiment.space.max_latency is not None

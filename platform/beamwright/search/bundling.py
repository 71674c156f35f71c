"""From a run to a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beamwright.errors import RunError
from beamwright.export import BundleSpec, write_bundle
from beamwright.search.deploy import deploy
from beamwright.search.finish import find_winner
from beamwright.tasks import TASKS
from beamwright.tracking import RunFolder, TrialRecord
from beamwright.training import Trainer

if TYPE_CHECKING:
    from beamwright.data import Fingerprint
    from beamwright.experiment import Experiment
    from beamwright.tasks import SparseScans, Task, TaskData

__all__ = ["export_run"]


def export_run(
    run: RunFolder, output: Path | None = None, *, trial: int | None = None, overwrite: bool = False
) -> Path:
    """Make a bundle of a trial.

    Parameters
    ----------
    run
        The run.
    output
        Folder or ``.zip``; by default ``bundle`` inside the run.
    trial
        Number of the trial; by default the winner.
    overwrite
        Replace a bundle that is there.

    Raises
    ------
    RunError
        If the trial has nothing to export.
    BundleError
        If the output is taken, or the exported model is not the trained one.
    """
    experiment = run.experiment()
    task: Task = TASKS.load(experiment.task)()
    record = find_winner(run, task) if trial is None else _find_trial(run, trial)
    data = task.prepare(experiment)
    folder = run.trial(record.number)
    candidate = folder.read_candidate()
    trainer = Trainer(candidate, task, data, config=experiment.training, device="cpu", seed=experiment.seed)
    trainer.restore(folder.checkpoint)
    if record.deployed is None:  # the card has figures of the exported model only
        deployed = deploy(trainer, task, data, folder)
        record = folder.update(deployed=deployed.metrics, latency=deployed.latency)
    figures = _figures(run, record)
    spec = BundleSpec(
        name=f"{experiment.name or experiment.task}-{record.label.replace(' ', '-')}",
        deployable=trainer.deployable(best=True),
        candidate=candidate,
        example=_example(task, data),
        task=task.name,
        inputs=task.inputs,
        outputs=task.outputs,
        quality=task.quality.name,
        unit=task.quality.unit,
        baselines=run.baselines(),
        provenance=data.provenance,
        experiment=experiment.to_yaml(),
        command=run.status.command,
        seed=experiment.seed,
        **figures,
        **_describe(experiment, data),
    )
    return write_bundle(spec, output or run.path / "bundle", overwrite=overwrite)


def _find_trial(run: RunFolder, number: int) -> TrialRecord:
    there = {record.number: record for record in run.records() if record.best}
    if number not in there:
        raise RunError(
            f'Trial {number} of "{run.path}" has no trained model to export; those that have: '
            f"{', '.join(map(str, there)) or 'none'}."
        )
    return there[number]


def _figures(run: RunFolder, record: TrialRecord) -> dict[str, Any]:
    metrics = {"validation": _numbers(record.deployed or {})}
    test = run.test() or {}
    if test.get("trial") != record.number:
        return {"metrics": metrics, "interval": None}
    return {"metrics": metrics | {"test": _numbers(test["metrics"])}, "interval": tuple(test["interval"])}


def _numbers(figures: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in figures.items()
        if isinstance(value, (int, float)) and name != "epoch"
    }


def _example(task: Task, data: TaskData) -> Any:
    return task.examples(lambda image: image, data, "validation", count=1)[0]["input"]


def _describe(experiment: Experiment, data: TaskData) -> dict[str, Any]:
    found, simulated = data.fingerprint, experiment.data.train.simulate
    return {
        "pixel_size_range": (found.pixel_sizes[0], found.pixel_sizes[-1]) if found.pixel_sizes else None,
        "intensity_range": (found.minimum, found.maximum),
        "noise": _noise(found) if data.sparse is None else _sparse_noise(data, data.sparse),
        "trained_on": (
            f"{_count(found.files, 'simulated image')} of {', '.join(simulated.specimens)}"
            if simulated
            else f"{_count(found.files, 'file')}, {_count(found.frames, 'frame')}"
        ),
    }


def _sparse_noise(data: TaskData, sparse: SparseScans) -> str:
    coverage, dose = sparse.patterns.coverage, sparse.patterns.dose
    kinds = ", ".join(sparse.patterns.kinds)
    where = f"scans of {coverage[0]:.3g} to {coverage[1]:.3g} of the pixels ({kinds})"
    if data.regime != "synthetic":
        return f"{where} cut out of full ones, {_noise(data.fingerprint)}"
    return f"counting noise of {dose[0]:g} to {dose[1]:g} electrons per pixel; {where}"


def _noise(found: Fingerprint) -> str:
    noise = found.noise
    share = "" if noise.poisson_share is None else f", {noise.poisson_share:.0%} of its variance Poisson"
    return (
        f"standard deviation {noise.sigma:.4g} counts{share}; neighbours correlated by "
        f"{noise.correlation_x:.2f} along x and {noise.correlation_y:.2f} along y"
    )


def _count(counts: Mapping[str, int], what: str) -> str:
    number = counts.get("train", 0)
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

"""From an experiment to a finished run, and from a killed run to the same."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from beamwright.errors import ExperimentError, RunError
from beamwright.experiment import Experiment, load_experiment
from beamwright.search.finish import finish
from beamwright.search.objectives import Objective, resolve_objectives
from beamwright.search.samplers import SAMPLERS
from beamwright.search.schedulers import SCHEDULERS, make_scheduler
from beamwright.search_spaces import SPACES, Candidate, Space, SpaceLimits, named
from beamwright.tasks import TASKS, Task, TaskData
from beamwright.tracking import RunFolder

if TYPE_CHECKING:
    from beamwright.search.journal import Journal
    from beamwright.search.stopping import SearchStopper

__all__ = ["resume_search", "run_search"]

_MAY_CHANGE = ("search.trials", "search.hours", "search.target", "resources", "space.max_memory")


@dataclass(frozen=True)
class Plan:
    """An experiment whose names are resolved and whose data are read."""

    experiment: Experiment
    task: Task
    data: TaskData
    space: Space
    portfolio: tuple[Candidate, ...]
    objectives: tuple[Objective, ...]


def run_search(experiment: Experiment, *, command: str = "", console: Console | None = None) -> RunFolder:
    """Search, and leave a finished run.

    Parameters
    ----------
    experiment
        What to search for.
    command
        The command line, kept in the run.
    console
        Where to show progress.

    Raises
    ------
    ExperimentError, DataError
        Before anything is written.
    RunError
        If every trial failed; the run stays for a look.
    """
    console = console or Console(quiet=True)
    plan = make_plan(experiment)
    run = RunFolder.create(
        experiment.storage, experiment.name or experiment.task, experiment=experiment, command=command
    )
    run.write("fingerprint.json", plan.data.fingerprint.to_dict())
    run.write("units.json", plan.data.units)
    console.print(f"run {run.path}", highlight=False, soft_wrap=True)
    for warning in plan.data.fingerprint.warnings:
        console.print(f"! {warning}", highlight=False, soft_wrap=True, markup=False)
    with run.lock():
        _drive(run, plan, console)
    return run


def resume_search(
    run: RunFolder, *, overrides: Sequence[str] = (), console: Console | None = None
) -> RunFolder:
    """Go on with a run that was interrupted, or extend one that had finished.

    Parameters
    ----------
    run
        The run.
    overrides
        ``"search.trials=40"``: the budget and the resources may change, nothing else.
    console
        Where to show progress.

    Raises
    ------
    RunError
        If another process drives the run.
    ExperimentError
        If an override would change what was searched for.
    """
    console = console or Console(quiet=True)
    for override in overrides:
        if not override.startswith(_MAY_CHANGE):
            raise ExperimentError(
                f'resume cannot change "{override.partition("=")[0]}": the finished trials would no longer '
                f"compare. It may change {', '.join(_MAY_CHANGE)}; start a new run for anything else."
            )
    with run.lock():
        experiment = load_experiment(run.path / "experiment.yaml", overrides)
        if overrides:
            (run.path / "experiment.yaml").write_text(experiment.to_yaml(), encoding="utf-8")
            run.write("test.json", None)
        _drive(run, make_plan(experiment), console)
    return run


def make_plan(experiment: Experiment) -> Plan:
    """Resolve every name and read the data.

    Raises
    ------
    UnknownNameError, ExperimentError, DataError, SpaceError
        If anything does not fit; nothing has been written then.
    """
    from beamwright.search.session import check_resources, resolve_gpus

    task: Task = TASKS.load(experiment.task)()
    resources = resolve_gpus(experiment.resources)
    check_resources(resources)
    SAMPLERS[experiment.search.sampler]
    SCHEDULERS[experiment.search.scheduler]
    make_space = SPACES.load(experiment.space.name or task.default_space)
    objectives = resolve_objectives(experiment.search, task.quality)
    data = task.prepare(experiment)
    limits = data.limits
    space: Space = make_space(limits)
    return Plan(
        experiment.model_copy(update={"resources": resources}),
        task,
        data,
        space,
        _choose_portfolio(space, experiment.space.networks, limits),
        objectives,
    )


def _choose_portfolio(
    space: Space, names: Sequence[str] | None, limits: SpaceLimits
) -> tuple[Candidate, ...]:
    """Return what is tried first: networks that are asked for have the recipe of the portfolio, if any."""
    known = space.portfolio()
    if names is None:
        return tuple(map(space.project, known))
    by_name = {candidate.name: candidate for candidate in reversed(known)}
    chosen = (by_name.get(name) or named(name, limits=limits) for name in names)
    return tuple(map(space.project, chosen))


def _drive(run: RunFolder, plan: Plan, console: Console) -> None:
    """Search until the budget is spent, then measure, rank and report."""
    start, spent = time.monotonic(), run.status.seconds
    run.update(state="running", note="", versions=_versions())
    try:
        note = _search(run, plan, console, spent=spent)
        run.update(seconds=spent + time.monotonic() - start, note=note)
        finish(run, plan.task, plan.data, console)
        state = "finished"
    except KeyboardInterrupt:
        state = "interrupted"
        console.print(
            f"interrupted; go on with: beamwright resume {run.path}", highlight=False, soft_wrap=True
        )
        raise
    except RunError as error:
        state = "failed"
        run.update(note=str(error))
        raise
    except BaseException as error:
        state = "failed"
        run.update(note=f"{type(error).__name__}: {error}")
        raise
    finally:
        run.update(state=state, seconds=spent + time.monotonic() - start)


def _search(run: RunFolder, plan: Plan, console: Console, *, spent: float) -> str:
    from beamwright.search.journal import Journal
    from beamwright.search.session import open_session
    from beamwright.search.stopping import SearchStopper

    experiment = plan.experiment
    journal = Journal(run.journal, objectives=plan.objectives, config=experiment.search, seed=experiment.seed)
    if journal.is_new:
        for candidate in plan.portfolio:
            journal.enqueue(plan.space.parameters(candidate), name=candidate.name or "")
    stopper = SearchStopper(experiment.search, plan.task.quality, spent=spent)
    with open_session():
        exhausted = _tune(run, plan, journal, stopper, console)
    if journal.unfinished():
        raise RunError(
            f"Ray ended while trials {list(journal.unfinished())} were running; "
            f'go on with "beamwright resume {run.path}".'
        )
    return stopper.reason or exhausted


def _tune(run: RunFolder, plan: Plan, journal: Journal, stopper: SearchStopper, console: Console) -> str:
    from ray import tune

    from beamwright.search.limits import Limits
    from beamwright.search.progress import Progress
    from beamwright.search.replay import Replayed
    from beamwright.search.searcher import JournalSearcher
    from beamwright.search.session import plan_slots
    from beamwright.search.trainable import SearchTrial, TrialContext

    experiment = plan.experiment
    slots = plan_slots(experiment.resources)
    searcher = JournalSearcher(
        journal,
        plan.space,
        run,
        experiment=experiment,
        limits=Limits.of(experiment, device_memory=_device_memory(experiment, slots.memory)),
        objectives=plan.objectives,
        is_over=stopper.stop_all,
    )
    past = {number: run.trial(number).metrics() for number in (*journal.ended(), *journal.unfinished())}
    scheduler = make_scheduler(experiment, plan.task.quality, history=lambda number: past.get(number, ()))
    if isinstance(scheduler, Replayed):
        scheduler.replay_ended(journal.ended())
    context = TrialContext(experiment=experiment, run=run.path, data=plan.data)
    scratch = run.path / "ray"
    progress = Progress(
        run, experiment=experiment, quality=plan.task.quality, slots=slots.count, console=console
    )
    try:
        with progress:
            tune.Tuner(
                tune.with_resources(
                    tune.with_parameters(SearchTrial, context=context),
                    _share(experiment, slots.count),
                ),
                tune_config=_tune_config(searcher, scheduler, _alive(experiment, slots.count)),
                run_config=_run_config(scratch, experiment, stopper, progress),
            ).fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if stopper.reason:
        searcher.stop_running()
    return searcher.exhausted


def _share(experiment: Experiment, slots: int) -> dict[str, float]:
    """Return what Ray sets aside for a trial."""
    import ray

    cpus = experiment.resources.cpus
    if _pauses(experiment):
        # All trials are begun at once then, and only their share of the cores limits how many run.
        cpus = max(cpus, ray.cluster_resources()["CPU"] // slots)
    return {"cpu": cpus, "gpu": experiment.resources.gpus or 0.0}


def _pauses(experiment: Experiment) -> bool:
    return experiment.search.scheduler in ("hyperband", "pbt")


def _alive(experiment: Experiment, slots: int) -> int:
    """Return how many trials may be begun: all, where the scheduler pauses some to compare them."""
    return experiment.search.trials if _pauses(experiment) else slots


def _tune_config(searcher: Any, scheduler: Any, concurrent: int) -> Any:
    from ray import tune

    return tune.TuneConfig(
        search_alg=searcher,
        scheduler=scheduler,
        num_samples=-1,  # the searcher says when it is finished
        max_concurrent_trials=concurrent,
        reuse_actors=True,
        trial_name_creator=lambda trial: f"{trial.config['number']:04d}",
        trial_dirname_creator=lambda trial: f"{trial.config['number']:04d}",
    )


def _run_config(scratch: Path, experiment: Experiment, stopper: SearchStopper, progress: Any) -> Any:
    from ray import tune

    return tune.RunConfig(
        name="tune",
        storage_path=str(scratch),
        stop=stopper,
        callbacks=[progress],
        failure_config=tune.FailureConfig(max_failures=experiment.resources.retries),
        verbose=0,
        log_to_file=False,
    )


def _device_memory(experiment: Experiment, host: float) -> float | None:
    """Return the memory of the device that a trial runs on [GiB]."""
    import torch

    if not experiment.resources.gpus:
        return host or None
    if not torch.cuda.is_available():
        return None  # the cards are elsewhere; a trial that runs out of memory says so
    total = torch.cuda.get_device_properties(0).total_memory / 2**30
    return total * min(1.0, experiment.resources.gpus)


def _versions() -> dict[str, str]:
    import platform
    from importlib.metadata import version

    packages = ("beamwright", "torch", "ray", "optuna", "numpy", "onnxruntime")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}

"""The Ray Tune schedulers that an experiment may name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from beamwright.experiment import Experiment
from beamwright.registry import Entry, Registry

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

    from beamwright.tasks import Metric

__all__ = ["SCHEDULERS", "make_scheduler"]

_HERE = "beamwright.search.schedulers"

SCHEDULERS = Registry(
    "scheduler",
    Entry("none", "every trial is trained to its end", f"{_HERE}:_none"),
    Entry(
        "median",
        "stops a trial that is worse than the median of the others at its epoch",
        f"{_HERE}:_median",
        "Golovin et al., KDD 2017",
    ),
    Entry(
        "asha",
        "asynchronous successive halving; the default",
        f"{_HERE}:_asha",
        "Li et al., MLSys 2020",
    ),
    Entry(
        "hyperband",
        "successive halving in brackets, pausing trials in between",
        f"{_HERE}:_hyperband",
        "Li et al., JMLR 18, 1 (2018)",
    ),
    Entry(
        "pbt",
        "population-based training: the weak take over the weights of the strong and vary their recipe",
        f"{_HERE}:_pbt",
        "Jaderberg et al., arXiv:1711.09846 (2017)",
    ),
)

History = Callable[[int], Sequence[dict[str, Any]]]


def make_scheduler(experiment: Experiment, quality: Metric, *, history: History) -> TrialScheduler:
    """Return the scheduler of an experiment.

    Parameters
    ----------
    experiment
        Gives the name, the budget and the settings.
    quality
        The metric that is compared between trials at the same epoch.
    history
        Gives the results that a trial has reported before a resume, by its number.

    Raises
    ------
    UnknownNameError
        If there is no such scheduler.
    """
    make = SCHEDULERS.load(experiment.search.scheduler)
    common = {"time_attr": "epoch", "metric": quality.name, "mode": "max" if quality.maximise else "min"}
    return make(experiment, common, history)


def _none(experiment: Experiment, common: dict[str, Any], history: History) -> TrialScheduler:
    from ray.tune.schedulers import FIFOScheduler

    return FIFOScheduler()


def _median(experiment: Experiment, common: dict[str, Any], history: History) -> TrialScheduler:
    from ray.tune.schedulers import MedianStoppingRule

    from beamwright.search.replay import Replayed

    return Replayed(MedianStoppingRule(**common, grace_period=experiment.search.grace_epochs), history)


def _asha(experiment: Experiment, common: dict[str, Any], history: History) -> TrialScheduler:
    from ray.tune.schedulers import ASHAScheduler

    from beamwright.search.replay import Replayed

    inner = ASHAScheduler(
        **common,
        max_t=experiment.training.epochs + 1,  # the trial itself ends at its last epoch
        grace_period=experiment.search.grace_epochs,
        reduction_factor=experiment.search.reduction_factor,
    )
    return Replayed(inner, history)


def _hyperband(experiment: Experiment, common: dict[str, Any], history: History) -> TrialScheduler:
    from ray.tune.schedulers import HyperBandScheduler

    return HyperBandScheduler(
        **common, max_t=experiment.training.epochs, reduction_factor=experiment.search.reduction_factor
    )


def _pbt(experiment: Experiment, common: dict[str, Any], history: History) -> TrialScheduler:
    from ray import tune

    from beamwright.search.population import Population

    return Population(
        **common,
        perturbation_interval=max(1, experiment.training.epochs // 10),
        burn_in_period=experiment.search.grace_epochs,
        hyperparam_mutations={
            "vary": {
                "learning_rate": tune.loguniform(1e-4, 1e-2),
                "weight_decay": tune.loguniform(1e-6, 1e-2),
                "grad_clip": [0.0, 0.5, 1.0, 5.0],
            }
        },
        custom_explore_fn=_mark_clone,
    )


def _mark_clone(config: dict[str, Any]) -> dict[str, Any]:
    """Tell the trial that its state comes from another, not from its own folder."""
    return {**config, "cloned": True}

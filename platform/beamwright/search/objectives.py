"""What a search optimises: the task's metric, and any of three costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from beamwright.errors import ExperimentError, did_you_mean

if TYPE_CHECKING:
    from beamwright.experiment import SearchConfig
    from beamwright.tasks import Metric

__all__ = ["COSTS", "Objective", "resolve_objectives"]

COSTS = {
    "parameters": "number of weights",
    "macs": "multiply-adds per input pixel",
    "latency": "time of the exported model on one thread [ms per megapixel]",
}


@dataclass(frozen=True, slots=True)
class Objective:
    """One axis of the search.

    Parameters
    ----------
    name
        ``"quality"``, or a key of `COSTS`.
    key
        Under which name a trial reports it.
    direction
        As Optuna has it.
    """

    name: str
    key: str
    direction: Literal["maximize", "minimize"]

    def value(self, outcome: Mapping[str, Any]) -> float:
        """Return its value in what a trial reported."""
        return float(outcome[self.key])


def resolve_objectives(config: SearchConfig, quality: Metric) -> tuple[Objective, ...]:
    """Return the objectives of an experiment, quality first.

    Raises
    ------
    ExperimentError
        If a name is unknown, or the sampler cannot do several objectives.
    """
    if config.sampler == "cmaes" and len(config.objectives) > 1:
        raise ExperimentError(
            f'search.sampler = "cmaes" takes one objective, not {list(config.objectives)}; '
            'use "tpe", "gp" or "nsga2".'
        )
    for name in config.objectives:
        if name not in ("quality", *COSTS):
            known = ("quality", *COSTS)
            raise ExperimentError(
                f'search.objectives: there is no objective "{name}".{did_you_mean(name, known)} '
                f"Known: {', '.join(known)}."
            )
    first = Objective("quality", quality.name, "maximize" if quality.maximise else "minimize")
    costs = [Objective(name, name, "minimize") for name in config.objectives if name != "quality"]
    return (first, *costs)

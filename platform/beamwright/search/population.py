"""Population-based training that takes its first population from our searcher."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import PopulationBasedTraining

__all__ = ["Population"]


class Population(PopulationBasedTraining):
    """Ray's scheduler, allowed beside a search algorithm.

    Ray forbids the two together, as the scheduler changes configurations that the algorithm believes to
    know. Ours tells the journal of the first configuration only, and the trial's folder of the others.
    """

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take a trial into the population."""
        super().on_trial_add(SimpleNamespace(search_alg=None), trial)

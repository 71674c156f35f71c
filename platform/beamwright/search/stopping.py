"""When a search is over before all its trials have run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ray.tune import Stopper

if TYPE_CHECKING:
    from beamwright.experiment import SearchConfig
    from beamwright.tasks import Metric

__all__ = ["SearchStopper"]


class SearchStopper(Stopper):
    """Ends the search when its time is up or its target is reached.

    Parameters
    ----------
    config
        Gives the limits.
    quality
        The metric of the target.
    spent
        Time that earlier sessions of this run took [s].
    """

    def __init__(self, config: SearchConfig, quality: Metric, *, spent: float) -> None:
        self._target, self._quality = config.target, quality
        self._deadline = None if config.hours is None else time.time() + config.hours * 3600 - spent
        self._reached = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Look at a result; single trials are never stopped here."""
        value = result.get(self._quality.name)
        if self._target is not None and value is not None:
            self._reached |= value == self._target or self._quality.better(value, self._target)
        return False

    def stop_all(self) -> bool:
        """Tell whether the search is over."""
        return bool(self.reason)

    @property
    def reason(self) -> str:
        """Why the search is over, or an empty string."""
        if self._reached:
            return f"the target {self._target:g} was reached"
        if self._deadline is not None and time.time() >= self._deadline:
            return "its time was up"
        return ""

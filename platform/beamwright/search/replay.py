"""How a scheduler learns the past of a resumed run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ray.tune.schedulers import TrialScheduler

__all__ = ["History", "PastTrial", "Replayed"]

History = Callable[[int], Sequence[dict[str, Any]]]


@dataclass(frozen=True, eq=False)
class PastTrial:
    """What schedulers look at in a trial: its identity and its configuration."""

    trial_id: str
    config: dict[str, Any]


class _Nobody:
    """A controller without trials, for schedulers that ask who else is running."""

    def get_live_trials(self) -> list[Any]:
        return []


_NOBODY = _Nobody()


class Replayed(TrialScheduler):
    """A scheduler that is told of a trial's earlier results before its next one.

    Ray restores schedulers by unpickling them. We replay what the trials reported instead: that needs
    no pickle, and a run folder stays readable for years.

    Parameters
    ----------
    inner
        The scheduler that decides; one that only compares results, not one that pauses trials.
    history
        The earlier results of a trial by its number.
    """

    def __init__(self, inner: TrialScheduler, history: History) -> None:
        super().__init__()
        self._inner, self._history = inner, history

    def replay_ended(self, numbers: Sequence[int]) -> None:
        """Tell of trials that have ended and will not come again."""
        for number in numbers:
            trial = PastTrial(f"ended-{number}", {"number": number})
            self.on_trial_add(_NOBODY, trial)
            results = self._history(number)
            if results:
                self._inner.on_trial_complete(_NOBODY, trial, results[-1])

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Tell of a trial, and of what it had reported before the driver was killed."""
        self._inner.on_trial_add(tune_controller, trial)
        for result in self._history(trial.config["number"]):
            self._inner.on_trial_result(tune_controller, trial, result)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide on a result."""
        return str(self._inner.on_trial_result(tune_controller, trial, result))

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Forget a trial that failed."""
        self._inner.on_trial_error(tune_controller, trial)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Take the last result of a trial."""
        self._inner.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Forget a trial that was taken away."""
        self._inner.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """Choose the next trial."""
        return self._inner.choose_trial_to_run(tune_controller)

    def debug_string(self) -> str:
        """Describe the state."""
        return str(self._inner.debug_string())

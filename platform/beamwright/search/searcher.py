"""Between Ray Tune and the journal: which trial comes next, and what became of the last."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ray.tune.search import Searcher
from ray.tune.utils.util import unflatten_dict

from beamwright.search.limits import Limits
from beamwright.search.transient import Transient
from beamwright.search_spaces import Candidate, Space, estimate_cost
from beamwright.tracking import RunFolder, TrialRecord

if TYPE_CHECKING:
    from optuna.trial import Trial

    from beamwright.experiment import Experiment
    from beamwright.search.journal import Journal
    from beamwright.search.objectives import Objective

__all__ = ["JournalSearcher"]

_MAX_REJECTED_IN_A_ROW = 100
_MAX_SLOW_IN_A_ROW = 20
# An arm of the recipe that population-based training may vary.
_VARIED = ("learning_rate", "weight_decay", "grad_clip")


class JournalSearcher(Transient, Searcher):
    """Suggests from the journal, in this order: unfinished trials, the queue, the sampler.

    Suggestions that cannot fit are recorded as infeasible and never start. Every outcome goes to the
    journal and to the trial's record before Ray goes on.

    Parameters
    ----------
    journal
        The study.
    space
        Turns an Optuna trial into a candidate.
    run
        Gets the records.
    experiment
        Gives the budget.
    limits
        What a candidate may cost.
    objectives
        Quality first.
    is_over
        Tells that no new trial may start: time is up, or the target is reached.
    """

    def __init__(
        self,
        journal: Journal,
        space: Space,
        run: RunFolder,
        *,
        experiment: Experiment,
        limits: Limits,
        objectives: tuple[Objective, ...],
        is_over: Callable[[], bool],
    ) -> None:
        super().__init__(metric=objectives[0].key, mode=objectives[0].direction[:3])
        self._journal, self._space, self._run = journal, space, run
        self._experiment, self._limits, self._objectives = experiment, limits, objectives
        self._is_over = is_over
        self._unfinished = deque(journal.unfinished())
        self._numbers: dict[str, int] = {}
        self._clocks: dict[int, tuple[float, float]] = {}
        self._reported: dict[int, int] = {}
        self._slow_in_a_row = 0
        self.exhausted = ""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the configuration of the next trial, or that there is none."""
        if self._is_over() or self.exhausted:
            return str(Searcher.FINISHED)
        if self._unfinished:
            trial = self._journal.reopen(self._unfinished.popleft())
            return self._configure(trial_id, trial, self._space(trial))
        if self._count_trained() >= self._experiment.search.trials:
            return str(Searcher.FINISHED)
        for _ in range(_MAX_REJECTED_IN_A_ROW):
            trial = self._journal.ask()
            candidate = self._space(trial)
            if self._admit(trial, candidate):
                return self._configure(trial_id, trial, candidate)
        self.exhausted = f"{_MAX_REJECTED_IN_A_ROW} suggestions in a row did not fit ({self._last_reason})"
        return str(Searcher.FINISHED)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Write a point of the curve."""
        result = unflatten_dict(result)  # Ray flattens what it hands to searchers
        number = self._numbers[trial_id]
        self._report(number, result)
        self._update(number, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Write the outcome of a trial."""
        number = self._numbers.pop(trial_id, None)
        if number is None:
            return
        result = unflatten_dict(result or {})
        if error:
            reason = "its worker died (out of memory, or killed) more often than resources.retries"
            result = result | {"state": "failed", "reason": reason}
        self._report(number, result)
        state = result.get("state", "failed")
        self._tell(number, "stopped" if state == "running" else state, result)

    def stop_running(self) -> None:
        """Write the outcome of trials that ran when the search was over; Ray does not tell of them."""
        for number in self._numbers.values():
            self._tell(number, "stopped", {})
        self._numbers.clear()

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is on disk already."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is on disk already."""

    def _report(self, number: int, result: dict[str, Any]) -> None:
        """Write a point of the curve; Ray gives the last one only with the outcome."""
        epoch, quality = result.get("epoch", 0), result.get(self._objectives[0].key)
        if epoch <= self._reported.get(number, 0) or quality is None or not math.isfinite(quality):
            return
        self._reported[number] = epoch
        self._slow_in_a_row = 0
        self._journal.report(number, epoch=epoch, quality=quality)

    def _count_slow(self, reason: str) -> None:
        """Give up when trial after trial is started only to be found too slow."""
        self._slow_in_a_row += 1
        if self._slow_in_a_row >= _MAX_SLOW_IN_A_ROW:
            self.exhausted = f"{self._slow_in_a_row} networks in a row were too slow ({reason})"

    def _count_trained(self) -> int:
        return sum(record.state != "infeasible" for record in self._run.records())

    def _admit(self, trial: Trial, candidate: Candidate) -> bool:
        cost = estimate_cost(candidate)
        violations = self._limits.violations(cost)
        self._last_reason = self._limits.explain(cost)
        fits = not any(value > 0 for value in violations.values())
        self._run.trial(trial.number).record = TrialRecord(
            number=trial.number,
            name=candidate.name or trial.user_attrs.get("name"),
            state="running" if fits else "infeasible",
            reason="" if fits else self._last_reason,
            parameters=trial.params,
            cost=asdict(cost),
        )
        if not fits:
            self._journal.reject(trial.number, self._last_reason, violations)
        return fits

    def _configure(self, trial_id: str, trial: Trial, candidate: Candidate) -> dict[str, Any]:
        self._numbers[trial_id] = trial.number
        folder = self._run.trial(trial.number)
        if not (folder.path / "trial.json").exists():
            # Killed between the suggestion and its record.
            self._admit(trial, candidate)
        self._clocks[trial.number] = (time.monotonic(), folder.record.seconds)
        config: dict[str, Any] = {
            "number": trial.number,
            "candidate": candidate.to_dict(),
            "parameters": dict(trial.params),
        }
        if self._experiment.search.scheduler == "pbt":
            config["vary"] = {name: getattr(candidate.recipe, name) for name in _VARIED}
        return config

    def _update(self, number: int, result: dict[str, Any], **changes: Any) -> TrialRecord:
        start, before = self._clocks[number]
        known = {key: result[key] for key in ("latency", "best", "deployed") if result.get(key) is not None}
        if "epoch" in result:
            known["epochs"] = result["epoch"]
        seconds = before + time.monotonic() - start
        return self._run.trial(number).update(seconds=seconds, **known, **changes)

    def _tell(self, number: int, state: str, result: dict[str, Any]) -> None:
        reason = {
            "failed": result.get("reason", "its worker process died before its first epoch"),
            "infeasible": result.get("infeasible", ""),
            "stopped": "stopped early" if not self._is_over() else "the search was over",
        }.get(state, "")
        record = self._update(number, result, state=state, reason=reason)
        if state == "finished":
            outcome = {**(record.deployed or {}), **(record.cost or {}), "latency": record.latency}
            outcome["macs"] = outcome.get("macs_per_pixel")
            self._journal.finish(number, [item.value(outcome) for item in self._objectives], metrics=outcome)
        elif state == "stopped":
            self._journal.stop(number, metrics=record.best or {})
        elif state == "infeasible":
            self._journal.reject(number, reason, self._limits.latency_violation(record.latency))
            self._count_slow(reason)
        else:
            self._journal.fail(number, reason)

"""The Optuna study of a run, on disk: what was suggested, what came of it, what is still to come.

The journal is the truth of a search. It is written before anything starts and after everything that
ends, and ``optuna-dashboard`` opens it.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from beamwright.search.samplers import make_sampler

if TYPE_CHECKING:
    from beamwright.experiment import SearchConfig
    from beamwright.search.objectives import Objective

__all__ = ["Journal"]

_LOCKS = ("study.journal.lock", "study.journal.lock*.rename")


class Journal:
    """Suggestions and outcomes of one run.

    Life cycle: the driver opens it, enqueues the portfolio once, then asks and tells; after a crash it
    opens it again, finds in `unfinished` what was running, and goes on.

    Parameters
    ----------
    path
        The journal file; created where there is none.
    objectives
        What is optimised, quality first.
    config
        Gives the sampler.
    seed
        Seed of the run.
    """

    def __init__(
        self, path: Path, *, objectives: Sequence[Objective], config: SearchConfig, seed: int
    ) -> None:
        optuna.logging.set_verbosity(logging.WARNING)
        _mend(path)
        self._config, self._seed, self._objectives = config, seed, tuple(objectives)
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            study_name=path.parent.name,
            directions=[objective.direction for objective in objectives],
            sampler=self._sampler(0),
            load_if_exists=True,
        )
        self._open: dict[int, Trial] = {}

    @property
    def trials(self) -> list[FrozenTrial]:
        """Every trial so far, by number; those that wait in the queue among them."""
        return self._study.get_trials(deepcopy=False)

    @property
    def is_new(self) -> bool:
        """Tell whether nothing was ever enqueued or suggested."""
        return not self.trials

    def unfinished(self) -> tuple[int, ...]:
        """Return the numbers of the trials that ran when the driver ended."""
        return tuple(trial.number for trial in self.trials if trial.state == TrialState.RUNNING)

    def ended(self) -> tuple[int, ...]:
        """Return the numbers of the trials that have an outcome."""
        return tuple(trial.number for trial in self.trials if trial.state.is_finished())

    def enqueue(self, parameters: Mapping[str, Any], *, name: str) -> None:
        """Put a known configuration before everything that the sampler suggests."""
        self._study.enqueue_trial(dict(parameters), user_attrs={"name": name})

    def ask(self) -> Trial:
        """Return the next trial: from the queue, else from the sampler."""
        waiting = any(trial.state == TrialState.WAITING for trial in self.trials)
        if not waiting:
            self._study.sampler = self._sampler(len(self.trials))
        trial = self._study.ask()
        self._open[trial.number] = trial
        return trial

    def reopen(self, number: int) -> Trial:
        """Return a trial of `unfinished`, to go on with it."""
        # The storage's own id: Optuna offers no public way back from a frozen trial.
        trial = Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)
        self._open[number] = trial
        return trial

    def report(self, number: int, *, epoch: int, quality: float) -> None:
        """Write a point of the curve; Optuna keeps curves of searches with one objective only."""
        if len(self._objectives) == 1:
            self._open[number].report(quality, step=epoch)

    def finish(self, number: int, values: Sequence[float], *, metrics: Mapping[str, Any]) -> None:
        """Tell the outcome of a trial that came to its end."""
        self._attribute(number, metrics)
        self._tell(number, values=list(values))

    def stop(self, number: int, *, metrics: Mapping[str, Any]) -> None:
        """Tell that a scheduler or a limit of time ended the trial."""
        self._attribute(number, metrics)
        self._tell(number, state=TrialState.PRUNED)

    def fail(self, number: int, reason: str) -> None:
        """Tell that the trial raised, diverged, or ran out of memory."""
        self._attribute(number, {"reason": reason})
        self._tell(number, state=TrialState.FAIL)

    def reject(self, number: int, reason: str, violations: Mapping[str, float]) -> None:
        """Tell that the trial breaks limits, and by how much, so that the sampler learns to keep them.

        Parameters
        ----------
        violations
            By limit: the value divided by the limit, minus one; above zero means broken.
        """
        trial = self._open[number]
        for name, violation in violations.items():
            trial.set_constraint(name, violation)
        self._attribute(number, {"reason": reason, "infeasible": True})
        self._tell(number, state=TrialState.PRUNED)

    def _tell(self, number: int, **outcome: Any) -> None:
        with warnings.catch_warnings():
            # CMA-ES warns at every trial that it takes no notice of constraints; its entry says so once.
            warnings.simplefilter("ignore")
            self._study.tell(self._open.pop(number), **outcome)

    def _attribute(self, number: int, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            self._open[number].set_user_attr(name, json.loads(json.dumps(value, default=str)))

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = (self._seed * 1_000_003 + number) % 2**31
        return make_sampler(self._config.sampler, seed=seed, population=self._config.population)


def _mend(path: Path) -> None:
    """Take away what a killed driver may have left: a held lock and half a last line."""
    for pattern in _LOCKS:
        for lock in path.parent.glob(pattern):
            lock.unlink(missing_ok=True)
    if not path.exists():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)

"""What the report is made from: everything of the run, read once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from beamwright.tracking.images import load_examples
from beamwright.tracking.leaderboard import LeaderboardRow, leaderboard_rows
from beamwright.tracking.metrics import metrics_of

if TYPE_CHECKING:
    from beamwright.experiment import Experiment
    from beamwright.tasks import Metric
    from beamwright.tracking.run import RunFolder, RunStatus
    from beamwright.tracking.trial import TrialRecord

__all__ = ["View", "load_view"]


@dataclass(frozen=True)
class View:
    """A run as the sections of the report see it.

    Parameters
    ----------
    metrics
        Of the task, the quality first.
    curves
        Metrics by epoch, by number of the trial.
    """

    run: RunFolder
    status: RunStatus
    state: str
    experiment: Experiment
    metrics: tuple[Metric, ...]
    records: tuple[TrialRecord, ...]
    curves: dict[int, list[dict[str, Any]]]
    rows: tuple[LeaderboardRow, ...]

    @property
    def quality(self) -> Metric:
        """The metric that is searched for."""
        return self.metrics[0]

    @cached_property
    def winner(self) -> TrialRecord | None:
        """The network that was measured on the test split, else the best exported one."""
        numbers = [(self.run.test() or {}).get("trial")]
        numbers += [row.trial for row in self.rows if row.kind == "network" and row.deployed]
        found = (record for number in numbers for record in self.records if record.number == number)
        return next(found, None)

    @cached_property
    def best_classical(self) -> LeaderboardRow | None:
        """The best of the classical rows."""
        return next((row for row in self.rows if row.kind == "classical"), None)

    @cached_property
    def examples(self) -> list[dict[str, Any]]:
        """Images of the winner: input, output, target, each (H, W)."""
        return load_examples(self.run.examples)

    def better_of(self, first: float, second: float) -> float:
        """Return the better of two figures of the quality."""
        return second if self.quality.better(second, first) else first

    def figure_of(self, record: TrialRecord) -> float | None:
        """Return a trial's quality: of the exported model, else of the training loop."""
        figures = record.deployed or record.best or {}
        value = figures.get(self.quality.name)
        return None if value is None else float(value)


def load_view(run: RunFolder) -> View:
    """Read a run for its report."""
    trials = run.trials()
    return View(
        run=run,
        status=run.status,
        state=run.state,
        experiment=run.experiment(),
        metrics=metrics_of(run),
        records=tuple(trial.record for trial in trials),
        curves={trial.number: trial.metrics() for trial in trials},
        rows=tuple(leaderboard_rows(run)),
    )

"""What a user sees while a search runs: a live table in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from ray.tune import Callback
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from beamwright.search.transient import Transient
from beamwright.tracking import RunFolder, TrialRecord

if TYPE_CHECKING:
    from beamwright.experiment import Experiment
    from beamwright.tasks import Metric

__all__ = ["Progress", "format_seconds"]

_BARS = "▁▂▃▄▅▆▇█"
_ENDED = ("finished", "stopped", "failed", "infeasible")


class Progress(Transient, Callback):
    """Follows a search by its run folder.

    Parameters
    ----------
    run
        The run.
    experiment
        Gives the budget.
    quality
        The metric that is shown.
    slots
        Trials at the same time.
    console
        Where to write; a live table if it is a terminal.
    """

    def __init__(
        self, run: RunFolder, *, experiment: Experiment, quality: Metric, slots: int, console: Console
    ) -> None:
        self._run, self._experiment, self._quality = run, experiment, quality
        self._slots, self._console = slots, console
        self._start = time.monotonic()
        self._told: set[int] = {record.number for record in run.records() if record.state != "running"}
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(console=self._console, get_renderable=self._render, refresh_per_second=2)
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of trials that ended."""
        self._tell()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell of trials that failed."""
        self._tell()

    def _tell(self) -> None:
        if self._live is not None:
            return
        records = self._run.records()
        for record in records:
            if record.state in _ENDED and record.number not in self._told:
                self._told.add(record.number)
                self._console.print(self._line(record, records), highlight=False, soft_wrap=True)

    def _line(self, record: TrialRecord, records: list[TrialRecord]) -> str:
        value = self._value(record)
        figure = "" if value is None else f"  {self._quality.name} {value:.3f} {self._quality.unit}"
        mark = "  best so far" if self._is_best(record, records) else ""
        reason = f"  ({record.reason})" if record.state in ("failed", "infeasible") else ""
        trained = sum(item.state in ("finished", "stopped", "failed") for item in records)
        if record.state == "infeasible":
            return rf"\[{trained}/{self._experiment.search.trials}] {record.label} skipped{reason}"
        return (
            rf"\[{trained}/{self._experiment.search.trials}] {record.label} {record.state} after "
            f"{record.epochs} epochs, {format_seconds(record.seconds)}{figure}{mark}{reason}"
        )

    def _value(self, record: TrialRecord) -> float | None:
        figures = record.deployed or record.best or {}
        value = figures.get(self._quality.name)
        return None if value is None else float(value)

    def _ranked(self, records: list[TrialRecord]) -> list[TrialRecord]:
        valued = [record for record in records if self._value(record) is not None]
        sign = -1 if self._quality.maximise else 1
        return sorted(valued, key=lambda record: sign * (self._value(record) or 0.0))

    def _is_best(self, record: TrialRecord, records: list[TrialRecord]) -> bool:
        ranked = self._ranked([item for item in records if item.state == "finished"])
        return bool(ranked) and ranked[0].number == record.number

    def _render(self) -> Group:
        records = self._run.records()
        running = [record for record in records if record.state == "running"]
        best = self._ranked([record for record in records if record.state != "running"])[:3]
        table = Table(box=None, pad_edge=False)
        for heading in ("trial", "state", "epoch", f"{self._quality.name} [{self._quality.unit}]", "curve"):
            table.add_column(Text(heading), no_wrap=True)
        for record in best:
            self._add_row(table, record, style="green" if record is best[0] else "")
        for record in running:
            self._add_row(table, record, style="cyan")
        return Group(self._headline(records), table)

    def _add_row(self, table: Table, record: TrialRecord, *, style: str) -> None:
        curve = [entry.get(self._quality.name) for entry in self._run.trial(record.number).metrics()]
        values = [float(value) for value in curve if value is not None]
        value = self._value(record)
        table.add_row(
            record.label,
            record.state,
            f"{record.epochs}/{self._experiment.training.epochs}",
            "" if value is None else f"{value:.3f}",
            sparkline(values),
            style=style,
        )

    def _headline(self, records: list[TrialRecord]) -> Text:
        count = Counter[str](record.state for record in records)
        states = ", ".join(f"{count[state]} {state}" for state in ("running", *_ENDED) if count[state])
        elapsed = time.monotonic() - self._start
        left = self._estimate_left(records, elapsed)
        return Text(f"{self._run.name}  {states or 'starting'}  {format_seconds(elapsed)} so far{left}")

    def _estimate_left(self, records: list[TrialRecord], elapsed: float) -> str:
        ended = [record for record in records if record.state in ("finished", "stopped", "failed")]
        search = self._experiment.search
        estimates = []
        if ended:
            mean = sum(record.seconds for record in ended) / len(ended)
            estimates.append(mean * max(0, search.trials - len(ended)) / self._slots)
        if search.hours is not None:
            estimates.append(max(0.0, search.hours * 3600 - elapsed))
        return f", about {format_seconds(min(estimates))} left" if estimates else ""


def sparkline(values: list[float], *, width: int = 24) -> str:
    """Return a curve in one line of text, its last `width` points."""
    shown = values[-width:]
    if not shown:
        return ""
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(_BARS[int((value - low) / span * (len(_BARS) - 1))] for value in shown)


def format_seconds(seconds: float) -> str:
    """Return a duration as people say it: ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

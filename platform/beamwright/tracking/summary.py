"""What a run came to, in a few lines, and what to do next."""

from __future__ import annotations

from collections import Counter

from beamwright.tracking.metrics import metrics_of
from beamwright.tracking.run import RunFolder

__all__ = ["epochs_saved", "summarise"]


def epochs_saved(run: RunFolder) -> tuple[int, int]:
    """Return the epochs that stopping early saved, and those that all trials would have taken."""
    records = [record for record in run.records() if record.state in ("finished", "stopped")]
    budget = run.experiment().training.epochs
    return sum(budget - record.epochs for record in records), budget * len(records)


def summarise(run: RunFolder) -> list[str]:
    """Return the lines that end ``beamwright run``."""
    count = Counter(record.state for record in run.records())
    saved, whole = epochs_saved(run)
    lines = [
        ", ".join(f"{number} trial{'s' * (number != 1)} {state}" for state, number in sorted(count.items()))
    ]
    if saved:
        lines.append(f"early stopping saved {saved} of {whole} epochs ({saved / whole:.0%})")
    note = run.status.note
    if note:
        lines.append(f"the search ended because {note}")
    test = run.test()
    if test:
        lines.append(_describe_test(run, test))
    return [
        *lines,
        f"report: {run.path / 'report.html'}",
        f'look closer: beamwright review "{run.path}"',
        f'use it: beamwright export "{run.path}"',
    ]


def _describe_test(run: RunFolder, test: dict[str, object]) -> str:
    quality = metrics_of(run)[0]
    metrics, interval = test["metrics"], test["interval"]
    assert isinstance(metrics, dict)
    assert isinstance(interval, list)
    return (
        f"{test['name']} on the test split: {quality.name} {metrics[quality.name]:.2f} {quality.unit} "
        f"(95 % interval {interval[0]:.2f} to {interval[1]:.2f}, over {test['interval_over']})"
    )

"""The leaderboard of a run: every network that was measured, and always the classical methods."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from beamwright.tracking.files import write_text
from beamwright.tracking.metrics import metrics_of, with_unit
from beamwright.tracking.text import compact, duration, figure, file_size, setting

if TYPE_CHECKING:
    from pathlib import Path

    from beamwright.tasks import Metric
    from beamwright.tracking.run import RunFolder
    from beamwright.tracking.trial import TrialFolder

__all__ = [
    "FOOTNOTE",
    "LeaderboardRow",
    "leaderboard_cells",
    "leaderboard_rows",
    "leaderboard_table",
    "leaderboard_text",
    "leaderboard_verdict",
    "write_leaderboard",
]

FOOTNOTE = "* from the training loop, not from the exported model: not ranked."


class LeaderboardRow(BaseModel):
    """One line of the leaderboard."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rank: int | None = None
    """Place among all rows with deployed figures, classical ones included."""
    name: str
    kind: Literal["network", "classical"]
    trial: int | None = None
    """Number of the trial; classical rows have none."""
    state: str = ""
    """State of the trial."""
    metrics: dict[str, float | None]
    """Validation figures by name of the metric."""
    deployed: bool
    """Whether the figures are those of the exported model, through onnxruntime."""
    parameters: int | None = None
    macs: float | None = None
    """Multiply-adds per input pixel."""
    latency: float | None = None
    """[ms per megapixel]."""
    size: int | None = None
    """Of the exported model on disk [bytes]."""
    seconds: float | None = None
    """Time of training [s]."""
    epochs: int | None = None


def leaderboard_rows(run: RunFolder) -> list[LeaderboardRow]:
    """Return the rows, best first.

    Networks with figures of their exported model and classical rows are ranked together; below them come
    networks that have figures of the training loop only, such as those that the scheduler stopped.
    """
    quality = metrics_of(run)[0]
    networks = [row for trial in run.trials() if (row := _network_row(trial)) is not None]
    rows = [*networks, *(_classical_row(baseline) for baseline in run.baselines())]
    rows = [row for row in rows if row.metrics.get(quality.name) is not None]
    sign = -1 if quality.maximise else 1
    rows.sort(key=lambda row: (not row.deployed, sign * (row.metrics[quality.name] or 0.0)))
    return [
        row.model_copy(update={"rank": place if row.deployed else None})
        for place, row in enumerate(rows, start=1)
    ]


def leaderboard_verdict(rows: Sequence[LeaderboardRow], quality: Metric) -> str:
    """Return the sentence that the table leads to: whether a network should be deployed."""
    networks = [row for row in rows if row.kind == "network" and row.deployed]
    classical = [row for row in rows if row.kind == "classical"]
    if not networks:
        return "No network has been exported and measured yet, so there is nothing to deploy."
    best = networks[0]
    value = _value(best, quality)
    if not classical:
        return (
            f"{best.name} is best with {value}; the classical rows are not measured, so compare before use."
        )
    other = classical[0]
    gap = abs((best.metrics[quality.name] or 0.0) - (other.metrics[quality.name] or 0.0))
    if quality.better(best.metrics[quality.name] or 0.0, other.metrics[quality.name] or 0.0):
        margin = f"{figure(gap)} {quality.unit}".strip()
        return f"{best.name} is best with {value}, {margin} better than the best classical row, {other.name}."
    return (
        f"No network beats the classical rows: {other.name} has {_value(other, quality)}, the best network, "
        f"{best.name}, has {value}. Do not deploy a network: use {other.name}, or search longer."
    )


def leaderboard_cells(row: LeaderboardRow, metrics: Sequence[Metric]) -> list[tuple[str, str]]:
    """Return the columns of a row as text, each with its heading."""
    first, *others = metrics
    mark = "" if row.deployed else "*"
    return [
        ("rank", str(row.rank or "")),
        ("name", row.name),
        ("kind", row.kind),
        (with_unit(first), figure(row.metrics.get(first.name)) + mark),
        *((with_unit(metric), figure(row.metrics.get(metric.name), 3)) for metric in others),
        ("parameters", compact(row.parameters)),
        ("MACs/px", compact(row.macs)),
        ("latency [ms/Mpx]", figure(row.latency, 1)),
        ("size", file_size(row.size)),
        ("training", duration(row.seconds)),
        ("epochs", setting(row.epochs)),
        ("state", row.state),
    ]


def leaderboard_table(
    rows: Sequence[LeaderboardRow], metrics: Sequence[Metric], *, title: str = "", width: int | None = None
) -> Table:
    """Return the leaderboard as a table for the terminal.

    Parameters
    ----------
    rows
        As `leaderboard_rows` gives them.
    metrics
        Those to show, the quality first.
    width
        Of the terminal: the least important columns are left out until the table fits.
    """
    metrics = [
        item for item in metrics if any(row.metrics.get(item.name) is not None for row in rows)
    ] or metrics
    cells = [dict(leaderboard_cells(row, metrics)) for row in rows]
    names = _fitting(cells, [metric.name for metric in metrics[1:]], width)
    table = Table(title=Text(title, style="bold") if title else None, title_justify="left", box=SIMPLE)
    for name in names:
        left = name in ("name", "kind", "state")
        table.add_column(Text(name), justify="left" if left else "right", no_wrap=name != "name")
    for row, texts in zip(rows, cells, strict=True):
        style = "dim" if not row.deployed else "cyan" if row.kind == "classical" else None
        table.add_row(*(Text(texts[name]) for name in names), style=style)
    notes = [FOOTNOTE] if any(not row.deployed for row in rows) else []
    table.caption = Text("\n".join([*notes, leaderboard_verdict(rows, metrics[0])]))
    table.caption_justify = "left"
    return table


def leaderboard_text(rows: Sequence[LeaderboardRow], metrics: Sequence[Metric]) -> str:
    """Return the leaderboard as plain text: no colours, no box, the verdict below."""
    table = leaderboard_table(rows, metrics)
    table.box, caption, table.caption = None, str(table.caption), None
    text = io.StringIO()
    Console(file=text, width=1000, no_color=True).print(table)
    return "\n".join([*(line.rstrip() for line in text.getvalue().splitlines()), "", caption, ""])


def write_leaderboard(run: RunFolder) -> tuple[Path, Path]:
    """Write ``leaderboard.json`` and ``leaderboard.csv`` into the run.

    Returns
    -------
    tuple of Path
        The two files.
    """
    rows, metrics = leaderboard_rows(run), metrics_of(run)
    content = {
        "quality": metrics[0].name,
        "units": {metric.name: metric.unit for metric in metrics},
        "verdict": leaderboard_verdict(rows, metrics[0]),
        "rows": [row.model_dump() for row in rows],
    }
    table = run.path / "leaderboard.csv"
    write_text(table, _to_csv(rows, metrics))
    return run.write("leaderboard.json", content), table


def _network_row(trial: TrialFolder) -> LeaderboardRow | None:
    record = trial.record
    figures = record.deployed or record.best
    if figures is None or record.state in ("failed", "infeasible"):
        return None
    cost = record.cost or {}
    return LeaderboardRow(
        name=record.label,
        kind="network",
        trial=record.number,
        state=record.state,
        metrics=_numbers(figures),
        deployed=record.deployed is not None,
        parameters=cost.get("parameters"),
        macs=cost.get("macs_per_pixel"),
        latency=record.latency,
        size=trial.onnx.stat().st_size if trial.onnx.exists() else None,
        seconds=record.seconds,
        epochs=record.epochs,
    )


def _classical_row(baseline: dict[str, Any]) -> LeaderboardRow:
    settings = ", ".join(
        f"{name} {setting(value)}" for name, value in (baseline.get("parameters") or {}).items()
    )
    return LeaderboardRow(
        name=f"{baseline['name']} ({settings})" if settings else baseline["name"],
        kind="classical",
        metrics=_numbers(baseline["metrics"]),
        deployed=True,
        latency=baseline.get("latency"),
    )


def _numbers(figures: dict[str, Any]) -> dict[str, float | None]:
    return {
        name: value for name, value in figures.items() if value is None or isinstance(value, (int, float))
    }


def _value(row: LeaderboardRow, metric: Metric) -> str:
    return f"{figure(row.metrics[metric.name])} {metric.unit}".strip()


def _fitting(cells: Sequence[dict[str, str]], others: Sequence[str], width: int | None) -> list[str]:
    """Return the columns that fit into a width, in their order."""
    names = list(cells[0]) if cells else []
    minor = [name for name in names if name.split(" [")[0] in others[1:]]
    for name in (*minor, "kind", "epochs", "state", "MACs/px", "size", "training", "parameters"):
        needed = sum(3 + max(len(head), *(len(row[head]) for row in cells)) for head in names) + 2
        if width is None or needed <= width:
            break
        names.remove(name)
    return names


def _to_csv(rows: Sequence[LeaderboardRow], metrics: Sequence[Metric]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = ["parameters", "macs per pixel", "latency [ms/Mpx]", "size [bytes]", "training [s]", "epochs"]
    writer.writerow(
        [
            "rank",
            "name",
            "kind",
            "trial",
            "state",
            "deployed",
            *(with_unit(metric) for metric in metrics),
            *heads,
        ]
    )
    for row in rows:
        costs = [row.parameters, row.macs, row.latency, row.size, row.seconds, row.epochs]
        figures = [row.metrics.get(metric.name) for metric in metrics]
        writer.writerow([row.rank, row.name, row.kind, row.trial, row.state, row.deployed, *figures, *costs])
    return text.getvalue()

"""What the report's figures share; colours of text and grid come from the page's theme."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from beamwright.tracking.metrics import with_unit
from beamwright.tracking.text import compact, duration, figure

if TYPE_CHECKING:
    from beamwright.tracking.report.view import View
    from beamwright.tracking.trial import TrialRecord

__all__ = ["COLOURS", "Point", "add_classical", "add_trials", "as_payload", "make_plot"]

# From Okabe and Ito's set, which colour-blind readers can tell apart, on white and on black.
COLOURS = {
    "finished": "#2b8cd6",
    "stopped": "#98a2ad",
    "running": "#56b4a0",
    "winner": "#e0632c",
    "classical": "#b07aa1",
    "failed": "#c9434f",
}
SYMBOLS = {"stopped": "circle-open", "winner": "star"}

Point = tuple["TrialRecord", float, float]
"""A trial, its place along the abscissa, and its quality."""


def make_plot(x: str, y: str, *, height: int = 380) -> go.Figure:
    """Return an empty figure with titles of its axes."""
    axis = {"showline": True, "ticks": "outside", "zeroline": False, "automargin": True}
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 56, "r": 14, "t": 36, "b": 48},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 13},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "hovermode": "closest",
            "xaxis": {"title": {"text": x}, **axis},
            "yaxis": {"title": {"text": y}, **axis},
        }
    )


def add_trials(plot: go.Figure, points: Sequence[Point], view: View) -> None:
    """Draw trials as points by their state; the winner stands out."""
    winner = view.winner.number if view.winner else None
    for group in ("finished", "stopped", "running", "winner"):
        chosen = [
            point for point in points if group == ("winner" if point[0].number == winner else point[0].state)
        ]
        if chosen:
            plot.add_scatter(
                x=[x for _, x, _ in chosen],
                y=[y for _, _, y in chosen],
                mode="markers",
                name=group,
                marker={"size": 9, "color": COLOURS[group], "symbol": SYMBOLS.get(group, "circle")},
                text=[_describe(record, view) for record, _, _ in chosen],
                hovertemplate="%{text}<extra></extra>",
            )


def add_classical(plot: go.Figure, view: View) -> None:
    """Draw the best classical row as a line across."""
    row = view.best_classical
    if row is None:
        return
    plot.add_hline(
        y=row.metrics[view.quality.name],
        line={"color": COLOURS["classical"], "dash": "dash", "width": 1.5},
        annotation={
            "text": html.escape(row.name),
            "font": {"color": COLOURS["classical"]},
            "xanchor": "right",
            "x": 1,
            "yanchor": "bottom",
        },
    )


def _describe(record: TrialRecord, view: View) -> str:
    cost = record.cost or {}
    name = f"<b>{html.escape(record.label)}</b>" + (f" (trial {record.number})" if record.name else "")
    lines = [
        f"{name}, {record.state}",
        f"{with_unit(view.quality)}: {figure(view.figure_of(record))}",
        f"{compact(cost.get('parameters'))} parameters, {compact(cost.get('macs_per_pixel'))} MACs/px",
        f"latency {figure(record.latency, 1)} ms/Mpx",
        f"{record.epochs} epochs in {duration(record.seconds)}",
    ]
    return "<br>".join(lines)


def as_payload(plot: go.Figure) -> Any:
    """Return the figure as JSON that may stand inside a script element."""
    return str(plot.to_json()).replace("<", "\\u003c")

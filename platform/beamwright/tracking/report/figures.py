"""The history of a search, the curves of its trials, and what mattered."""

from __future__ import annotations

import html
from itertools import accumulate
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from beamwright.tracking.metrics import with_unit
from beamwright.tracking.report.base import COLOURS, add_classical, add_trials, make_plot

if TYPE_CHECKING:
    from beamwright.tracking.report.view import View
    from beamwright.tracking.trial import TrialRecord

__all__ = ["curve_figure", "history_figure", "importance_figure", "loss_figure"]

MOST_CURVES = 60


def history_figure(view: View) -> go.Figure | None:
    """Draw the quality of every trial in their order, and the best so far."""
    points = [
        (record, float(record.number), value)
        for record in view.records
        if (value := view.figure_of(record)) is not None
    ]
    if not points:
        return None
    plot = make_plot("trial", with_unit(view.quality))
    # A training loop's figure is not comparable enough to lead the history.
    leading = [point for point in points if point[0].deployed] or points
    best = list(accumulate((value for *_, value in leading), view.better_of))
    plot.add_scatter(
        x=[x for _, x, _ in leading],
        y=best,
        mode="lines",
        name="best so far",
        line={"shape": "hv", "color": COLOURS["winner"], "width": 2},
        hoverinfo="skip",
    )
    add_trials(plot, points, view)
    add_classical(plot, view)
    return plot


def curve_figure(view: View) -> go.Figure | None:
    """Draw the validation metric of every trial by epoch."""
    plot = _curves(view, view.quality.name, with_unit(view.quality))
    if plot is not None:
        add_classical(plot, view)
    return plot


def loss_figure(view: View) -> go.Figure | None:
    """Draw the training loss of every trial by epoch; losses of different kinds do not compare."""
    plot = _curves(view, "train_loss", "training loss")
    if plot is not None:
        plot.update_yaxes(type="log", exponentformat="power")
    return plot


def importance_figure(importances: dict[str, float]) -> go.Figure:
    """Draw the share of the variance that each hyperparameter explains, the largest on top."""
    shown = list(importances.items())[:12][::-1]
    plot = make_plot("share of the variance explained", "", height=90 + 26 * len(shown))
    plot.add_bar(
        x=[share for _, share in shown],
        y=[html.escape(name) for name, _ in shown],
        orientation="h",
        marker={"color": COLOURS["finished"]},
        text=[f"{share:.0%}" for _, share in shown],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="skip",
    )
    plot.update_layout(showlegend=False, margin={"l": 10})
    plot.update_xaxes(tickformat=".0%", rangemode="tozero")
    plot.update_yaxes(automargin=True)
    return plot


def _curves(view: View, key: str, title: str) -> go.Figure | None:
    plot = make_plot("epoch", title)
    winner = view.winner.number if view.winner else None
    for record in _shown(view):
        points = [point for point in view.curves.get(record.number, []) if point.get(key) is not None]
        if not points:
            continue
        state = "winner" if record.number == winner else record.state
        label = f"{html.escape(record.label)}, {record.state}"
        plot.add_scatter(
            x=[point["epoch"] for point in points],
            y=[point[key] for point in points],
            mode="lines" if len(points) > 1 else "markers",
            name=html.escape(record.label),
            line={"color": COLOURS.get(state, COLOURS["failed"]), "width": 3 if state == "winner" else 1.3},
            hovertemplate=f"{label}<br>epoch %{{x}}: %{{y:.4g}}<extra></extra>",
        )
    plot.update_layout(showlegend=False)
    return plot if plot.data else None


def _shown(view: View) -> list[TrialRecord]:
    """Return the best trials, the winner last, so that it is drawn on top."""
    sign = -1 if view.quality.maximise else 1
    known = [record for record in view.records if view.figure_of(record) is not None]
    known.sort(key=lambda record: sign * (view.figure_of(record) or 0.0))
    others = [record for record in view.records if view.figure_of(record) is None]
    return [*others, *known][-MOST_CURVES:] if not known else [*others[:5], *known[:MOST_CURVES][::-1]]

"""Quality against what it costs."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import TYPE_CHECKING

import plotly.graph_objects as go

from beamwright.tracking.metrics import with_unit
from beamwright.tracking.report.base import COLOURS, Point, add_trials, make_plot

if TYPE_CHECKING:
    from beamwright.tracking.report.view import View
    from beamwright.tracking.trial import TrialRecord

__all__ = ["cost_figures", "pareto_front"]

_LATENCY = "latency [ms/Mpx]"


def cost_figures(view: View) -> list[go.Figure]:
    """Draw quality against each cost that is known, with the Pareto front of the exported networks."""
    costs: tuple[tuple[str, Callable[[TrialRecord], float | None]], ...] = (
        ("parameters", lambda record: (record.cost or {}).get("parameters")),
        ("multiply-adds per pixel", lambda record: (record.cost or {}).get("macs_per_pixel")),
        (_LATENCY, lambda record: record.latency),
    )
    figures = []
    for title, cost in costs:
        points = [
            (record, float(spent), value)
            for record in view.records
            if (value := view.figure_of(record)) is not None and (spent := cost(record))
        ]
        if points:
            figures.append(_cost_figure(view, points, title))
    return figures


def _cost_figure(view: View, points: list[Point], title: str) -> go.Figure:
    plot = make_plot(title, with_unit(view.quality), height=340)
    add_trials(plot, points, view)
    if title == _LATENCY:
        _add_classical_points(plot, view)
    exported = [(cost, value) for record, cost, value in points if record.deployed]
    front = pareto_front(exported, maximise=view.quality.maximise)
    plot.add_scatter(
        x=[cost for cost, _ in front],
        y=[value for _, value in front],
        mode="lines",
        name="Pareto front",
        line={"shape": "hv", "color": COLOURS["winner"], "width": 1.5, "dash": "dot"},
        hoverinfo="skip",
    )
    plot.update_xaxes(type="log", exponentformat="SI", dtick="D2")
    plot.update_layout(showlegend=False, margin={"t": 14})
    return plot


def _add_classical_points(plot: go.Figure, view: View) -> None:
    rows = [row for row in view.rows if row.kind == "classical" and row.latency]
    plot.add_scatter(
        x=[row.latency for row in rows],
        y=[row.metrics[view.quality.name] for row in rows],
        mode="markers",
        name="classical",
        marker={"size": 9, "color": COLOURS["classical"], "symbol": "diamond"},
        text=[html.escape(row.name) for row in rows],
        hovertemplate="<b>%{text}</b><br>%{y:.2f} in %{x:.3g} ms/Mpx<extra></extra>",
    )


def pareto_front(points: list[tuple[float, float]], *, maximise: bool) -> list[tuple[float, float]]:
    """Return the points (cost, quality) that no other beats in both, by rising cost."""
    front: list[tuple[float, float]] = []
    sign = 1 if maximise else -1
    for cost, value in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not front or sign * value > sign * front[-1][1]:
            front.append((cost, value))
    return front

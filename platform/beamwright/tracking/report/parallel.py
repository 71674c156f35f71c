"""Parallel coordinates of all trials, drawn as lines: prints, needs no WebGL, and bears missing values."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from beamwright.tracking.metrics import with_unit
from beamwright.tracking.text import setting

if TYPE_CHECKING:
    from beamwright.tracking.report.view import View

__all__ = ["MOST_LINES", "parallel_figure"]

MOST_LINES = 60
_MOST_AXES = 9
_SCALE = "Viridis"


@dataclass(frozen=True)
class _Axis:
    """One vertical axis: where a value lies on it in [0, 1], and its marks."""

    name: str
    place: Callable[[Any], float | None]
    marks: tuple[tuple[float, str], ...]


def parallel_figure(view: View, order: Sequence[str] = ()) -> go.Figure | None:
    """Draw the best trials, each as a line over its parameters, coloured by its quality.

    Parameters
    ----------
    order
        Names of parameters, the most important first.
    """
    trials = [(record, value) for record in view.records if (value := view.figure_of(record)) is not None]
    # The best are drawn last, on top; a hundred lines more would hide them all the same.
    trials = sorted(trials, key=lambda trial: trial[1], reverse=not view.quality.maximise)[-MOST_LINES:]
    names = _varied([record.parameters for record, _ in trials], order)
    if len(trials) < 2 or not names:
        return None
    values = [value for _, value in trials]
    axes = [_make_axis(name, [record.parameters.get(name) for record, _ in trials]) for name in names]
    axes.append(_make_axis(with_unit(view.quality), values))
    plot = _frame(axes)
    low, high = min(values), max(values)
    for record, value in trials:
        places = [axis.place(record.parameters.get(axis.name)) for axis in axes[:-1]] + [
            axes[-1].place(value)
        ]
        shade = (value - low) / (high - low) if high > low else 1.0
        plot.add_scatter(
            x=list(range(len(axes))),
            y=places,
            mode="lines+markers",
            connectgaps=True,
            line={"color": _colour(shade if view.quality.maximise else 1 - shade), "width": 2},
            marker={"size": 5},
            opacity=0.75,
            name=html.escape(record.label),
            text=_hover(axes, [*(record.parameters.get(axis.name) for axis in axes[:-1]), value]),
            hovertemplate=f"<b>{html.escape(record.label)}</b><br>%{{text}}<extra></extra>",
        )
    return plot


def _varied(parameters: Sequence[dict[str, Any]], order: Sequence[str]) -> list[str]:
    """Return the parameters that differ between trials, in the given order, then by how many have them."""
    counts: dict[str, int] = {}
    for one in parameters:
        for name in one:
            counts[name] = counts.get(name, 0) + 1
    varied = [name for name in counts if len({str(one[name]) for one in parameters if name in one}) > 1]
    rank = {name: place for place, name in enumerate(order)}
    varied.sort(key=lambda name: (rank.get(name, len(rank)), -counts[name]))
    return varied[:_MOST_AXES]


def _make_axis(name: str, values: Sequence[Any]) -> _Axis:
    present = [value for value in values if value is not None]
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in present):
        return _numeric_axis(name, [float(value) for value in present])
    known = sorted({setting(value) for value in present})
    step = 1 / max(len(known) - 1, 1)
    places = {text: index * step for index, text in enumerate(known)}
    return _Axis(
        name,
        lambda value: None if value is None else places[setting(value)],
        tuple((place, text) for text, place in places.items()),
    )


def _numeric_axis(name: str, values: Sequence[float]) -> _Axis:
    low, high = min(values), max(values)
    is_log = low > 0 and high / low >= 30
    start, end = (math.log(low), math.log(high)) if is_log else (low, high)

    def place(value: Any) -> float | None:
        if value is None:
            return None
        position = math.log(value) if is_log else float(value)
        return (position - start) / (end - start) if end > start else 0.5

    middle = math.exp((start + end) / 2) if is_log else (start + end) / 2
    exact = sorted(set(values)) if len(set(values)) <= 5 else [low, middle, high]
    marks = [(place(value) or 0.0, f"{value:.3g}") for value in exact]
    return _Axis(name, place, tuple(marks))


def _frame(axes: Sequence[_Axis]) -> go.Figure:
    plot = go.Figure(
        layout={
            "template": "none",
            "height": 400,
            "margin": {"l": 60, "r": 60, "t": 20, "b": 70},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif", "size": 12},
            "showlegend": False,
            "hovermode": "closest",
            "yaxis": {"visible": False, "range": [-0.06, 1.06], "fixedrange": True},
            "xaxis": {
                "tickvals": list(range(len(axes))),
                "ticktext": [html.escape(axis.name) for axis in axes],
                "showgrid": True,
                "zeroline": False,
                "range": [-0.25, len(axes) - 0.75],
                "fixedrange": True,
                "tickangle": -20,
            },
        }
    )
    for index, axis in enumerate(axes):
        for place, text in axis.marks:
            plot.add_annotation(
                x=index,
                y=place,
                text=html.escape(text),
                showarrow=False,
                xanchor="left",
                xshift=7,
                font={"size": 11},
                opacity=0.85,
            )
    return plot


def _hover(axes: Sequence[_Axis], values: Sequence[Any]) -> str:
    return "<br>".join(
        f"{html.escape(axis.name)}: {html.escape(setting(value))}"
        for axis, value in zip(axes, values, strict=True)
    )


def _colour(shade: float) -> str:
    # The ends of the scale vanish on a dark and on a white page.
    return str(sample_colorscale(_SCALE, [0.12 + 0.76 * shade])[0])

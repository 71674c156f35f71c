"""Panels that show numbers: signed bars, histories, gauges of budgets, tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from beamwright.envs.core.canvas import Box, Canvas, Point, extent, number, text_width, widened
from beamwright.envs.core.palette import ACCENT, FAINT, GOOD, MUTED, PANEL, SERIES, TEXT, WARN, Colour, blend

__all__ = ["draw_bars", "draw_gauges", "draw_lines", "draw_table"]


def draw_bars(
    canvas: Canvas,
    box: Box,
    names: Sequence[str],
    values: Any,
    *,
    title: str = "",
    note: str = "",
    unit: str | Sequence[str] = "",
    limits: Any = None,
    tolerances: Any = None,
) -> None:
    """Draw signed values as bars from a middle line, each on its own scale.

    Parameters
    ----------
    canvas, box
        Where to draw.
    names
        One for each bar.
    values
        ``(K,)``.
    title, note
        Of the panel.
    unit
        One for all, or one for each.
    limits
        Value of a full bar, one for all or ``(K,)``; by default the largest.
    tolerances
        What is good enough: values within are green, and a band shows it; one for all or ``(K,)``.
    """
    inner = canvas.panel(box, title, note)
    values = np.asarray(values, dtype=float)
    full = np.broadcast_to(
        max(1e-12, float(np.abs(values).max())) if limits is None else limits, values.shape
    )
    good = np.broadcast_to(np.nan if tolerances is None else tolerances, values.shape)
    units = [unit] * len(names) if isinstance(unit, str) else list(unit)
    left = max(text_width(name) for name in names) + 8
    lane = Box(inner.left + left, inner.top, inner.width - left - 76, inner.height)
    for index, row in enumerate(lane.rows(*[1.0] * len(names), gap=2)):
        value, within = values[index], good[index]
        colour = ACCENT if math.isnan(within) else GOOD if abs(value) <= within else WARN
        _draw_bar(canvas, row, value / full[index], within / full[index], colour)
        middle = row.top + row.height / 2
        canvas.text((inner.left, middle), names[index])
        canvas.text((inner.right, middle), number(value, units[index]), anchor="rm")


def _draw_bar(canvas: Canvas, row: Box, share: float, good: float, colour: Colour) -> None:
    middle, half = row.left + row.width / 2, row.width / 2
    thick = min(14.0, row.height - 2)
    top = row.top + (row.height - thick) / 2
    canvas.rectangle(Box(row.left, top, row.width, thick), blend(FAINT, PANEL, 0.45), radius=2)
    if not math.isnan(good):
        reach = min(1.0, good) * half
        canvas.rectangle(Box(middle - reach, top, 2 * reach, thick), blend(GOOD, PANEL, 0.3), radius=1)
    reach = max(-1.0, min(1.0, share)) * half
    canvas.rectangle(Box(min(middle, middle + reach), top + 2, max(abs(reach), 1), thick - 4), colour)
    canvas.line([(middle, top - 1), (middle, top + thick + 1)], MUTED, width=1)


def draw_lines(
    canvas: Canvas,
    box: Box,
    series: Mapping[str, Any],
    *,
    title: str = "",
    unit: str = "",
    length: int | None = None,
    limits: tuple[float, float] | None = None,
    log: bool = False,
    good: tuple[float, float] | None = None,
    axis: str = "step",
) -> None:
    """Draw histories over the steps of an episode.

    Parameters
    ----------
    canvas, box
        Where to draw.
    series
        Values ``(N,)`` by name, NaN where there are none.
    title
        Of the panel.
    unit
        Of the values.
    length
        Number of steps that the axis has room for; by default those that there are.
    limits
        Of the values; by default theirs.
    log
        Whether equal ratios are equal distances.
    good
        A band of values that are good enough.
    axis
        What the steps are.
    """
    arrays = {name: np.asarray(values, dtype=float).reshape(-1) for name, values in series.items()}
    inner = canvas.panel(box, f"{title} [{unit}]" if unit else title)
    _draw_legend(canvas, box, list(arrays))
    low, high = widened(*limits) if limits else _spread(arrays, log)
    ticks = _ticks(low, high, log)
    labels = [number(tick) for tick in ticks]
    left = max([text_width(label, 11) for label in labels], default=0) + 8
    plot = Box(inner.left + left, inner.top + 4, inner.width - left - 6, inner.height - 22)
    steps = max(2, length or max(len(values) for values in arrays.values()))

    def height(value: float) -> float:
        share = _share(value, low, high, log)
        return plot.bottom - max(0.0, min(1.0, share)) * plot.height

    if good is not None:
        top, bottom = height(good[1]), height(good[0])
        canvas.rectangle(Box(plot.left, top, plot.width, bottom - top), blend(GOOD, PANEL, 0.22))
    for tick, label in zip(ticks, labels, strict=True):
        canvas.line([(plot.left, height(tick)), (plot.right, height(tick))], FAINT, width=0.5)
        canvas.text((plot.left - 6, height(tick)), label, size=11, colour=MUTED, anchor="rm")
    for values, colour in zip(arrays.values(), _colours(), strict=False):
        places = [
            (plot.left + index / (steps - 1) * plot.width, height(value)) if math.isfinite(value) else None
            for index, value in enumerate(values)
        ]
        _draw_course(canvas, places, colour)
    canvas.text((plot.left, inner.bottom - 4), "0", size=11, colour=MUTED)
    canvas.text((plot.left + plot.width / 2, inner.bottom - 4), axis, size=11, colour=MUTED, anchor="mm")
    canvas.text((plot.right, inner.bottom - 4), str(steps - 1), size=11, colour=MUTED, anchor="rm")


def _colours() -> list[Colour]:
    return [
        *SERIES,
        *(blend(colour, TEXT, 0.5) for colour in SERIES),
        *(blend(c, PANEL, 0.5) for c in SERIES),
    ]


def _draw_course(canvas: Canvas, places: Sequence[Point | None], colour: Colour) -> None:
    course: list[Point] = []
    for place in [*places, None]:
        if place is not None:
            course.append(place)
        else:
            canvas.line(course, colour, width=2)
            course = []
    known = [place for place in places if place is not None]
    if known:
        canvas.disc(known[-1], 3, colour)


def _draw_legend(canvas: Canvas, box: Box, names: list[str]) -> None:
    if len(names) < 2:
        return
    right = box.right - 10
    for name, colour in reversed(list(zip(names, _colours(), strict=False))):
        canvas.text((right, box.top + 14), name, colour=colour, anchor="rm")
        right -= text_width(name) + 12


def _spread(arrays: Mapping[str, np.ndarray], log: bool) -> tuple[float, float]:
    values = np.concatenate([np.zeros(0), *arrays.values()])
    if not log:
        low, high = extent(values)
        return low - 0.08 * (high - low), high + 0.08 * (high - low)
    known = values[np.isfinite(values) & (values > 0)]
    return (float(known.min()) / 1.3, float(known.max()) * 1.3) if len(known) else (0.1, 1.0)


def _share(value: float, low: float, high: float, log: bool) -> float:
    if log:
        return math.log(max(value, 1e-30) / low) / math.log(high / low)
    return (value - low) / (high - low)


def _ticks(low: float, high: float, log: bool) -> list[float]:
    """Return a few round values between two."""
    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        factors = (1, 2, 5) if high / low < 100 else (1,)
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        return [tick for tick in ticks if low <= tick <= high][:6]
    rough = (high - low) / 3
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda size: abs(size - rough))
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def draw_gauges(
    canvas: Canvas,
    box: Box,
    gauges: Mapping[str, tuple[float, float, str]],
    *,
    title: str = "",
    note: str = "",
) -> None:
    """Draw what of a budget is left.

    Parameters
    ----------
    canvas, box
        Where to draw.
    gauges
        By name: what is left, the whole, and the unit.
    title, note
        Of the panel.
    """
    inner = canvas.panel(box, title, note)
    rows = inner.rows(*[1.0] * len(gauges), gap=4)
    for (name, (left, whole, unit)), row in zip(gauges.items(), rows, strict=True):
        share = max(0.0, min(1.0, left / whole)) if whole > 0 else 0.0
        middle = row.top + row.height / 2
        canvas.text((row.left + 2, middle - 8), f"{name} left", colour=MUTED)
        canvas.text((row.right - 2, middle - 8), f"{number(left)} of {number(whole, unit)}", anchor="rm")
        canvas.rectangle(Box(row.left, middle + 2, row.width, 8), FAINT, radius=3)
        if share > 0:
            colour = GOOD if share > 0.25 else ACCENT if share > 0.1 else WARN
            canvas.rectangle(Box(row.left, middle + 2, max(4.0, share * row.width), 8), colour, radius=3)


def draw_table(
    canvas: Canvas, box: Box, rows: Mapping[str, str | tuple[str, Colour]], *, title: str = "", note: str = ""
) -> None:
    """Draw names and values.

    Parameters
    ----------
    canvas, box
        Where to draw.
    rows
        Values by name, with a colour where one matters.
    title, note
        Of the panel.
    """
    inner = canvas.panel(box, title, note)
    for (name, value), row in zip(rows.items(), inner.rows(*[1.0] * len(rows), gap=0), strict=True):
        text, colour = value if isinstance(value, tuple) else (value, TEXT)
        middle = row.top + row.height / 2
        canvas.text((inner.left + 2, middle), name, colour=MUTED)
        canvas.text((inner.right - 2, middle), text, colour=colour, anchor="rm")

"""A picture of an episode: patches, where the field has wandered, and the course of the errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from beamwright.envs.core.canvas import Box, Canvas, number
from beamwright.envs.core.charts import draw_bars, draw_gauges, draw_lines, draw_table
from beamwright.envs.core.palette import ACCENT, FAINT, GOOD, MUTED, WARN
from beamwright.envs.core.pictures import ImagePanel
from beamwright.envs.core.state import take_rows
from beamwright.envs.track_drift.types import TrackState

if TYPE_CHECKING:
    from beamwright.envs.track_drift.simulation import TrackSimulation

__all__ = ["draw"]


def draw(simulation: TrackSimulation, state: TrackState, index: int) -> np.ndarray:
    """Return a picture of one environment, ``(560, 960, 3)`` uint8.

    Parameters
    ----------
    simulation
        Of the environment.
    state
        Of the batch.
    index
        Which environment of the batch.
    """
    one = take_rows(state, slice(index, index + 1))
    canvas = Canvas(title="TrackDrift", note=_standing(simulation, one))
    upper, lower = canvas.body.rows(1.05, 1.0)
    reference, now, target = upper.columns(1.0, 1.0, 1.0)
    _draw_fields(canvas, reference, now, simulation, one)
    _draw_target(canvas, target, simulation, one)
    course, bars, budget = lower.columns(1.5, 0.9, 0.6)
    _draw_course(canvas, course, simulation, one)
    _draw_offsets(canvas, bars, simulation, one)
    _draw_budget(canvas, budget, simulation, one)
    return canvas.picture()


def _standing(simulation: TrackSimulation, one: TrackState) -> str:
    where = (
        "lost"
        if bool(one.lost)
        else f"measured {int(one.age)} steps ago"
        if int(one.age)
        else "just measured"
    )
    return f"frame {int(one.steps)} of {simulation.config.steps}   ·   {where}"


def _draw_fields(
    canvas: Canvas, reference: Box, now: Box, simulation: TrackSimulation, one: TrackState
) -> None:
    """Draw the field as it should be and as it is, the latter as measured where patches are observed."""
    pixel = simulation.config.sampling
    offsets = simulation.field.offsets(one.drift, one.steering)
    known = bool(torch.isfinite(offsets).all())
    wanted, seen = (
        (simulation.field.expected(one.specimen, at)[0] for at in (torch.zeros_like(offsets), offsets))
        if known
        else (None, None)
    )
    top = float(wanted.max()) if wanted is not None else 1.0
    centre = [(simulation.config.size - 1) / 2] * 2
    if one.patches is not None:
        patches = one.patches[0].numpy(force=True)
        ImagePanel(
            canvas,
            reference,
            patches[0],
            title="Reference patch",
            pixel_size=pixel,
            unit="e\N{SUPERSCRIPT MINUS}",
        )
        panel = ImagePanel(
            canvas,
            now,
            patches[1],
            title="Now",
            note="under focus, as measured",
            pixel_size=pixel,
            unit="e\N{SUPERSCRIPT MINUS}",
        )
    else:
        assert wanted is not None
        assert seen is not None
        ImagePanel(
            canvas,
            reference,
            wanted.numpy(force=True),
            title="Wanted",
            note="truth",
            pixel_size=pixel,
            limits=(0, top),
        )
        panel = ImagePanel(
            canvas, now, seen.numpy(force=True), title="Now", note="truth", pixel_size=pixel, limits=(0, top)
        )
    if known:
        offset = (offsets[0, :2] / pixel).tolist()
        panel.marker(centre, colour=GOOD)
        panel.arrow(centre, [centre[0] + offset[0], centre[1] + offset[1]])


def _draw_target(canvas: Canvas, box: Box, simulation: TrackSimulation, one: TrackState) -> None:
    """Draw the path of the offset about the wanted position, with rings of one and five tolerances."""
    tolerance = simulation.config.position_tolerance
    reach = 6 * tolerance
    inner = canvas.panel(box, "Position error", f"{number(reach, 'nm')} to the edge")
    half = min(inner.width, inner.height) / 2
    middle = inner.left + inner.width / 2, inner.top + inner.height / 2
    for factor, colour in ((5.0, FAINT), (1.0, GOOD)):
        canvas.disc(middle, half * factor * tolerance / reach, None, outline=colour)
    canvas.line([(middle[0] - half, middle[1]), (middle[0] + half, middle[1])], FAINT, width=0.5)
    canvas.line([(middle[0], middle[1] - half), (middle[0], middle[1] + half)], FAINT, width=0.5)
    course = one.course[0, :, :2].numpy(force=True)
    course = course[np.isfinite(course).all(1)][-40:] / reach  # (N, 2)
    places = [(middle[0] + half * float(x), middle[1] + half * float(y)) for y, x in course.clip(-1, 1)]
    canvas.line(places, ACCENT)
    if places:
        canvas.disc(places[-1], 4, ACCENT if np.abs(course[-1]).max() <= 1 else WARN)


def _draw_course(canvas: Canvas, box: Box, simulation: TrackSimulation, one: TrackState) -> None:
    upper, lower = box.rows(1.0, 1.0, gap=6)
    course = one.course[0].numpy(force=True)  # (T + 1, 3)
    config, length = simulation.config, len(course)
    asked = np.where(one.asked[0].numpy(force=True), 0.0, np.nan)
    band = config.position_tolerance, config.focus_tolerance
    draw_lines(
        canvas,
        upper,
        {"y": course[:, 0], "x": course[:, 1]},
        title="Position error",
        unit="nm",
        length=length,
        limits=(-6 * band[0], 6 * band[0]),
        good=(-band[0], band[0]),
    )
    draw_lines(
        canvas,
        lower,
        {"focus": course[:, 2], "measured": asked},
        title="Focus error",
        unit="nm",
        length=length,
        limits=(-4 * band[1], 4 * band[1]),
        good=(-band[1], band[1]),
    )


def _draw_offsets(canvas: Canvas, box: Box, simulation: TrackSimulation, one: TrackState) -> None:
    upper, lower = box.rows(1.0, 1.0, gap=6)
    tolerances = simulation.field.tolerances.numpy(force=True)
    offsets = simulation.field.offsets(one.drift, one.steering)[0].numpy(force=True)
    names = ("y", "x", "focus")
    if math.isfinite(float(offsets[0])):
        draw_bars(
            canvas,
            upper,
            names,
            offsets,
            title="Errors",
            note="truth",
            unit="nm",
            limits=6 * tolerances,
            tolerances=tolerances,
        )
    else:
        draw_table(canvas, upper, {"not known": ("of a real microscope", MUTED)}, title="Errors")
    settings = one.steering.setting[0].numpy(force=True) * tolerances
    full = np.maximum(np.abs(settings), 40 * tolerances)
    draw_bars(
        canvas, lower, names, settings, title="Corrections", note="as commanded", unit="nm", limits=full
    )


def _draw_budget(canvas: Canvas, box: Box, simulation: TrackSimulation, one: TrackState) -> None:
    steps = simulation.config.steps
    upper, lower = box.rows(1.0, 1.6, gap=6)
    draw_gauges(canvas, upper, {"frames": (steps - int(one.steps), steps, "")}, title="To come")
    rows = {
        "references": str(int(one.references)),
        "electrons": number(float(one.electrons)),
        "time": number(float(one.seconds), "s"),
    }
    draw_table(canvas, lower, rows, title="Spent")

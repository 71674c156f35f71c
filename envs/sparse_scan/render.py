"""A picture of a scan: what is hidden, what was measured, what was made of it, and how wrong that is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from beamwright.envs.core.canvas import Box, Canvas, number
from beamwright.envs.core.charts import draw_gauges, draw_lines, draw_table
from beamwright.envs.core.palette import GOOD, MUTED, TEXT, WARN
from beamwright.envs.core.pictures import ImagePanel
from beamwright.envs.core.state import take_rows
from beamwright.envs.sparse_scan.tiles import TileMoves
from beamwright.envs.sparse_scan.types import ScanState

if TYPE_CHECKING:
    from beamwright.envs.sparse_scan.simulation import ScanSimulation

__all__ = ["draw_scan"]

_ERRORS = (0.0, 0.5)
"""Limits of the two error maps, the same for both so that they can be compared."""


def draw_scan(simulation: ScanSimulation, state: ScanState, index: int) -> np.ndarray:
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
    canvas = Canvas(title="SparseScan" if one.visited is None else "SparseScanTiles", note=_standing(one))
    upper, lower = canvas.body.rows(1.06, 1.0)
    specimen, measured, made, error = upper.columns(1, 1, 1, 1)
    predicted, course, left = lower.columns(1, 2.04, 1)
    budget, facts = left.rows(0.8, 1)
    _draw_specimen(canvas, specimen, simulation, one)
    _draw_measured(canvas, measured, one)
    ImagePanel(
        canvas, made, _image(one.reconstruction), title="Reconstruction", note=_psnr(one), limits=(0, 1)
    )
    _draw_error(canvas, error, one)
    _draw_predicted(canvas, predicted, simulation, one)
    _draw_course(canvas, course, simulation, one)
    _draw_budget(canvas, budget, simulation, one)
    _draw_facts(canvas, facts, simulation, one)
    return canvas.picture()


def _standing(one: ScanState) -> str:
    visited = float(one.dose.sign().mean())
    return f"step {int(one.steps)}   ·   {visited:.2%} of the pixels measured"


def _psnr(one: ScanState) -> str:
    error = float(one.error)
    return "" if math.isnan(error) else f"{-10 * math.log10(max(error, 1e-12)):.1f} dB"


def _draw_specimen(canvas: Canvas, box: Box, simulation: ScanSimulation, one: ScanState) -> None:
    kinds = simulation.generator.kinds
    note = kinds[int(one.kind)].replace("_", " ") if kinds else "unknown"
    panel = ImagePanel(
        canvas,
        box,
        _image(one.specimen),
        title="Specimen",
        note=note,
        limits=(0, 1),
        pixel_size=float(one.pixel_size),
    )
    if one.visited is not None:
        _draw_tiles(panel, simulation, one.visited[0])
        return
    panel.path(_trail(one))
    panel.marker(one.position[0].numpy(force=True))


def _draw_tiles(panel: ImagePanel, simulation: ScanSimulation, visited: torch.Tensor) -> None:
    moves = simulation.moves
    assert isinstance(moves, TileMoves)
    height, width = moves.shape
    columns = simulation.scan_config.shape[1] // width
    for tile in torch.nonzero(visited)[:, 0].tolist():
        panel.rectangle(tile // columns * height, tile % columns * width, height, width)


def _trail(one: ScanState) -> np.ndarray:
    """Return where the beam really was, ``(N, 2)`` [px]."""
    assert one.trail is not None
    places = one.trail[0].flatten(0, 1)
    return places[places[:, 0].isfinite()].numpy(force=True)


def _draw_measured(canvas: Canvas, box: Box, one: ScanState) -> None:
    values = torch.where(one.dose > 0, one.counts / one.dose.clamp_min(1e-9), math.nan)
    note = number(float(one.budget.spent_electrons), "e\N{SUPERSCRIPT MINUS}")
    ImagePanel(canvas, box, _image(values), title="Measured", note=note, limits=(0, 1))


def _draw_error(canvas: Canvas, box: Box, one: ScanState) -> None:
    error = (one.reconstruction - one.specimen).abs()
    note = "" if bool(one.error.isnan()) else f"rms {math.sqrt(float(one.error)):.3f}"
    ImagePanel(canvas, box, _image(error), title="Error", note=note, colours="magma", limits=_ERRORS)


def _draw_predicted(canvas: Canvas, box: Box, simulation: ScanSimulation, one: ScanState) -> None:
    title = "Predicted error"
    if one.predicted is None:
        draw_table(canvas, box, {"none": ("by this reconstructor", MUTED)}, title=title)
        return
    note = f"rms {math.sqrt(float(one.predicted.mean())):.3f}"
    panel = ImagePanel(
        canvas, box, _image(one.predicted.sqrt()), title=title, note=note, colours="magma", limits=_ERRORS
    )
    best = simulation.scores(one).argmax(1)
    goal = simulation.moves.goal(one, best)[0].numpy(force=True)
    if isinstance(simulation.moves, TileMoves):
        panel.rectangle(float(goal[0]), float(goal[1]), *simulation.moves.shape, colour=GOOD)
    else:
        beam = one.position[0].numpy(force=True)
        panel.arrow(beam, goal, colour=GOOD)
        panel.marker(beam)


def _draw_course(canvas: Canvas, box: Box, simulation: ScanSimulation, one: ScanState) -> None:
    history = -10 * one.history[0].clamp_min(1e-12).log10()
    name = "PSNR" if simulation.scope is None else "PSNR as predicted"
    draw_lines(
        canvas, box, {name: history.numpy(force=True)}, title=name, unit="dB", length=_expected(simulation)
    )


def _expected(simulation: ScanSimulation) -> int:
    """Return how many entries of a history to make room for: most episodes end half-way to their limit."""
    limited = simulation.scan_config.max_steps is not None
    return simulation.steps + 1 if limited else -(-simulation.steps // 2) + 2


def _draw_budget(canvas: Canvas, box: Box, simulation: ScanSimulation, one: ScanState) -> None:
    limits = (one.budget.electrons, one.budget.seconds)
    gauges = {}
    for name, unit, left, whole in zip(
        ("Electrons", "Time"), ("e\N{SUPERSCRIPT MINUS}", "s"), one.budget.left, limits, strict=True
    ):
        if math.isfinite(float(whole)):
            rest = float(left) if float(left) > 1e-6 * float(whole) else 0.0  # and no dust of rounding
            gauges[name] = (rest, float(whole), unit)
    draw_gauges(canvas, box, gauges, title="Budget left")


def _draw_facts(canvas: Canvas, box: Box, simulation: ScanSimulation, one: ScanState) -> None:
    config = simulation.scan_config
    rows: dict[str, str | tuple[str, tuple[int, int, int]]] = {
        "points": str(int(one.points)),
        "time": number(1e3 * float(one.budget.spent_seconds), "ms"),
        "field": f"{config.shape[0]} x {config.shape[1]} px",
    }
    effects = one.effects
    if one.drift is not None:
        shift = float((one.drift.position[0] / one.pixel_size).norm())
        rows["drift"] = (number(shift, "px"), WARN if shift > 1 else TEXT)
    for name, unit in (("lag", "\N{MICRO SIGN}s"), ("readout", "counts")):
        if name in effects:
            rows[name] = number(float(effects[name]), unit)
    if one.exposed is not None:
        rows["peak dose"] = number(float(one.exposed.max()), "e\N{SUPERSCRIPT MINUS}/nm\N{SUPERSCRIPT TWO}")
    draw_table(canvas, box, rows, title="Scan")


def _image(batch: torch.Tensor) -> np.ndarray:
    array: np.ndarray = batch[0].numpy(force=True)
    return array

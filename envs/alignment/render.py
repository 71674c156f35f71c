"""A picture of an episode: exposures and wave front, aberrations and their limits, the course so far."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from beamwright.envs.alignment.pictures import draw_shots
from beamwright.envs.alignment.types import AlignState
from beamwright.envs.alignment.variants import AlignTEMConfig
from beamwright.envs.core.canvas import Box, Canvas, number
from beamwright.envs.core.charts import draw_bars, draw_gauges, draw_lines, draw_table
from beamwright.envs.core.palette import GOOD, MUTED
from beamwright.envs.core.pictures import ImagePanel
from beamwright.envs.core.state import take_rows
from beamwright.envs.microscope.aberrations import phase_basis
from beamwright.envs.microscope.criteria import magnitudes
from beamwright.envs.microscope.probe import probe_intensity
from beamwright.envs.microscope.transfer import thon_rings

if TYPE_CHECKING:
    from beamwright.envs.alignment.simulation import AlignSimulation

__all__ = ["draw"]

_FULL_BAR = 8.0  # in quarter waves
_PUPIL = 129  # [px]


def draw(simulation: AlignSimulation, state: AlignState, index: int) -> np.ndarray:
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
    title = "AlignTEM" if isinstance(simulation.config, AlignTEMConfig) else "AlignSTEM"
    canvas = Canvas(title=title, note=_standing(simulation, one))
    upper, lower = canvas.body.rows(1.0, 1.0)
    exposures, *truth = upper.columns(2.0, 1.0, 1.0)
    draw_shots(canvas, exposures, simulation.config, one.shots)
    known = bool(torch.isfinite(one.quality.residual).all())
    bars, settings, course, budget = lower.columns(1.15, 1.0, 1.2, 0.65)
    if known:
        _draw_optics(canvas, truth[0], simulation, one)
        _draw_wave_front(canvas, truth[1], simulation, one)
        _draw_aberrations(canvas, bars, simulation, one)
    else:
        for box, what in ((truth[0], "Optics"), (truth[1], "Wave front"), (bars, "Aberrations")):
            draw_table(canvas, box, {"not known": ("of a real microscope", MUTED)}, title=what)
    _draw_settings(canvas, settings, simulation, one)
    _draw_course(canvas, course, one)
    _draw_budget(canvas, budget, simulation, one)
    return canvas.picture()


def _standing(simulation: AlignSimulation, one: AlignState) -> str:
    steps = f"step {int(one.steps)} of at most {simulation.steps}"
    strehl = float(one.quality.strehl)
    if math.isnan(strehl):
        return steps
    state = (
        "ended aligned" if bool(one.success) else "aligned" if bool(one.quality.aligned) else "not aligned"
    )
    return f"{steps}   ·   Strehl {strehl:.2f}   ·   {state}"


def _draw_optics(canvas: Canvas, box: Box, simulation: AlignSimulation, one: AlignState) -> None:
    """Draw the probe or, for a TEM, the diffractogram of a perfect film, as they are now."""
    column = simulation.column
    if isinstance(simulation.config, AlignTEMConfig):
        rings = thon_rings(one.quality.residual + column.target, column.names, column.optics, column.grid)[0]
        shown = torch.fft.fftshift(rings).numpy(force=True)
        ImagePanel(canvas, box, shown, title="Thon rings", note="truth", limits=(0.0, 1.0))
        return
    probe = probe_intensity(
        one.quality.residual + column.target, column.names, column.optics, column.grid, centred=True
    )[0]
    shown = (probe / probe.max()).numpy(force=True)
    ImagePanel(
        canvas,
        box,
        shown,
        title="Probe",
        note="truth",
        colours="inferno",
        limits=(0.0, 1.0),
        pixel_size=column.grid.sampling,
    )


def _draw_wave_front(canvas: Canvas, box: Box, simulation: AlignSimulation, one: AlignState) -> None:
    column = simulation.column
    axis = torch.linspace(-1, 1, _PUPIL, dtype=torch.float64) * column.optics.aperture
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    alpha = torch.hypot(y, x)
    basis = phase_basis(column.names, (alpha, torch.atan2(y, x)), column.optics.voltage)  # (N, P, P)
    phase = torch.einsum("n,nyx->yx", one.quality.residual[0].cpu(), basis)
    wrapped = torch.remainder(phase - phase[_PUPIL // 2, _PUPIL // 2] + math.pi, 2 * math.pi) - math.pi
    shown = torch.where(alpha <= column.optics.aperture, wrapped, torch.nan).numpy()
    limits = (-math.pi, math.pi)
    ImagePanel(
        canvas, box, shown, title="Wave front", note="truth", colours="twilight", limits=limits, unit="rad"
    )


def _draw_aberrations(canvas: Canvas, box: Box, simulation: AlignSimulation, one: AlignState) -> None:
    column = simulation.column
    values = column.of_judged(one.quality.residual)  # (1, J)
    limits = column.limits.numpy(force=True)
    within = int((magnitudes(values, column.judged)[0] <= column.limits).sum())
    draw_bars(
        canvas,
        box,
        column.judged,
        values[0].numpy(force=True),
        title="Aberrations",
        note=f"truth; {within} of {len(limits)} within λ/4",
        unit="nm",
        limits=_FULL_BAR * limits,
        tolerances=limits,
    )


def _draw_settings(canvas: Canvas, box: Box, simulation: AlignSimulation, one: AlignState) -> None:
    setting = one.bench.corrector.setting[0].numpy(force=True)
    draw_bars(
        canvas,
        box,
        simulation.config.knobs,
        setting,
        title="Settings",
        note="as commanded",
        unit="rad",
        limits=max(20.0, float(np.abs(setting).max())),
    )


def _draw_course(canvas: Canvas, box: Box, one: AlignState) -> None:
    upper, lower = box.rows(1.0, 1.0, gap=6)
    length = one.errors.shape[1]
    errors, strehls = one.errors[0].numpy(force=True), one.strehls[0].numpy(force=True)
    draw_lines(
        canvas,
        upper,
        {"error": errors},
        title="Phase error",
        unit="rad",
        length=length,
        limits=(0.05, 20.0),
        log=True,
        good=(0.05, math.sqrt(-math.log(0.8))),  # where Marechal's Strehl ratio is 0.8
    )
    draw_lines(
        canvas,
        lower,
        {"Strehl": strehls},
        title="Strehl ratio",
        length=length,
        limits=(0.0, 1.0),
        good=(0.8, 1.0),
    )


def _draw_budget(canvas: Canvas, box: Box, simulation: AlignSimulation, one: AlignState) -> None:
    total = simulation.config.exposures
    upper, lower = box.rows(1.0, 2.0, gap=6)
    draw_gauges(canvas, upper, {"exposures": (total - int(one.exposures), total, "")}, title="Budget")
    rows = {
        "electrons": number(float(one.electrons)),
        "time": number(float(one.seconds), "s"),
        "aligned for": f"{int(one.held)} steps",
    }
    layout = simulation.layout
    units = {"C10": "rad", "dwell": "log\N{SUBSCRIPT TWO}", "tilt_y": "mrad", "tilt_x": "mrad"}
    rows |= {
        f"chosen {name}": number(value, units[name])
        for name, value in zip(layout.choices, one.choice[0].tolist(), strict=True)
    }
    table = {
        name: (value, GOOD) if name == "aligned for" and int(one.held) else value
        for name, value in rows.items()
    }
    draw_table(canvas, lower, table, title="Spent")

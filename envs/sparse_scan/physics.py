"""What an action does: the beam follows a path and counts, the specimen suffers, the budget shrinks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from beamwright.envs.core import Streams
from beamwright.envs.instrument.protocol import ELECTRONS_PER_PA_US, Microscope
from beamwright.envs.microscope.batching import expand
from beamwright.envs.microscope.damage import contamination, deposit, fade
from beamwright.envs.microscope.detector import Detector, expose, expose_scan, read_out
from beamwright.envs.microscope.drift import Drift, follow_drift
from beamwright.envs.microscope.points import pixel_index, sample, to_lengths, to_pixels
from beamwright.envs.microscope.scanning import ScanEngine, Trace, trace
from beamwright.envs.sparse_scan.config import ScanConfig
from beamwright.envs.sparse_scan.hidden import knock_out
from beamwright.envs.sparse_scan.types import Atoms, Plan, ScanState

__all__ = ["Scan", "affordable", "electrons_per_point", "fly"]

_MICROSECOND = 1e-6  # [s]


@dataclass(frozen=True)
class Scan:
    """A path that was flown."""

    state: ScanState
    """Afterwards; the reconstruction is still the old one."""
    places: Tensor
    """Where the beam really was on the specimen, ``(B, N, 2)`` [px]."""
    measured: Tensor
    """Which points the budget allowed, ``(B, N)`` bool."""


def fly(state: ScanState, plan: Plan, config: ScanConfig, streams: Streams, scope: Microscope | None) -> Scan:
    """Fly a path and count, as far as the budget allows.

    Parameters
    ----------
    state
        Left as it is.
    plan
        The path.
    config
        Beam, effects and field.
    streams
        For noise, jitter and drift.
    scope
        A microscope to fly instead of the simulated one; then the batch is one.
    """
    measured = affordable(state, plan, config)  # (B, N)
    dwell = plan.dwell * measured  # (B, N) [us]; no time passes where nothing is measured
    electrons = electrons_per_point(config, plan.dwell)  # (B, 1) float64 [e-]
    flown, places, drift = _move(state, plan, dwell, config, streams)
    seconds, each = flown.seconds.double(), electrons.float()
    if scope is None:
        signal, glow = _count(state, places, each, dwell, config, streams)
    else:
        signal, glow = _ask(scope, state, plan, measured, each), None
        seconds = seconds + scope.dead_time * measured[:, 0]
    counts, dose = _gather(state, plan, signal, each * measured)
    spent = measured.sum(1)  # (B,)
    after = replace(
        state,
        counts=counts,
        dose=dose,
        exposed=_expose_specimen(state, places, each * measured),
        atoms=_atoms_left(state, places, each * measured, streams),
        beam=flown.beam,
        drift=drift,
        glow=glow,
        budget=state.budget.spend(spent * electrons[:, 0], seconds),
        points=state.points + spent,
        position=plan.position,
        heading=torch.where(plan.stop, state.heading, plan.heading),
    )
    return Scan(after, places, measured)


def electrons_per_point(config: ScanConfig, dwell: Tensor | float) -> Tensor:
    """Return the electrons of one dwell [us], float64, so that long sums hold."""
    return torch.as_tensor(dwell, dtype=torch.float64) * (config.current * ELECTRONS_PER_PA_US)


def affordable(state: ScanState, plan: Plan, config: ScanConfig) -> Tensor:
    """Return which points of a plan the budget allows, always the first ones, ``(B, N)`` bool.

    A point is allowed if the budget lasts to the middle of it: nothing is lost to rounding.
    """
    electrons, seconds = state.budget.left  # (B,) float64
    each = electrons_per_point(config, plan.dwell)  # (B, 1)
    index = torch.arange(plan.path.shape[1], device=each.device) + 0.5  # (N,)
    time = plan.dwell.double() * index  # (B, N) [us]
    if plan.lines is not None and "flyback" in state.effects:
        time = time + state.effects["flyback"].double()[:, None] * (plan.lines + 1)
    return plan.wanted & (each * index <= electrons[:, None]) & (time * _MICROSECOND <= seconds[:, None])


def _move(
    state: ScanState, plan: Plan, dwell: Tensor, config: ScanConfig, streams: Streams
) -> tuple[Trace, Tensor, Drift | None]:
    """Return what the beam did, where on the specimen that was ``(B, N, 2)`` [px], and the drift."""
    path = to_lengths(plan.path, state.pixel_size)
    engine = _engine(state, dwell[:, 0] > 0, config)
    flown = trace(path, dwell, engine, state.beam, streams, lines=plan.lines)
    if state.drift is None:
        return flown, to_pixels(flown.points, state.pixel_size), None
    shift, drift = follow_drift(state.drift, flown.times, flown.seconds, streams, every=_every(plan))
    return flown, to_pixels(flown.points - shift, state.pixel_size), drift


def _engine(state: ScanState, moving: Tensor, config: ScanConfig) -> ScanEngine:
    """Return the faults of the day; a beam that does not move loses no time by flyback either."""
    names = ("lag", "flyback", "line_jitter", "hum", "hum_angle", "hum_phase")
    drawn = {name: state.effects[name] for name in names if name in state.effects}
    if "flyback" in drawn:
        drawn["flyback"] = drawn["flyback"] * moving
    return ScanEngine(**drawn, hum_frequency=config.effects.hum_frequency)


def _count(
    state: ScanState, places: Tensor, electrons: Tensor, dwell: Tensor, config: ScanConfig, streams: Streams
) -> tuple[Tensor, Tensor | None]:
    """Return the signal at each point as the detector's counts tell it, ``(B, N)``, and its late light."""
    signal = sample(state.specimen if state.atoms is None else state.atoms.signal, places)
    if state.exposed is not None:
        signal = _suffer(signal, sample(state.exposed, places), state, config)
    effects, drawn, efficiency = config.effects, state.effects, _efficiency(state)
    rate = electrons * signal * efficiency  # (B, N) [e-]
    detector = Detector(
        gain=drawn.get("gain", 1.0),
        readout=drawn.get("readout", 0.0),
        afterglow=drawn.get("afterglow", 0.0),
        afterglow_time=effects.afterglow_time,
    )
    glow = None
    if not effects.poisson:
        counts = read_out(rate, detector, streams)
    elif state.glow is None:
        counts = expose(rate, detector, streams)
    else:
        counts, glow = expose_scan(rate, detector, streams, dwell=dwell, glow=state.glow)
    return counts / (electrons * efficiency * expand(detector.gain, 1)), glow


def _efficiency(state: ScanState) -> Tensor | float:
    """Return the share of the electrons that the brightest place sends to the detector, ``(B, 1)``."""
    return state.effects["efficiency"][:, None] if "efficiency" in state.effects else 1.0


def _suffer(signal: Tensor, dose: Tensor, state: ScanState, config: ScanConfig) -> Tensor:
    """Return the signal of a specimen that has lost mass and gained carbon."""
    effects = config.effects
    if "damage_dose" in state.effects:
        signal = fade(signal, dose, state.effects["damage_dose"], residue=effects.damage_residue)
    if "contamination" in state.effects:
        carbon = state.effects["contamination"]
        signal = signal + contamination(dose, thickest=carbon, saturation=effects.contamination_dose)
    return signal


def _ask(scope: Microscope, state: ScanState, plan: Plan, measured: Tensor, electrons: Tensor) -> Tensor:
    """Return the signal that a microscope measures, ``(1, N)``, as far as anything is to be measured."""
    signal = torch.zeros_like(plan.path[..., 0])
    count = int(measured.sum())
    if count:
        path = to_lengths(plan.path, state.pixel_size)[0, :count].double()
        counts = torch.as_tensor(scope.scan(path.numpy(force=True), float(plan.dwell)), dtype=signal.dtype)
        signal[0, :count] = counts / float(electrons * _efficiency(state))
    return signal


def _gather(state: ScanState, plan: Plan, signal: Tensor, spent: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps with what was measured, put where the beam was meant to be, each ``(B, H, W)``."""
    index, _ = pixel_index(plan.path, (state.dose.shape[1], state.dose.shape[2]))  # (B, N)
    counts = state.counts.flatten(1).scatter_add(1, index, signal * spent)
    dose = state.dose.flatten(1).scatter_add(1, index, spent)
    return counts.view_as(state.counts), dose.view_as(state.dose)


def _expose_specimen(state: ScanState, places: Tensor, spent: Tensor) -> Tensor | None:
    """Return the dose that the specimen had, ``(B, H, W)`` [e-/nm^2], where anybody asks."""
    if state.exposed is None:
        return None
    return deposit(state.exposed, spent, places, pixel_size=state.pixel_size)


def _atoms_left(state: ScanState, places: Tensor, spent: Tensor, streams: Streams) -> Atoms | None:
    """Return the atoms that survived, where any may leave."""
    if state.atoms is None:
        return None
    return knock_out(state.atoms, places, spent, state.effects["knock_on_dose"], streams)


def _every(plan: Plan) -> int:
    """Return the points per step of the random walk: a line or a segment."""
    return plan.path.shape[1] if plan.lines is None else int((plan.lines == 0).sum())

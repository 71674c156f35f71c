"""The scan engine: where the beam really is while it follows a path.

Points are (y, x), ``(B, N, 2)``. In [px], whole numbers are the centres of pixels; in [nm], the origin is the
upper left corner of the field, so that the centre of the first pixel is half a pixel inside. Times are [s]
except dwell times, pauses and time constants of the deflector [us].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.batching import Value, check_range, expand, is_off
from beamwright.envs.microscope.relaxation import decay, mean_decay, recurrence

__all__ = [
    "Beam",
    "ScanEngine",
    "Trace",
    "deflect",
    "hum",
    "jitter_lines",
    "trace",
]

_SECONDS = 1e-6  # in a microsecond


@dataclass(frozen=True)
class ScanEngine:
    """How a scan engine departs from what it is told; each number may be one per environment, ``(B,)``.

    Parameters
    ----------
    lag
        Time constant with which the deflectors follow [us].
    flyback
        Pause before the first point of each line [us], beam blanked.
    line_jitter
        Standard deviation of the offset of each line along its direction [nm]: uncertain starts of lines.
    hum
        Amplitude of the deflection by the mains [nm].
    hum_frequency
        Frequency of the mains [Hz].
    hum_angle
        Direction of the hum, from x towards y [rad].
    hum_phase
        Phase of the mains at time zero [rad].

    Raises
    ------
    MicroscopeError
        If a number is negative, or the frequency is zero.
    """

    lag: Value = 0.0
    flyback: Value = 0.0
    line_jitter: Value = 0.0
    hum: Value = 0.0
    hum_frequency: Value = 50.0
    hum_angle: Value = 0.0
    hum_phase: Value = 0.0

    def __post_init__(self) -> None:
        check_range(self.lag, "lag of the deflectors", "us", cure="0 switches it off")
        check_range(self.flyback, "flyback pause", "us", cure="0 switches it off")
        check_range(self.line_jitter, "line jitter", "nm", cure="0 switches it off")
        check_range(self.hum, "amplitude of the hum", "nm", cure="0 switches it off")
        check_range(
            self.hum_frequency, "frequency of the hum", "Hz", above=True, cure="mains have 50 or 60 Hz"
        )


@dataclass(frozen=True)
class Beam:
    """Where the beam is, and when.

    Parameters
    ----------
    position
        ``(B, 2)`` [nm], as the deflectors have it: without jitter and hum.
    time
        Clock of the scan engine, ``(B,)`` float64 [s].
    """

    position: Tensor
    time: Tensor

    @classmethod
    def at(cls, position: Tensor) -> Beam:
        """Return beams at rest at a position ``(B, 2)`` [nm], their clocks at zero."""
        return cls(position, torch.zeros(len(position), dtype=torch.float64, device=position.device))


@dataclass(frozen=True)
class Trace:
    """What the beam did along a path.

    Parameters
    ----------
    points
        Mean position during each dwell, ``(B, N, 2)`` [nm].
    times
        Middle of each dwell since the path began, ``(B or 1, N)`` [s].
    seconds
        How long the path took, pauses included, ``(B,)`` [s].
    beam
        Where and when it ended.
    """

    points: Tensor
    times: Tensor
    seconds: Tensor
    beam: Beam


def trace(
    path: Tensor,
    dwell: Value,
    engine: ScanEngine,
    beam: Beam,
    streams: Streams,
    *,
    lines: Tensor | None = None,
) -> Trace:
    """Follow a path with the faults of a scan engine.

    Parameters
    ----------
    path
        Points as commanded, ``(B or 1, N, 2)`` [nm].
    dwell
        Time at each point [us]: a number, ``(B,)``, or ``(B or 1, N)``.
    engine
        Its faults.
    beam
        Where the beam comes from.
    streams
        For the jitter.
    lines
        Number of the line to which each point belongs, ``(N,)``, counted from 0 upwards. The engine pauses
        before each line. By default the path is a single line that is joined to what came before, without a
        pause.
    """
    dwell = _per_point(dwell, path)
    pause = None if lines is None else _pauses(lines, engine.flyback)  # (B or 1, N)
    points, end = deflect(path, dwell, engine.lag, start=beam.position, pause=pause)
    passed = torch.cumsum(dwell if pause is None else dwell + pause, 1) * _SECONDS  # (B or 1, N)
    times = passed - dwell * (_SECONDS / 2)
    if not is_off(engine.line_jitter):
        points = points + jitter_lines(path, engine.line_jitter, streams, lines=lines)
    if not is_off(engine.hum):
        points = points + hum(times, engine, since=beam.time, dwell=dwell)
    count = len(beam.position)
    seconds = passed[:, -1].expand(count)
    return Trace(points.expand(count, -1, -1), times, seconds, Beam(end, beam.time + seconds))


def deflect(
    path: Tensor,
    dwell: Value,
    lag: Value,
    *,
    start: Tensor | None = None,
    pause: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Low-pass a path as deflectors of first order do: ``dp/dt = (command - p) / lag``.

    The command jumps at the beginning of each dwell (of the pause before it, where there is one) and stays.

    Parameters
    ----------
    path
        Points as commanded, ``(B or 1, N, 2)`` [nm] or [px].
    dwell
        Time at each point [us]: a number, ``(B,)``, or ``(B or 1, N)``.
    lag
        Time constant [us].
    start
        Where the beam comes from, ``(B, 2)``; by default it rests at the first point.
    pause
        Time between the command and the beginning of each dwell [us], broadcastable to ``(B, N)``.

    Returns
    -------
    points
        Mean position during each dwell, ``(B, N, 2)``.
    end
        Position at the end, ``(B, 2)``.
    """
    start = path[:, 0] if start is None else start
    if is_off(lag):
        return path, path[:, -1].expand_as(start)
    lag = expand(lag, 1)
    dwell = _per_point(dwell, path)
    waited = torch.zeros_like(dwell) if pause is None else pause
    keep = decay(dwell + waited, lag)[..., None]  # (B or 1, N, 1) of a distance, from command to command
    distance = (start - path[:, 0])[:, None]  # (B, 1, 2) from the first command
    jumps = path[:, :-1] - path[:, 1:]  # (B or 1, N - 1, 2)
    behind = recurrence(keep, keep * torch.nn.functional.pad(jumps, (0, 0, 1, 0)))  # at the end of each dwell
    behind = behind + distance * decay((dwell + waited).cumsum(1), lag)[..., None]  # (B, N, 2)
    before = torch.cat((distance, behind[:, :-1] + jumps), 1)  # when the command has just jumped
    mean = mean_decay(dwell, lag) * decay(waited, lag)  # (B or 1, N)
    return path + before * mean[..., None], path[:, -1] + behind[:, -1]


def hum(times: Tensor, engine: ScanEngine, *, since: Tensor | float = 0.0, dwell: Value = 0.0) -> Tensor:
    """Return the deflection by the mains, ``(B, N, 2)`` [nm], averaged over each dwell.

    Parameters
    ----------
    times
        Middle of each dwell, ``(B or 1, N)`` [s].
    engine
        Amplitude, frequency, direction and phase.
    since
        Clock of the engine at time zero, ``(B,)`` in float64, which keeps the phase for hours [s].
    dwell
        Time over which it is averaged [us]: a number, ``(B,)``, or ``(B or 1, N)``.
    """
    frequency = expand(engine.hum_frequency, 1)
    begun = torch.as_tensor(since, device=times.device)[..., None]
    turns = torch.remainder(begun * frequency, 1.0).float()  # (B, 1)
    phase = 2 * math.pi * (turns + times * frequency) + expand(engine.hum_phase, 1)  # (B, N)
    mean = torch.sinc(torch.as_tensor(_per_environment(dwell) * frequency * _SECONDS, device=times.device))
    swing = expand(engine.hum, 1) * mean * phase.sin()
    angle = torch.as_tensor(expand(engine.hum_angle, 1), device=times.device)
    return torch.stack((swing * angle.sin(), swing * angle.cos()), -1)


def jitter_lines(path: Tensor, sigma: Value, streams: Streams, *, lines: Tensor | None = None) -> Tensor:
    """Return offsets of whole lines along their directions, ``(B, N, 2)`` [nm]; lines of one point have none.

    Parameters
    ----------
    path
        ``(B, N, 2)`` [nm].
    sigma
        Standard deviation [nm].
    streams
        One normal number per line is taken.
    lines
        Number of the line of each point, ``(N,)``; by default all are of one.
    """
    if lines is None:
        lines = torch.zeros(path.shape[1], dtype=torch.int64, device=path.device)
    sizes = torch.bincount(lines)  # (L,)
    last = sizes.cumsum(0) - 1
    along = torch.nn.functional.normalize(path[:, last] - path[:, last - sizes + 1], dim=-1)  # (B, L, 2)
    offsets = expand(sigma, 2) * streams.normal(len(sizes), 1) * along
    return offsets[:, lines]


def _pauses(lines: Tensor, flyback: Value) -> Tensor:
    """Return the pause before each point, ``(B or 1, N)`` [us]."""
    first = torch.diff(lines, prepend=lines[:1] - 1) != 0
    return torch.as_tensor(expand(flyback, 1), device=lines.device) * first.float()[None]


def _per_point(dwell: Value, path: Tensor) -> Tensor:
    """Return dwell times as ``(B or 1, N)``."""
    times = torch.as_tensor(_per_environment(dwell), dtype=path.dtype, device=path.device)
    return times.broadcast_to(torch.broadcast_shapes(times.shape, (1, path.shape[1])))


def _per_environment(dwell: Value) -> Value:
    """Return times ``(B,)`` as ``(B, 1)``, others as they are."""
    return expand(dwell, 1) if isinstance(dwell, Tensor) and dwell.ndim == 1 else dwell

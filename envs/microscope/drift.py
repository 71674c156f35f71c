"""Drift of the specimen on the scan's own clock: a steady part that may die away, and a random walk.

Displacements are those of the specimen: a beam at ``p`` sees what was at ``p - displacement``. Nothing here
knows of positions: K quantities drift, two for a specimen, one for a focus.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.batching import Value, check_range, expand
from beamwright.envs.microscope.relaxation import decay, mean_decay

__all__ = ["Drift", "draw_drift", "drift_path", "follow_drift", "wait"]


@dataclass(frozen=True)
class Drift:
    """State and parameters of a drift.

    Parameters
    ----------
    position
        Displacement now, ``(B, K)`` [nm].
    velocity
        Of the steady part, ``(B, K)`` [nm/s].
    diffusion
        Of the random walk, ``(B,)`` or ``(B, K)`` [nm^2/s]: its variance grows by twice this per second and
        axis.
    settling
        Time constant with which the velocity dies away, as after a movement of the stage, ``(B,)`` [s];
        None for a drift that stays.
    """

    position: Tensor
    velocity: Tensor
    diffusion: Tensor
    settling: Tensor | None = None


def draw_drift(
    streams: Streams,
    *,
    speed: Value,
    diffusion: Value,
    settling: Value | None = None,
) -> Drift:
    """Return drifts of the specimen in random directions, beginning at zero displacement.

    Parameters
    ----------
    streams
        One number is taken, for the direction.
    speed
        Of the steady part [nm/s].
    diffusion
        Of the random walk [nm^2/s].
    settling
        Time constant of the steady part [s]; None for one that stays.

    Raises
    ------
    MicroscopeError
        If a number is negative, or the time constant is zero.
    """
    check_range(speed, "speed of a drift", "nm/s", cure="0 switches it off")
    check_range(diffusion, "diffusion of a drift", "nm^2/s", cure="0 switches it off")
    if settling is not None:
        check_range(
            settling, "settling time of a drift", "s", above=True, cure="leave it out for a drift that stays"
        )
    angle = streams.uniform(1, high=2 * math.pi)  # (B, 1)
    direction = torch.cat((angle.sin(), angle.cos()), 1)  # (B, 2)
    zeros = angle[:, 0] * 0.0
    lasting = None if settling is None else zeros + settling
    return Drift(torch.zeros_like(direction), expand(speed, 1) * direction, zeros + diffusion, lasting)


def drift_path(
    times: Tensor,
    velocity: Tensor,
    diffusion: Value,
    streams: Streams,
    *,
    start: Tensor | None = None,
    settling: Value | None = None,
    every: int = 1,
) -> Tensor:
    """Return displacements at given times, ``(B, N, K)`` [nm].

    Parameters
    ----------
    times
        Since the start, ascending, ``(B or 1, N)`` [s].
    velocity
        ``(B, K)`` [nm/s].
    diffusion
        ``(B,)``, ``(B, K)`` or a number [nm^2/s].
    streams
        ``ceil(N / every)`` normal numbers are taken for each of the K quantities.
    start
        Displacement at time zero, ``(B, K)``; zero by default.
    settling
        Time constant with which the velocity dies away [s]; None if it stays.
    every
        Points per step of the random walk, which is straight in between: 1 is exact, the length of a line is
        cheap and cannot be told from it where a line is short.
    """
    lasting = times if settling is None else times * mean_decay(times, expand(settling, 1))  # (B or 1, N)
    steady = velocity[:, None] * lasting[..., None]  # (B, N, K)
    path = steady + _random_walk(times, _per_quantity(diffusion, velocity), streams, every=every)
    return path if start is None else path + start[:, None]


def follow_drift(
    drift: Drift, times: Tensor, seconds: Tensor, streams: Streams, *, every: int = 1
) -> tuple[Tensor, Drift]:
    """Return the displacements along a path, and the drift at its end.

    Parameters
    ----------
    drift
        At the beginning.
    times, seconds
        Of a `beamwright.envs.microscope.scanning.Trace`: ``(B or 1, N)`` and ``(B,)`` [s].
    streams
        For the random walk.
    every
        As in `drift_path`.

    Returns
    -------
    displacements
        ``(B, N, K)`` [nm].
    drift
        After `seconds`.
    """
    path = drift_path(
        times,
        drift.velocity,
        drift.diffusion,
        streams,
        start=drift.position,
        settling=drift.settling,
        every=every,
    )
    last = replace(drift, position=path[:, -1], velocity=_slowed(drift, times[:, -1]))
    return path, wait(last, (seconds - times[:, -1]).clamp_min(0), streams)


def wait(drift: Drift, seconds: Tensor, streams: Streams) -> Drift:
    """Return the drift after a time ``(B,)`` [s], exactly and in one step; K normal numbers are taken."""
    lasting = seconds if drift.settling is None else seconds * mean_decay(seconds, drift.settling)
    walked = (2 * _per_quantity(drift.diffusion, drift.velocity) * seconds[:, None]).sqrt()  # (B, K)
    moved = drift.velocity * lasting[:, None] + walked * streams.normal(drift.velocity.shape[1])
    return replace(drift, position=drift.position + moved, velocity=_slowed(drift, seconds))


def _slowed(drift: Drift, seconds: Tensor) -> Tensor:
    """Return the velocity after a time ``(B or 1,)`` [s]."""
    if drift.settling is None:
        return drift.velocity
    return drift.velocity * decay(seconds, drift.settling)[:, None]


def _random_walk(times: Tensor, diffusion: Tensor, streams: Streams, *, every: int) -> Tensor:
    """Return Brownian paths ``(B, N, K)``, straight between steps."""
    count = times.shape[1]
    ends = times[:, _last_of_steps(count, every)]  # (B, M)
    lengths = torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1])).clamp_min(0)  # (B, M)
    scale = (2 * diffusion[:, None] * lengths[..., None]).sqrt()  # (B, M, K)
    steps = scale * streams.normal(*scale.shape[1:])
    walk = steps.cumsum(1)
    if every == 1:
        return walk
    knots = torch.arange(count, device=times.device) // every  # (N,) in which step each point lies
    ahead = (ends[:, knots] - times) / lengths[:, knots].clamp_min(1e-30)  # (B, N) share of the step to come
    return walk[:, knots] - ahead[..., None] * steps[:, knots]


def _last_of_steps(count: int, every: int) -> list[int]:
    return [min(first + every, count) - 1 for first in range(0, count, every)]


def _per_quantity(diffusion: Value, velocity: Tensor) -> Tensor:
    """Return the diffusion as ``(B, K)``."""
    tensor = torch.as_tensor(diffusion, dtype=velocity.dtype, device=velocity.device)
    return (tensor[:, None] if tensor.ndim == 1 else tensor).expand(velocity.shape)

"""A Kalman filter that follows the drift, and takes a reference exposure when it pays."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from beamwright.agents.baselines.track_base import Reading, TrackBaseline
from beamwright.envs.core.config import Range
from beamwright.envs.microscope.relaxation import decay, mean_decay
from beamwright.envs.track_drift import TrackDriftConfig, TrackState

__all__ = ["KalmanTracker", "Motion", "Track", "observe", "predict"]


@dataclass(frozen=True)
class Motion:
    """How offsets move, as far as the configuration tells: a velocity that dies away, and a random walk.

    Parameters
    ----------
    diffusion
        Of the random walks along y, along x and of the focus, ``(3,)`` [nm^2/s].
    speed
        Standard deviations of the velocities at the start, ``(3,)`` [nm/s].
    settling
        Time constant with which velocities die away [s].
    unrest
        Growth of the variance of the velocities, ``(3,)`` [nm^2/s^3]: its time constant is a guess.
    steering
        Standard deviation of the effect of a correction along one axis on another one, ``(3, 3)`` [nm/nm].
    """

    diffusion: Tensor
    speed: Tensor
    settling: float
    unrest: Tensor
    steering: Tensor

    @classmethod
    def of(cls, config: TrackDriftConfig, device: torch.device, *, unrest: float) -> Motion:
        """Return the motion that a configuration describes; `unrest` is in shares of the speed."""
        position, focus = (_mean_square(varied) ** 0.5 for varied in (config.speed, config.focus_speed))
        speed = torch.tensor([position / math.sqrt(2)] * 2 + [focus], device=device).clamp_min(1e-6)
        walks = [_mean(config.diffusion)] * 2 + [_mean(config.focus_diffusion)]
        settling = _geometric_mean(config.settling)
        return cls(
            torch.tensor(walks, device=device),
            speed,
            settling,
            unrest * speed**2 / settling,
            _steering(config, device),
        )


@dataclass(frozen=True)
class Track:
    """What is believed: offset and velocity along each of three axes.

    Parameters
    ----------
    offset, velocity
        Means ``(B, 3)`` [nm], [nm/s].
    oo, ov, vv
        Covariances of them, ``(B, 3)``.
    """

    offset: Tensor
    velocity: Tensor
    oo: Tensor
    ov: Tensor
    vv: Tensor

    @classmethod
    def begin(cls, count: int, motion: Motion) -> Track:
        """Return what is known when an acquisition begins: in place, with some velocity."""
        zero = torch.zeros(count, 3, device=motion.speed.device)
        return cls(zero, zero, zero, zero, zero + motion.speed.square())


def predict(track: Track, seconds: Tensor | float, motion: Motion) -> Track:
    """Return what is believed some time ``(B,)`` later [s]."""
    seconds = torch.as_tensor(seconds, device=track.offset.device).reshape(-1, 1)  # (B or 1, 1)
    keep, reach = decay(seconds, motion.settling), seconds * mean_decay(seconds, motion.settling)
    walked = 2 * motion.diffusion * seconds
    shaken = motion.unrest * seconds
    return Track(
        offset=track.offset + reach * track.velocity,
        velocity=keep * track.velocity,
        oo=track.oo
        + 2 * reach * track.ov
        + reach.square() * track.vv
        + walked
        + shaken * seconds.square() / 3,
        ov=keep * (track.ov + reach * track.vv) + shaken * seconds / 2,
        vv=keep.square() * track.vv + shaken,
    )


def observe(track: Track, reading: Reading) -> Track:
    """Return what is believed after a measurement.

    References
    ----------
    R. E. Kalman, Journal of Basic Engineering 82 (1960) 35-45.
    """
    total = track.oo + reading.variance
    gain_o, gain_v = track.oo / total, track.ov / total
    surprise = reading.offsets - track.offset
    return Track(
        offset=track.offset + gain_o * surprise,
        velocity=track.velocity + gain_v * surprise,
        oo=(1 - gain_o) * track.oo,
        ov=(1 - gain_o) * track.ov,
        vv=track.vv - gain_v * track.ov,
    )


def steer(track: Track, correction: Tensor, motion: Motion) -> Track:
    """Return what is believed after a correction ``(B, 3)`` [nm], which is followed only roughly."""
    unsure = correction.square() @ motion.steering.square().T
    return replace(track, offset=track.offset + correction, oo=track.oo + unsure)


class KalmanTracker(TrackBaseline):
    """Follows offset and velocity of each axis, and corrects so that the middle of a frame is in place.

    Noise and diffusion are those of the configuration. A reference exposure is asked for when the next frame
    is expected to be worse than the frames since the last one were on average, the price of a reference
    included: of all constant intervals that is the cheapest.

    Parameters
    ----------
    unrest
        How fast velocities change, as a share of their own variance in one settling time.
    eager
        Factor on the expected error of the next frame: above one for more references.
    """

    def __init__(self, *, unrest: float = 0.1, eager: float = 1.0) -> None:
        self.unrest, self.eager = unrest, eager

    def reset(self, env: Any) -> None:
        """Begin with an environment that was just reset."""
        super().reset(env)
        self._motion = Motion.of(self.config, self.simulation.device, unrest=self.unrest)
        count = len(self.env.state.steps)
        self._track = Track.begin(count, self._motion)
        self._spent = torch.zeros(count, device=self.simulation.device)

    def choose(self, state: TrackState) -> Tensor:
        """Take in what was measured, correct, and decide whether to measure."""
        config, motion = self.config, self._motion
        track = self._with(state)
        frame = config.dead_time + config.frame_time
        middle = config.dead_time + config.frame_time / 2
        limits = self.simulation.field.limits
        correction = (-predict(track, middle, motion).offset).clamp(-limits, limits)
        track = steer(track, correction, motion)
        after = predict(track, frame, motion)
        asks = self._pays(state, predict(track, middle, motion), predict(after, middle, motion))
        asked = asks if config.ask else torch.ones_like(asks)
        self._track = predict(after, torch.where(asked, config.reference_time, 0.0), motion)
        return self.actions(correction, asks)

    def _with(self, state: TrackState) -> Track:
        """Return what is believed after what was measured since."""
        new, fresh = (state.steps == 0)[:, None], (state.age == 0)[:, None]
        start = Track.begin(len(state.steps), self._motion)
        before = _where(new, start, self._track)
        return _where(fresh, observe(before, self.reading(state)), before)

    def _pays(self, state: TrackState, now: Track, then: Track) -> Tensor:
        """Tell whether a reference after this frame pays, ``(B,)``."""
        this, following = (self._error(track) for track in (now, then))  # (B,)
        spent = torch.where(state.age == 0, self.config.cost, self._spent) + this
        self._spent = spent
        enough = state.steps + 1 < self.config.steps
        return (self.eager * following >= spent / (state.age + 1)) & enough

    def _error(self, track: Track) -> Tensor:
        """Return the error that a frame is expected to have by what is not known, ``(B,)``."""
        return (track.oo / self.simulation.field.tolerances.square()).sum(1)


def _where(mask: Tensor, new: Track, old: Track) -> Track:
    return Track(
        *(torch.where(mask, a, b) for a, b in zip(vars(new).values(), vars(old).values(), strict=True))
    )


def _steering(config: TrackDriftConfig, device: torch.device) -> Tensor:
    """Return how unsure the effect of a correction is, ``(3, 3)`` [nm/nm]."""
    response = config.steering
    tolerances = torch.tensor([config.position_tolerance] * 2 + [config.focus_tolerance], device=device)
    spread = torch.full((3, 3), response.coupling, device=device)
    turn = math.sin(math.radians(min(response.rotation, 90.0)))
    spread[0, 1] = spread[1, 0] = math.hypot(response.coupling, turn)
    spread.fill_diagonal_(response.gain)
    return spread / math.sqrt(3) * tolerances[:, None] / tolerances


def _mean(varied: float | Range) -> float:
    """Return the mean, of the logarithm where values are spread so."""
    if not isinstance(varied, Range):
        return varied
    return math.sqrt(varied.low * varied.high) if varied.log else (varied.low + varied.high) / 2


def _geometric_mean(varied: float | Range) -> float:
    return (
        math.sqrt(varied.low * varied.high) if isinstance(varied, Range) and varied.low > 0 else _mean(varied)
    )


def _mean_square(varied: float | Range) -> float:
    if not isinstance(varied, Range):
        return varied**2
    return (varied.low**2 + varied.low * varied.high + varied.high**2) / 3

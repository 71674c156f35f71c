"""The course of an acquisition: correct, acquire a frame, look where it has drifted."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from beamwright.envs.core import Observation, Outcome, Simulation, Streams
from beamwright.envs.core.config import draw
from beamwright.envs.microscope.aberrations import edge_phase
from beamwright.envs.microscope.criteria import phase_error, quarter_wave_limits
from beamwright.envs.microscope.drift import wait
from beamwright.envs.track_drift import render
from beamwright.envs.track_drift.config import TrackDriftConfig
from beamwright.envs.track_drift.generator import draw_motion, draw_noise, draw_steering
from beamwright.envs.track_drift.observation import ObservationLayout
from beamwright.envs.track_drift.physics import Field
from beamwright.envs.track_drift.reward import frame_error, reward
from beamwright.envs.track_drift.types import TrackState

__all__ = ["TrackSimulation"]

_NAMES = ("C10",)


class TrackSimulation(Simulation[TrackState]):
    """Tracking of drift, batched.

    Parameters
    ----------
    config
        Of the environment.
    field
        Makes what is imaged; by default simulated.

    Raises
    ------
    MicroscopeError
        If no microscope could be as the configuration says.
    """

    config: TrackDriftConfig

    def __init__(
        self, config: TrackDriftConfig, field: Callable[[TrackDriftConfig, torch.device], Field] = Field
    ) -> None:
        super().__init__(config)
        self.field = field(config, self.device)
        self.field.check()
        self.view = ObservationLayout(config, self.field.tolerances)
        self.observation_space = self.view.space
        self._edge = float(edge_phase(_NAMES, self.field.optics))  # [rad/nm]
        self._quarter_wave = float(quarter_wave_limits(_NAMES, self.field.optics))  # [nm]
        high = np.array([config.move_limit] * 2 + [config.focus_limit] + [1.0] * config.ask, np.float32)
        self.action_space = Box(-high, high, dtype=np.float32)

    def initial(self, streams: Streams) -> TrackState:
        """Return acquisitions about to begin, in place and in focus, with a reference patch."""
        config, count = self.config, streams.count
        zero = torch.zeros(count, dtype=torch.int64, device=self.device)
        state = TrackState(
            specimen=self.field.specimen(streams),
            drift=draw_motion(config, streams),
            steering=draw_steering(config, streams),
            counts=draw(config.counts, streams, split=config.split),
            noise=draw_noise(config, streams),
            measured=torch.zeros(count, 3, device=self.device),
            patches=None,
            age=zero,
            references=zero,
            steps=zero,
            electrons=zero.double(),
            seconds=zero.double(),
            lost=zero.bool(),
            course=torch.full((count, config.steps + 1, 3), torch.nan, device=self.device),
            asked=torch.zeros(count, config.steps + 1, dtype=torch.bool, device=self.device),
        )
        everyone = torch.ones_like(state.lost)
        return self._referred(
            self._recorded(self._with_reference(state, streams), everyone), everyone, streams
        )

    def advance(self, state: TrackState, action: Tensor, streams: Streams) -> tuple[TrackState, Outcome]:
        """Correct, acquire a frame while everything drifts, and look."""
        config, field = self.config, self.field
        correction = action[:, :3].nan_to_num(0.0).clamp(-field.limits, field.limits)
        asks = action[:, 3] > 0 if config.ask else torch.ones_like(state.lost)
        steering = field.steer(state.steering, correction, streams)
        before = wait(state.drift, torch.full_like(state.counts, config.dead_time), streams)
        begin = field.offsets(before, steering)
        field.acquire()
        drift = wait(before, torch.full_like(state.counts, config.frame_time), streams)
        steering = field.settle(steering, config.frame_time)
        end = field.offsets(drift, steering)
        lost = (end[:, :2].abs() > config.reach).any(1)
        after = replace(
            state,
            drift=drift,
            steering=steering,
            age=state.age + 1,
            steps=state.steps + 1,
            seconds=state.seconds + config.dead_time + config.frame_time,
            lost=lost,
        )
        after = self._referred(self._recorded(after, asks), asks, streams)
        error = frame_error(begin, end, field.tolerances)
        left = config.steps - after.steps
        gained = reward(error, asked=asks, lost=lost, left=left, config=config)
        return after, Outcome(gained, lost, (left <= 0) & ~lost)

    def observe(self, state: TrackState) -> Observation:
        """Return corrections so far and what was measured last."""
        return self.view(state)

    def info(self, state: TrackState) -> dict[str, Tensor]:
        """Return the truth, which the agent does not see, and the costs."""
        offsets = self.field.offsets(state.drift, state.steering)  # (B, 3)
        defocus, position = offsets[:, 2], torch.linalg.vector_norm(offsets[:, :2], dim=1)
        in_place = position <= self.config.position_tolerance
        return {
            "strehl": self._strehl(defocus),
            "phase_error": phase_error(defocus[:, None], _NAMES, self.field.optics),
            "within_limits": in_place & (defocus.abs() <= self._quarter_wave),
            "position_error": position,
            "offsets": offsets,
            "exposures": state.references * len(self.config.diagnostic),
            "electrons": state.electrons,
            "seconds": state.seconds,
            "aberrations": defocus[:, None],
        }

    def _strehl(self, defocus: Tensor) -> Tensor:
        """Return the Strehl ratio of a defocus ``(B,)`` [nm], ``(sin x / x)^2`` 2 x being the edge phase."""
        return torch.sinc(defocus * self._edge / (2 * math.pi)).square()

    def draw(self, state: TrackState, index: int) -> np.ndarray:
        """Return the patches, the offsets, and their course."""
        return render.draw(self, state, index)

    def _with_reference(self, state: TrackState, streams: Streams) -> TrackState:
        """Return the state with a reference patch, and no exposures beside it yet, ``(B, 3, H, W)``."""
        if self.config.observation != "images":
            return state
        everyone = torch.ones_like(state.lost)
        dose = self.config.reference_dose
        patch, electrons = self.field.patches(state, everyone, streams, focus=(0.0,), dose=dose)
        empty = torch.zeros_like(patch).expand(-1, len(self.config.diagnostic), -1, -1)
        return replace(state, patches=torch.cat([patch, empty], dim=1), electrons=state.electrons + electrons)

    def _referred(self, state: TrackState, asked: Tensor, streams: Streams) -> TrackState:
        """Return the state after reference exposures where they were asked for, ``(B,)`` bool."""
        time = torch.where(asked, self.config.reference_time, 0.0)
        state = replace(
            state,
            drift=wait(state.drift, time, streams),
            steering=self.field.settle(state.steering, time),
            seconds=state.seconds + time,
        )
        offsets = self.field.offsets(state.drift, state.steering)
        measured = offsets + state.noise * streams.normal(3)
        patches, electrons = state.patches, state.counts * self.config.electrons_per_count
        if patches is not None:
            new, electrons = self.field.patches(state, asked, streams, focus=self.config.diagnostic)
            new = torch.cat([patches[:, :1], new], dim=1)
            patches = torch.where(asked[:, None, None, None], new, patches)
        return replace(
            state,
            measured=torch.where(asked[:, None], measured, state.measured),
            patches=patches,
            age=torch.where(asked, 0, state.age),
            references=state.references + asked,
            electrons=state.electrons + asked * electrons,
        )

    def _recorded(self, state: TrackState, asked: Tensor) -> TrackState:
        """Write the offsets into the course of the episode."""
        # In a batch the shell advances ended episodes too, and drops the result.
        place = state.steps[:, None].clamp_max(self.config.steps)  # (B, 1)
        offsets = self.field.offsets(state.drift, state.steering)[:, None]  # (B, 1, 3)
        return replace(
            state,
            course=state.course.scatter(1, place[..., None].expand(-1, -1, 3), offsets),
            asked=state.asked.scatter(1, place, asked[:, None]),
        )

"""What the baselines for tracking share, and the two that bound what tracking can gain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from beamwright.agents.baselines.baseline import StateBaseline
from beamwright.agents.baselines.track_registration import Registration
from beamwright.envs.track_drift import TrackSimulation, TrackState

__all__ = ["TRACK", "HoldStill", "Reading", "RepeatMeasure", "TrackBaseline"]

TRACK = ("beamwright/TrackDrift-v0",)


@dataclass(frozen=True)
class Reading:
    """Offsets as a reference exposure tells them.

    Parameters
    ----------
    offsets
        Along y, along x and of the focus, ``(B, 3)`` [nm].
    variance
        Of their noise ``(B, 3)`` [nm^2].
    """

    offsets: Tensor
    variance: Tensor


class TrackBaseline(StateBaseline):
    """A baseline that follows a drift.

    Of the state it uses what was measured and when; measurements are offsets with the noise that the
    configuration names, or patches, which are registered (see `Registration`).
    """

    environments = TRACK

    def reset(self, env: Any) -> None:
        """Begin with an environment that was just reset."""
        super().reset(env)
        self.simulation: TrackSimulation = self.env.simulation
        self.config = self.simulation.config
        images = self.config.observation == "images"
        self._registration = Registration(self.simulation.field) if images else None

    def reading(self, state: TrackState) -> Reading:
        """Return what the last reference exposures said."""
        if self._registration is None:
            return Reading(state.measured, self._variance.expand_as(state.measured))
        assert state.patches is not None
        # Before the first pair of exposures there is only the reference patch, taken in place.
        begun = state.patches[:, 1:].sum((1, 2, 3)) > 0  # (B,)
        offsets, variance = self._registration(state.patches)
        offsets = torch.where(begun[:, None], offsets, 0.0)
        return Reading(
            offsets, torch.where(begun[:, None], variance, 1e-4 * self.simulation.field.tolerances**2)
        )

    def actions(self, corrections: Tensor, asks: Tensor) -> Tensor:
        """Return actions ``(B, A)`` of corrections ``(B, 3)`` [nm] and of asking for a reference ``(B,)``."""
        if not self.config.ask:
            return corrections
        return torch.cat([corrections, asks.to(corrections)[:, None] * 2 - 1], dim=1)

    @property
    def _variance(self) -> Tensor:
        """Of measured offsets, ``(3,)`` [nm^2]."""
        position, focus = (_middle(noise) for noise in (self.config.position_noise, self.config.focus_noise))
        return torch.tensor([position, position, focus], device=self.simulation.device) ** 2


class HoldStill(TrackBaseline):
    """Corrects nothing and measures nothing: what drift costs who ignores it."""

    def choose(self, state: TrackState) -> Tensor:
        """Return actions that do nothing."""
        nothing = torch.zeros_like(state.measured)
        return self.actions(nothing, torch.zeros_like(state.lost))


class RepeatMeasure(TrackBaseline):
    """Measures again and again, and puts right what it sees: tracking without a model.

    Parameters
    ----------
    every
        Frames from one reference exposure to the next.
    """

    def __init__(self, *, every: int = 1) -> None:
        self.every = every

    def choose(self, state: TrackState) -> Tensor:
        """Return actions that put right what was just measured."""
        fresh = (state.age == 0)[:, None]
        corrections = torch.where(fresh, -self.reading(state).offsets, 0.0)
        return self.actions(corrections, state.age + 1 >= self.every)


def _middle(noise: Any) -> float:
    return noise if isinstance(noise, (int, float)) else (noise.low + noise.high) / 2

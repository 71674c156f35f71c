"""What the agent sees: corrections so far, offsets as measured last or patches, and how old they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import Space
from gymnasium.spaces import Box, Dict
from torch import Tensor

from beamwright.envs.core import Observation
from beamwright.envs.track_drift.config import TrackDriftConfig
from beamwright.envs.track_drift.generator import AXES
from beamwright.envs.track_drift.types import TrackState

__all__ = ["ObservationLayout"]

_FAR = 1e4
"""Farther than anything drifts [nm]."""
_COUNTS = 1e6
"""Above what one pixel counts."""


class ObservationLayout:
    """The space of observations, and how a state becomes one.

    Parameters
    ----------
    config
        The configuration.
    tolerances
        Of the three axes, ``(3,)`` [nm].
    """

    def __init__(self, config: TrackDriftConfig, tolerances: Tensor) -> None:
        self._config, self._tolerances = config, tolerances
        self._images = config.observation == "images"
        parts = {"settings": [_FAR] * len(AXES), "age": [float(config.steps)], "left": [1.0]}
        if not self._images:
            parts["measured"] = [_FAR] * len(AXES)
        limits = np.array([limit for part in parts.values() for limit in part], np.float32)
        ends = np.cumsum([len(part) for part in parts.values()]).tolist()
        self.places = {
            name: slice(end - len(part), end) for (name, part), end in zip(parts.items(), ends, strict=True)
        }
        """Where the parts of the vector are, by name: ``settings``, ``age``, ``left``, ``measured``."""
        vector = Box(-limits, limits, dtype=np.float32)
        self.space: Space[Any] = vector
        if self._images:
            shape = (1 + len(config.diagnostic), config.size, config.size)
            self.space = Dict({"picture": Box(0.0, _COUNTS, shape, np.float32), "vector": vector})

    def __call__(self, state: TrackState) -> Observation:
        """Return the observations of a batch of states."""
        settings = state.steering.setting * self._tolerances  # (B, 3) [nm]
        left = (self._config.steps - state.steps) / self._config.steps
        parts = [settings, state.age[:, None], left[:, None]]
        if not self._images:
            return torch.cat([*parts, state.measured], dim=1)
        assert state.patches is not None
        return {"picture": state.patches, "vector": torch.cat(parts, dim=1)}

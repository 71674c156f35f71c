"""What the agent sees: pictures of the last exposures, and a vector of what else is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import Space
from gymnasium.spaces import Box, Dict
from torch import Tensor

from beamwright.envs.alignment.action import ActionLayout
from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.sharpness import sectors_for
from beamwright.envs.alignment.spectra import CROSS_CHANNELS, picture
from beamwright.envs.alignment.types import AlignState
from beamwright.envs.core import Observation

__all__ = ["ObservationLayout"]

_COUNTS = 1e6
"""Above what one pixel counts."""
_FIGURE = 20.0
"""Above the logarithm of any power over shot noise."""
_LOG_SIGMA = 10.0


class ObservationLayout:
    """The space of observations, and how a state becomes one.

    Parameters
    ----------
    column
        Knobs and images.
    layout
        What an action chooses of the exposures.
    """

    def __init__(self, column: Column, layout: ActionLayout) -> None:
        self._config = column.config
        high = self._parts(column, layout)
        limits = np.array([limit for part in high.values() for limit in part], np.float32)
        vector = Box(-limits, limits, dtype=np.float32)
        self.places = _places(high)
        """Where the parts of the vector are: ``settings``, ``choice``, ``left``, ``figures``, ``belief``."""
        self.space: Space[Any] = vector
        if self._config.observation != "vector":
            self.space = Dict({"picture": self._picture_space(), "vector": vector})

    def __call__(self, state: AlignState) -> Observation:
        """Return the observations of a batch of states."""
        vector = self._vector(state)
        if self._config.observation == "vector":
            return vector
        assert state.shots.images is not None
        return {"picture": picture(state.shots.images, self._config.observation), "vector": vector}

    def _vector(self, state: AlignState) -> Tensor:
        total = self._config.exposures
        parts = [state.bench.corrector.setting, state.choice, (total - state.exposures)[:, None] / total]
        shots = state.shots
        parts += [tensor.flatten(1) for tensor in (shots.figures, shots.belief) if tensor is not None]
        return torch.cat(parts, dim=1)

    def _parts(self, column: Column, layout: ActionLayout) -> dict[str, list[float]]:
        """Return the limits of the numbers of each part of the vector."""
        config, knobs = self._config, len(self._config.knobs)
        chosen = layout.space.high[knobs : knobs + len(layout.choices)]
        figures = sectors_for(column).count * len(config.diagnostic) if config.observation == "vector" else 0
        believed = knobs if config.estimator is not None else 0
        return {
            "settings": [config.setting_limit] * knobs,
            "choice": chosen.tolist(),
            "left": [1.0],
            "figures": [_FIGURE] * figures,
            "belief": [2 * config.setting_limit] * believed + [_LOG_SIGMA] * believed,
        }

    def _picture_space(self) -> Box:
        exposures, size = len(self._config.diagnostic), self._config.size
        if self._config.observation == "images":
            return Box(0.0, _COUNTS, (exposures, size, size), np.float32)
        channels = CROSS_CHANNELS if self._config.observation == "cross_spectrum" else exposures
        return Box(-_FIGURE, _FIGURE, (channels, size, size // 2 + 1), np.float32)


def _places(parts: dict[str, list[float]]) -> dict[str, slice]:
    ends = np.cumsum([len(part) for part in parts.values()]).tolist()
    return {name: slice(end - len(part), end) for (name, part), end in zip(parts.items(), ends, strict=True)}

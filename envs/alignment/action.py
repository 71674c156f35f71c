"""What an action says: corrections, what to expose with, and whether to stop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from gymnasium.spaces import Box
from torch import Tensor

from beamwright.envs.alignment.config import TILTS, AlignConfig

__all__ = ["Action", "ActionLayout"]


@dataclass(frozen=True)
class Action:
    """An action, taken apart.

    Parameters
    ----------
    corrections
        Change of each knob, ``(B, K)`` [rad].
    choice
        What is chosen of the exposures, ``(B, C)``, in the order and units of the action space.
    stop
        Whether the episode shall end, ``(B,)``, bool.
    """

    corrections: Tensor
    choice: Tensor
    stop: Tensor


class ActionLayout:
    """Which part of an action means what.

    Parameters
    ----------
    config
        The configuration.
    """

    def __init__(self, config: AlignConfig) -> None:
        limits = {
            "defocus": {"C10": config.defocus_limit},
            "dwell": {"dwell": config.dwell_limit},
            "tilt": dict.fromkeys(TILTS, config.tilt_limit),
        }
        chosen = {name: limit for choice in config.choose for name, limit in limits[choice].items()}
        self.choices: tuple[str, ...] = tuple(chosen)
        """The columns of a choice: ``C10`` [rad], ``dwell`` [log2], ``tilt_y``, ``tilt_x`` [mrad]."""
        self._knobs, self._stop = len(config.knobs), config.stop
        high = [config.step_limit] * self._knobs + [*chosen.values()] + [1.0] * config.stop
        self._high = torch.tensor(high)
        self.space = Box(-self._high.numpy(), self._high.numpy(), dtype=np.float32)

    def split(self, action: Tensor) -> Action:
        """Take actions ``(B, A)`` apart, cut off at their limits; not-a-number does nothing."""
        high = self._high.to(action.device)
        action = action.nan_to_num(0.0).clamp(-high, high)
        choice = action[:, self._knobs : self._knobs + len(self.choices)]
        stop = action[:, -1] > 0 if self._stop else torch.zeros_like(action[:, 0], dtype=torch.bool)
        return Action(action[:, : self._knobs], choice, stop)

"""What a frame is worth: how far it was off, and what measuring that cost."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.track_drift.config import TrackDriftConfig

__all__ = ["frame_error", "reward"]


def frame_error(begin: Tensor, end: Tensor, tolerances: Tensor) -> Tensor:
    """Return the mean square of the offsets over a frame in which they changed evenly, ``(B,)``.

    Parameters
    ----------
    begin, end
        Offsets along y, along x and of the focus, ``(B, 3)`` [nm].
    tolerances
        Of each, ``(3,)`` [nm]; the squares are in their units.
    """
    a, b = begin / tolerances, end / tolerances
    return ((a * a + a * b + b * b) / 3).sum(1)


def reward(error: Tensor, *, asked: Tensor, lost: Tensor, left: Tensor, config: TrackDriftConfig) -> Tensor:
    """Return the reward of a step, ``(B,)``.

    Parameters
    ----------
    error
        Of the frame, see `frame_error`, ``(B,)``; where it is not known (not a number), it costs nothing.
    asked
        Whether there was a reference exposure, ``(B,)``, bool.
    lost
        Whether the specimen was lost in this step, ``(B,)``, bool.
    left
        Frames that would still have come, ``(B,)``.
    config
        Costs.
    """
    worst = config.error_limit
    forfeit = torch.where(lost, left * worst, 0.0)
    return -error.nan_to_num(0.0).clamp_max(worst) - config.cost * asked - forfeit

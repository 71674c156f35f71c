"""What a step is worth: the progress it made, less what its exposures cost."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.alignment.config import AlignConfig
from beamwright.envs.alignment.types import Quality

__all__ = ["log_error", "reward"]


def log_error(quality: Quality, floor: float) -> Tensor:
    """Return ``log sqrt(error^2 + floor^2)`` of the phase error, ``(B,)``.

    The Strehl ratio is flat where episodes begin, and the phase error itself hardly rewards the last
    corrections; each halving of the error is worth the same in its logarithm.

    Parameters
    ----------
    quality
        How well the column is aligned.
    floor
        Error that counts as none [rad].
    """
    return torch.log(quality.phase_error.square() + floor**2) / 2


def reward(
    before: Quality, after: Quality, *, exposed: Tensor, success: Tensor, config: AlignConfig
) -> Tensor:
    """Return the reward of a step, ``(B,)``.

    Parameters
    ----------
    before, after
        How well the column was and is aligned; where that is not known (not a number), it gives nothing.
    exposed
        Exposures taken, each weighted by its dwell, ``(B,)``.
    success
        Whether the episode ended aligned, ``(B,)``, bool.
    config
        Costs and prizes.
    """
    gain = log_error(before, config.error_floor) - log_error(after, config.error_floor)
    return gain.nan_to_num(0.0) - config.cost * exposed + config.success_reward * success

"""What a step was worth."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.sparse_scan.sections import RewardConfig
from beamwright.envs.sparse_scan.types import Plan, ScanState

__all__ = ["reward", "squared_error"]


def reward(
    config: RewardConfig, before: ScanState, after: ScanState, plan: Plan, *, ended: Tensor, cheapest: float
) -> Tensor:
    """Return the rewards of a step, ``(B,)``.

    Parameters
    ----------
    config
        What counts.
    before, after
        States around the step.
    plan
        What was done.
    ended
        Whether the episode ends with it, ``(B,)`` bool.
    cheapest
        Electrons of the cheapest whole action, the unit of ``per_cost``.
    """
    if config.mode == "final":
        gain = -after.judged * ended
    else:
        gain = _level(config, before.judged) - _level(config, after.judged)
    if config.per_cost:
        spent = after.budget.spent_electrons - before.budget.spent_electrons
        gain = gain / (spent / cheapest).clamp_min(1e-3).float() * (spent > 0)
    gain = gain * config.scale
    if config.price:
        gain = gain - config.price * _share_spent(before, after)
    return gain - config.edge * plan.left if config.edge else gain


def squared_error(image: Tensor, specimen: Tensor) -> Tensor:
    """Return the mean squared error of images ``(B, H, W)``, ``(B,)``."""
    difference = (image - specimen).flatten(1)
    return torch.linalg.vecdot(difference, difference) / difference.shape[1]


def _level(config: RewardConfig, error: Tensor) -> Tensor:
    return torch.log(error + config.floor) if config.mode == "log_mse" else error


def _share_spent(before: ScanState, after: ScanState) -> Tensor:
    """Return the share of the scarcer budget that a step spent, ``(B,)``."""
    return (before.budget.share_left - after.budget.share_left).amax(1)

"""Optimisers and learning-rate schedules of a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import nn

from beamwright.search_spaces import Recipe

__all__ = ["WeightAverage", "make_optimizer", "make_schedule"]

ONE_CYCLE_RISE = 0.3
"""Share of the steps over which ``one_cycle`` rises, from and to a 25th and a 10,000th: as in fast.ai."""
STEP_FACTOR, STEP_COUNT = 0.1, 3
"""``step`` divides the training in three parts, each at a tenth of the rate of the one before."""


def make_optimizer(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the recipe's optimiser, in torch's implementation with the fewest calls per step."""
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "sgd": lambda p, **kw: torch.optim.SGD(p, momentum=recipe.momentum, fused=True, **kw),
        "adam": lambda p, **kw: torch.optim.Adam(p, fused=True, **kw),
        "adamw": lambda p, **kw: torch.optim.AdamW(p, fused=True, **kw),
        "radam": lambda p, **kw: torch.optim.RAdam(p, foreach=True, **kw),
        "nadam": lambda p, **kw: torch.optim.NAdam(p, foreach=True, **kw),
    }
    return kinds[recipe.optimizer](
        list(parameters), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )


def make_schedule(recipe: Recipe, total_steps: int) -> Callable[[int], float]:
    """Return the learning rate as a function of the step: it has no state that could be lost.

    Parameters
    ----------
    recipe
        Schedule, highest rate, and the share of steps that warm up.
    total_steps
        Of the whole training; the rate of later steps is the last one.
    """
    rise = ONE_CYCLE_RISE if recipe.schedule == "one_cycle" else recipe.warmup
    warm = rise * total_steps

    def rate(step: int) -> float:
        if step < warm:
            share = (step + 1) / (math.floor(warm) + 1)
            return recipe.learning_rate * (
                _cosine(1 / 25, 1, share) if recipe.schedule == "one_cycle" else share
            )
        share = min(1.0, (step - warm) / max(total_steps - warm, 1))
        return recipe.learning_rate * _decay(recipe.schedule, share)

    return rate


def _decay(schedule: str, share: float) -> float:
    """Return the factor after a share of the steps that follow the warm-up."""
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        return STEP_FACTOR ** min(int(share * STEP_COUNT), STEP_COUNT - 1)
    return _cosine(1.0, 1e-4 if schedule == "one_cycle" else 0.0, share)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class WeightAverage:
    """An exponential moving average of a network's weights, with a shorter memory in the first steps.

    Parameters
    ----------
    network
        What is averaged; statistics of normalisation layers are copied as they are.
    average
        A module of the same architecture that holds the average.
    decay
        Per step.
    """

    def __init__(self, network: nn.Module, average: nn.Module, decay: float) -> None:
        self.decay = decay
        self.averages: list[torch.Tensor] = list(average.parameters())
        self.weights: list[torch.Tensor] = list(network.parameters())
        self.buffers = list(zip(average.buffers(), network.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.averages, self.weights, 1 - decay)
        for mine, theirs in self.buffers:
            mine.copy_(theirs)

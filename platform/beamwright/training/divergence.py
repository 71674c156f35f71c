"""Noticing that a training has left the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from beamwright.errors import BeamwrightError
from beamwright.search_spaces import Recipe

__all__ = ["DivergedError", "check_losses", "check_quality"]


class DivergedError(BeamwrightError):
    """The loss or the quality is no longer finite."""


def check_losses(losses: Sequence[torch.Tensor], recipe: Recipe, *, epoch: int, first: int) -> None:
    """Look at the losses of an epoch so far.

    Parameters
    ----------
    epoch
        Counted from 1.
    first
        The step of the first loss.

    Raises
    ------
    DivergedError
        If one is not finite; it says in which step.
    """
    values = torch.stack(list(losses)).tolist()
    for step, value in enumerate(values, start=first):
        if not math.isfinite(value):
            raise DivergedError(f"The loss is {value} in epoch {epoch}, step {step}; {_cure(recipe)}")


def check_quality(name: str, value: float, recipe: Recipe, *, epoch: int) -> None:
    """Look at the quality on the validation split.

    Raises
    ------
    DivergedError
        If it is not finite.
    """
    if not math.isfinite(value):
        raise DivergedError(f"The validation {name} is {value} after epoch {epoch}; {_cure(recipe)}")


def _cure(recipe: Recipe) -> str:
    clip = "set grad_clip" if not recipe.grad_clip else f"lower grad_clip (is {recipe.grad_clip:g})"
    return f"lower learning_rate (is {recipe.learning_rate:g}) or {clip}."

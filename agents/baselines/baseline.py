"""The interface of baselines: what plays an environment without having learned it by reinforcement."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from torch import Tensor

from beamwright.agents.baselines import BASELINES
from beamwright.errors import ExperimentError, did_you_mean

__all__ = ["Baseline", "StateBaseline", "make_baseline"]


class Baseline(ABC):
    """Plays one environment, or many at once.

    Who plays calls ``env.reset()``, then `reset` with that environment, and `act` before each step. The
    environment may be a single one or a vector environment; observations, infos and actions are then
    those of one or of all. One object plays one environment at a time; `reset` begins anew.

    Attributes
    ----------
    environments
        Ids of the environments that it can play; empty for all.
    """

    environments: ClassVar[tuple[str, ...]] = ()

    def reset(self, env: Any) -> None:
        """Begin with an environment that was just reset."""
        self.env = env.unwrapped
        self.batched = isinstance(self.env, VectorEnv)

    @abstractmethod
    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """Return the next action, or in a vector environment the next actions, ``(B, ...)``."""


class StateBaseline(Baseline):
    """A baseline that looks into the simulator; what it may know is up to its honesty.

    Subclasses choose for a batch, whatever the environment. Where an environment of a batch begins a new
    episode, its state tells so: what is to be remembered within an episode should be read from there.
    """

    @abstractmethod
    def choose(self, state: Any) -> Tensor:
        """Return one action for each environment of the batch, ``(B, ...)``."""

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """Return the action, or the actions, for the present state."""
        with torch.no_grad():
            actions: np.ndarray = self.choose(self.env.state).numpy(force=True)
        return actions if self.batched else actions[0]


def make_baseline(name: str, env_id: str, **options: Any) -> Baseline:
    """Return a baseline by its name.

    Parameters
    ----------
    name
        One of `BASELINES`.
    env_id
        The environment that it is to play.
    **options
        Of the baseline.

    Raises
    ------
    UnknownNameError
        If there is no such baseline.
    ExperimentError
        If it does not play this environment, or has no such option.
    """
    kind: type[Baseline] = BASELINES.load(name)
    if kind.environments and env_id not in kind.environments:
        able = [entry.name for entry in BASELINES if _plays(entry.load(), env_id)]
        raise ExperimentError(
            f'The baseline "{name}" plays {", ".join(kind.environments)}, not {env_id}; for this one there '
            f"are: {', '.join(able)}."
        )
    known = list(inspect.signature(kind).parameters)
    for option in options:
        if option not in known:
            raise ExperimentError(
                f'The baseline "{name}" has no option "{option}".{did_you_mean(option, known)} '
                f"Known: {', '.join(known) or 'none'}."
            )
    return kind(**options)


def _plays(kind: type[Baseline], env_id: str) -> bool:
    return not kind.environments or env_id in kind.environments

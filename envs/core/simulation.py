"""What an environment simulates: a batched, pure model of a microscope with a task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from gymnasium import Space
from torch import Tensor

from beamwright.envs.core.config import EnvConfig
from beamwright.envs.core.streams import Streams

__all__ = ["Observation", "Outcome", "Simulation"]

State = TypeVar("State")
Observation = Tensor | dict[str, Tensor]


@dataclass(frozen=True)
class Outcome:
    """What one step gave to each environment of the batch."""

    reward: Tensor
    """``(B,)`` float32."""
    terminated: Tensor
    """``(B,)`` bool: the task ended by its own rules (success, stop, failure)."""
    truncated: Tensor
    """``(B,)`` bool: the episode was cut off by a limit that the task does not know."""


class Simulation(ABC, Generic[State]):
    """One batched simulator behind the single and the vector environment.

    The shells call `initial` for the environments whose episodes begin, `advance` with the actions of
    all, then `observe` and `info` on the state that came out; `draw` only when a picture is wanted.
    A state is a frozen dataclass of tensors (nested, if need be) whose first axis is the batch. What
    all environments share belongs to the simulation, not to the state. Nothing is changed in place:
    tensors of an old state may be shared with a new one. An episode that has ended is not advanced, so
    that batches come in any size up to that of the environment. The only randomness is that of the streams;
    how many numbers an environment takes from its stream must not depend on its neighbours.

    Parameters
    ----------
    config
        The configuration, checked by itself.

    Raises
    ------
    MicroscopeError
        If no microscope could be as the configuration says.
    """

    observation_space: Space[Any]
    """Of one environment: a Box, or a Dict of boxes."""
    action_space: Space[Any]
    """Of one environment: Box, Discrete, MultiDiscrete or MultiBinary."""

    def __init__(self, config: EnvConfig) -> None:
        self.config = config
        self.device = config.torch_device()

    @abstractmethod
    def initial(self, streams: Streams) -> State:
        """Return the states in which episodes begin, one per stream."""

    @abstractmethod
    def advance(self, state: State, action: Tensor, streams: Streams) -> tuple[State, Outcome]:
        """Return the states after an action, and what it gave.

        Parameters
        ----------
        state
            Left as it is.
        action
            ``(B, *action_space.shape)`` in the type of the action space (int64 for discrete ones).
        streams
            Of the environments, in their order.
        """

    @abstractmethod
    def observe(self, state: State) -> Observation:
        """Return the observations ``(B, ...)``; the shell brings them to types and limits of the space."""

    @abstractmethod
    def info(self, state: State) -> dict[str, Tensor]:
        """Return what is known beside the observation, under constant keys: ``(B,)`` or ``(B, ...)``."""

    @abstractmethod
    def draw(self, state: State, index: int) -> np.ndarray:
        """Return a picture of one environment, ``(H, W, 3)`` uint8, of the same size every time."""

"""Aligning by search: a sequence of settings, a figure of merit for each, and the best one at the end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from beamwright.agents.baselines.align_base import AlignBaseline, bounds
from beamwright.agents.baselines.align_merit import Merit
from beamwright.envs.alignment import AlignState

__all__ = ["Asking", "GeneratorSearch", "Place", "Search", "SearchBaseline"]

Place = npt.NDArray[np.float64]
Asking = Generator[Place, float, None]
"""Yields places, each coordinate in [-1, 1], and is sent the merit of each."""
_REACHED = 1e-3  # [rad]


class Search(ABC):
    """Looks for the maximum of a noisy function, one value at a time.

    `ask` says where to look, `tell` what was found; `best` is where the maximum seems to be. Places are
    ``(K,)`` with the bounds of each coordinate at -1 and 1.
    """

    anywhere = False
    """Whether `tell` takes places that were not asked for."""

    @abstractmethod
    def ask(self) -> Place:
        """Return the place to look at next; the same one until it was told of."""

    @abstractmethod
    def tell(self, place: Place, merit: float) -> None:
        """Learn the value at a place."""

    def best(self) -> Place:
        """Return where the largest value was found, or where the search trusts to be the maximum."""
        return self._best

    def remember(self, place: Place, merit: float) -> None:
        """Keep the place of the largest value."""
        if merit > getattr(self, "_most", -np.inf):
            self._best, self._most = place, merit


class GeneratorSearch(Search):
    """A search written as one run of thought: a generator that yields places and is sent their values.

    Parameters
    ----------
    asking
        The generator. When it returns, the best place is asked for from then on.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking, self._next = asking, next(asking)

    def ask(self) -> Place:
        """See `Search.ask`."""
        return self._next

    def tell(self, place: Place, merit: float) -> None:
        """See `Search.tell`."""
        self.remember(place, merit)
        try:
            self._next = self._asking.send(merit)
        except StopIteration:
            self._next = self.best()


class SearchBaseline(AlignBaseline):
    """Plays a search: every step is one look, and the last action goes to the best place.

    A step turns the knobs at most by ``step_limit``; a place farther away takes several, each with its
    exposures. The places are within the misalignment that the configuration names.

    Parameters
    ----------
    seed
        Of searches that draw numbers.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed

    @abstractmethod
    def search(self, knobs: int, seed: int) -> Search:
        """Return a search that begins in the middle of K coordinates."""

    def reset(self, env: Any) -> None:
        """Begin with an environment that was just reset."""
        super().reset(env)
        self._merit = Merit(self.simulation)
        low, high = (limit.double().numpy(force=True) for limit in bounds(self.simulation))
        self._middle, self._half = (low + high) / 2, (high - low) / 2  # (K,) [rad]
        self._searches: dict[int, Search] = {}
        self._begun = 0

    def choose(self, state: AlignState) -> Tensor:
        """Tell every search what its setting gave, and ask where to go."""
        merits = self._merit(state).tolist()
        settings = state.bench.corrector.setting.double().numpy(force=True)  # (B, K)
        fresh, last = (state.steps == 0).tolist(), self.last(state).tolist()
        goals = [
            self._goal(index, setting, merits[index], fresh[index], last[index])
            for index, setting in enumerate(settings)
        ]
        device = state.bench.corrector.setting.device
        return self.actions(torch.from_numpy(np.stack(goals) - settings).float().to(device))

    def _goal(self, index: int, setting: Place, merit: float, fresh: bool, last: bool) -> Place:
        """Return the setting to go to, ``(K,)`` [rad]."""
        place = (setting - self._middle) / self._half
        if fresh:
            self._searches[index] = self.search(len(place), self.seed + self._begun)
            self._begun += 1
        search = self._searches[index]
        missed = np.abs((place - search.ask()) * self._half).max()
        if search.anywhere or missed < _REACHED:
            search.tell(place, merit)
        return self._middle + self._half * (search.best() if last else search.ask())

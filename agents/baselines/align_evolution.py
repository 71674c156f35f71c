"""Covariance matrix adaptation."""

from __future__ import annotations

import numpy as np

from beamwright.agents.baselines.align_search import Place, Search, SearchBaseline
from beamwright.errors import MissingExtraError

__all__ = ["CmaEs"]


class CmaEs(SearchBaseline):
    """The evolution strategy CMA-ES on the figure of merit.

    Parameters
    ----------
    sigma
        First standard deviation, as a share of half the range of each knob.
    population
        Looks of a generation; by default ``4 + 3 log K``.
    seed
        Of the first episode's search.

    References
    ----------
    N. Hansen, arXiv:1604.00772. M. Nomura and M. Shibata, arXiv:2402.01373: the package ``cmaes``.
    """

    def __init__(self, *, sigma: float = 0.5, population: int | None = None, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.sigma, self.population = sigma, population

    def search(self, knobs: int, seed: int) -> Search:
        """See `SearchBaseline.search`.

        Raises
        ------
        MissingExtraError
            If the package ``cmaes`` is not installed.
        """
        return _Evolution(knobs, self.sigma, self.population, seed)


class _Evolution(Search):
    def __init__(self, knobs: int, sigma: float, population: int | None, seed: int) -> None:
        try:
            from cmaes import CMA
        except ImportError:
            raise MissingExtraError("CMA-ES", "fly") from None
        limits = np.tile([-1.0, 1.0], (knobs, 1))
        self._strategy = CMA(np.zeros(knobs), sigma, bounds=limits, population_size=population, seed=seed)
        self._generation: list[tuple[Place, float]] = []
        self._next = np.zeros(knobs)  # where the knobs stand when an episode begins
        self._begun = False

    def ask(self) -> Place:
        return self._next

    def tell(self, place: Place, merit: float) -> None:
        self.remember(place, merit)
        if self._begun:
            self._generation.append((self._next, -merit))
        self._begun = True
        if len(self._generation) == self._strategy.population_size:
            self._strategy.tell(self._generation)
            self._generation = []
        self._next = self._strategy.ask()

"""Bayesian optimisation with a Gaussian process."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from beamwright.agents.baselines.align_search import Place, Search, SearchBaseline
from beamwright.errors import MissingExtraError

__all__ = ["GaussianProcess"]


class GaussianProcess(SearchBaseline):
    """Bayesian optimisation of the figure of merit: a Gaussian process and its expected improvement.

    About a third of a second for each look; the other searches need next to nothing.

    Parameters
    ----------
    startup
        Looks at random places before the model is used.
    seed
        Of the first episode's search.

    References
    ----------
    A. J. Pattison et al., npj Computational Materials (2025): aligning a corrector so. S. Ament et al.,
    NeurIPS 36 (2023): the logarithm of the expected improvement.
    """

    def __init__(self, *, startup: int = 10, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.startup = startup

    def search(self, knobs: int, seed: int) -> Search:
        """See `SearchBaseline.search`.

        Raises
        ------
        MissingExtraError
            If Optuna is not installed.
        """
        return _Bayes(knobs, self.startup, seed)


class _Bayes(Search):
    anywhere = True  # what was seen on the way belongs to the model too

    def __init__(self, knobs: int, startup: int, seed: int) -> None:
        try:
            import optuna
        except ImportError:
            raise MissingExtraError("Bayesian optimisation", "fly") from None
        self._optuna, self._names = optuna, [f"knob{index}" for index in range(knobs)]
        self._space: dict[str, Any] = {
            name: optuna.distributions.FloatDistribution(-1.0, 1.0) for name in self._names
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        optuna.logging.set_verbosity(level)
        self._next: Place | None = np.zeros(knobs)  # where the knobs stand when an episode begins

    def ask(self) -> Place:
        if self._next is None:
            trial = self._study.ask(self._space)
            self._next = np.array([trial.params[name] for name in self._names])
            # What is told is where the knobs came to, which need not be where they were sent.
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        return self._next

    def tell(self, place: Place, merit: float) -> None:
        self.remember(place, merit)
        params = dict(zip(self._names, np.clip(place, -1, 1).tolist(), strict=True))
        self._study.add_trial(
            self._optuna.create_trial(params=params, distributions=self._space, value=merit)
        )
        self._next = None

"""The Optuna samplers that an experiment may name."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from beamwright.registry import Entry, Registry

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["SAMPLERS", "make_sampler"]

_HERE = "beamwright.search.samplers"

SAMPLERS = Registry(
    "sampler",
    Entry("random", "independent draws: the baseline of every search", f"{_HERE}:_random"),
    Entry(
        "tpe",
        "tree-structured Parzen estimator, multivariate; the default",
        f"{_HERE}:_tpe",
        "Bergstra et al., NIPS 2011",
    ),
    Entry("gp", "Gaussian process with logEI, for up to a few hundred trials", f"{_HERE}:_gp"),
    Entry("cmaes", "CMA-ES, for spaces of numbers (fix the choices)", f"{_HERE}:_cmaes", "Hansen, 2016"),
    Entry(
        "nsga2",
        "genetic, for several objectives and hundreds of trials",
        f"{_HERE}:_nsga2",
        "Deb et al., IEEE Trans. Evol. Comput. 6, 182 (2002)",
    ),
)


def make_sampler(name: str, *, seed: int, population: int) -> BaseSampler:
    """Return a fresh sampler.

    Parameters
    ----------
    name
        A name of `SAMPLERS`.
    seed
        Samplers are made anew for every suggestion, from the seed of the run and the number of the trial:
        a resumed search then suggests what the undisturbed one would have.
    population
        Size of a generation (``nsga2``).

    Raises
    ------
    UnknownNameError
        If there is no such sampler.
    """
    make = SAMPLERS.load(name)
    with warnings.catch_warnings():
        # Optuna marks what is younger than a year as experimental; which we use is our decision.
        warnings.simplefilter("ignore")
        return make(seed, population)


def _random(seed: int, population: int) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def _tpe(seed: int, population: int) -> BaseSampler:
    from optuna.samplers import TPESampler

    # The portfolio is a better start than ten random draws, so the sampler may build on it at once.
    return TPESampler(seed=seed, group=True, n_startup_trials=5, warn_independent_sampling=False)


def _gp(seed: int, population: int) -> BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed, deterministic_objective=False, warn_independent_sampling=False)


def _cmaes(seed: int, population: int) -> BaseSampler:
    from optuna.samplers import CmaEsSampler

    return CmaEsSampler(seed=seed, warn_independent_sampling=False)


def _nsga2(seed: int, population: int) -> BaseSampler:
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(seed=seed, population_size=population)

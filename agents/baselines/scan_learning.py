"""Learning where a reconstruction errs, from scans of training specimens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from beamwright.agents.baselines.scan_base import training_streams
from beamwright.agents.baselines.scan_features import PlaceFeatures
from beamwright.agents.baselines.scan_regression import Regression, fit_regression
from beamwright.envs.core import Streams
from beamwright.envs.sparse_scan import ScanSimulation, ScanState

__all__ = ["LearnedError", "Predict", "learn_error"]

_PLACES = 60
"""Places of each state that are learned from."""

Predict = Callable[[ScanState], Tensor]
"""Gives the squared error that is expected of each pixel, ``(B, H, W)``."""


class LearnedError:
    """Predicts the squared error of a reconstruction by regression.

    Parameters
    ----------
    features, regression
        What it is predicted from, and how.
    """

    def __init__(self, features: PlaceFeatures, regression: Regression) -> None:
        self._features, self._regression = features, regression

    def __call__(self, state: ScanState) -> Tensor:
        """Return the error to be expected of each pixel, ``(B, H, W)``."""
        _, height, width = state.dose.shape
        found = self._regression(self._features(state)).exp()  # (B, h, w)
        step = self._features.step
        return found.repeat_interleave(step, 1).repeat_interleave(step, 2)[:, :height, :width]


def learn_error(
    simulation: ScanSimulation,
    act: Callable[..., Tensor],
    *,
    rounds: int,
    episodes: int,
) -> LearnedError:
    """Return a prediction of the error, learned where it will be used: in states to which it leads itself.

    Parameters
    ----------
    simulation
        With training specimens.
    act
        Gives the actions for a simulation, its state, and a prediction named ``predict``.
    rounds
        How often scans are made and learned from; those of all rounds are kept. In the first one the
        prediction is that of the reconstructor, or random where it has none.
    episodes
        Scans of each round.
    """
    features = PlaceFeatures(simulation.scan_config.shape, simulation.device)
    learned, found = None, []
    for index in range(rounds):
        streams = training_streams(simulation, episodes, part=10 + index)
        policy = partial(act, simulation, predict=learned or _at_first)
        found += _examples(simulation, features, policy, streams)
        known, error = (torch.cat(parts) for parts in zip(*found, strict=True))
        learned = LearnedError(features, fit_regression(known, error))
    assert learned is not None
    return learned


def _at_first(state: ScanState) -> Tensor:
    return torch.rand_like(state.reconstruction) if state.predicted is None else state.predicted


def _examples(
    simulation: ScanSimulation,
    features: PlaceFeatures,
    act: Callable[[ScanState], Tensor],
    streams: Streams,
) -> list[tuple[Tensor, Tensor]]:
    """Return features ``(M, F)`` and squared errors ``(M,)`` at random places of the states of episodes."""
    state, found = simulation.initial(streams), []
    running = torch.ones(streams.count, dtype=torch.bool, device=simulation.device)
    chance = torch.Generator().manual_seed(0)
    while bool(running.any()):
        error = features.pooled((state.reconstruction - state.specimen).square()).flatten(1)  # (B, h * w)
        known = features(state).flatten(1, 2)  # (B, h * w, F)
        index = torch.randint(0, error.shape[1], (len(error), _PLACES), generator=chance).to(error.device)
        known = known.gather(1, index[..., None].expand(-1, -1, known.shape[-1]))
        found.append((known[running].flatten(0, 1), error.gather(1, index)[running].flatten()))
        state, outcome = simulation.advance(state, act(state), streams)
        running = running & ~(outcome.terminated | outcome.truncated)
    return found

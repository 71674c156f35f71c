"""Greedy by predicted error: the baselines to beat."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from beamwright.agents.baselines.baseline import StateBaseline
from beamwright.agents.baselines.scan_base import SCANS, best_actions
from beamwright.agents.baselines.scan_learning import LearnedError, learn_error
from beamwright.agents.baselines.scan_tuning import remembered
from beamwright.envs.sparse_scan import ScanSimulation, ScanState
from beamwright.envs.sparse_scan.scores import Outlook
from beamwright.errors import MicroscopeError

__all__ = ["Greedy", "LearnedGreedy", "Oracle"]


class Greedy(StateBaseline):
    """Goes where most error is predicted: by the reconstructor itself.

    Of the discrete headings, or for continuous directions of as many candidates (`ActionConfig.headings`,
    32 by default), it takes the one under which the blurred map has the largest mean, among those that stay
    on the field, with the longest segment and the shortest dwell. Of tiles it takes the one with the
    largest mean. It never stops.

    Parameters
    ----------
    blur
        Standard deviation by which the map is blurred [px], for segments. Of 1.5, 3, 5 and 8 px, 3
        gave the highest mean PSNR of training specimens of clusters and flakes, by 0.1 and 0.8 dB.
    """

    environments = SCANS

    def __init__(self, *, blur: float = 3.0) -> None:
        self.blur = blur

    def reset(self, env: Any) -> None:
        """Begin with an environment that was just reset.

        Raises
        ------
        MicroscopeError
            If its reconstructor predicts no error.
        """
        super().reset(env)
        if self.error(self.env.state) is None:
            raise MicroscopeError(
                "Greedy needs a reconstructor that predicts its error, and this one does not; play "
                'greedy-learned, set reconstructor.kind to "interpolation", or use a bundle with two outputs.'
            )

    def error(self, state: ScanState) -> Tensor | None:
        """Return the squared error that is to be expected, ``(B, H, W)``, or None where nobody tells."""
        return state.predicted

    def choose(self, state: ScanState) -> Tensor:
        """Return the allowed actions with most expected error under them."""
        return self.best(self.env.simulation, state, self.error)

    def best(
        self, simulation: ScanSimulation, state: ScanState, predict: Callable[[ScanState], Tensor | None]
    ) -> Tensor:
        """Return the actions that are greedy for a prediction, ``(B,)`` or ``(B, K)``."""
        moves, expected = simulation.moves, predict(state)  # (B, H, W)
        assert expected is not None  # `reset` has looked
        outlook = Outlook(simulation.scan_config.shape, self.blur, simulation.device)
        scores = moves.scores(replace(state, predicted=expected), lambda places: outlook(expected, places))
        return best_actions(simulation, state, scores)


class LearnedGreedy(Greedy):
    """Goes where most error is predicted: by a regression that learned it on training specimens.

    At the first `reset` for an environment, a regression of `PlaceFeatures` with two small hidden layers
    learns the squared error from scans of training specimens, first of `Greedy`, then of its own: ten
    seconds.

    On training specimens of clusters and flakes, blurs of 2, 3 and 4.5 px did equally well within 0.2 dB, and
    a second round gained 0.1 dB on the first.

    Parameters
    ----------
    blur
        As in `Greedy`.
    rounds
        How often it scans and learns.
    episodes
        Scans of each round.
    """

    def __init__(self, *, blur: float = 3.0, rounds: int = 3, episodes: int = 48) -> None:
        super().__init__(blur=blur)
        self.rounds, self.episodes = rounds, episodes

    def reset(self, env: Any) -> None:
        """Begin with an environment, for which the regression is learned now, or remembered."""
        key = (type(self), self.blur, self.rounds, self.episodes)
        self._learned: LearnedError = remembered(env.unwrapped.simulation, key, self._learn)
        super().reset(env)

    def error(self, state: ScanState) -> Tensor:
        """Return what the regression expects, ``(B, H, W)``."""
        return self._learned(state)

    def _learn(self, simulation: ScanSimulation) -> LearnedError:
        return learn_error(simulation, self.best, rounds=self.rounds, episodes=self.episodes)


class Oracle(Greedy):
    """Goes where most error truly is: no baseline, for it sees the specimen, but what foresight could gain.

    It is no bound: it is as short-sighted as the others, and knows nothing of what a segment would change.
    """

    def error(self, state: ScanState) -> Tensor:
        """Return the true squared error, ``(B, H, W)``."""
        return (state.reconstruction - state.specimen).square()

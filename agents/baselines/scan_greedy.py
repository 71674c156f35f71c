"""Greedy by predicted error: the baseline to beat."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor

from beamwright.agents.baselines.baseline import StateBaseline
from beamwright.agents.baselines.scan_base import SCANS
from beamwright.envs.sparse_scan import ScanState
from beamwright.envs.sparse_scan.scores import Outlook
from beamwright.errors import MicroscopeError

__all__ = ["Greedy", "Oracle"]


class Greedy(StateBaseline):
    """Measures what the reconstructor is least sure of: the segment, or tile, with most predicted error.

    In a continuous environment it chooses among the headings for which scores are kept. It is as good as the
    prediction: with a trained reconstructor it beats every static path on localised specimens, with plain
    interpolation it need not.

    Parameters
    ----------
    blur
        Standard deviation by which the predicted error is blurred before it is looked at [px]; three suit
        segments of 20 px.
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
        simulation = self.env.simulation
        self._outlook = Outlook(simulation.scan_config.shape, self.blur, simulation.device)
        if self.error(self.env.state) is None:
            raise MicroscopeError(
                "Greedy needs a reconstructor that predicts its error, and this one does not; set "
                'reconstructor.kind to "interpolation", or use a bundle with two output channels.'
            )

    def error(self, state: ScanState) -> Tensor | None:
        """Return the squared error that is to be expected, ``(B, H, W)``, or None where nobody tells."""
        return state.predicted

    def choose(self, state: ScanState) -> Tensor:
        """Return the allowed actions with most expected error under them."""
        moves, error = self.env.simulation.moves, self.error(state)
        assert error is not None  # `reset` has looked
        scores = moves.scores(replace(state, predicted=error), lambda places: self._outlook(error, places))
        best = torch.where(moves.mask(state), scores, -1.0).argmax(1)
        if not isinstance(moves.space, spaces.Box):
            return best
        angle = moves.angle[best]
        rest = {"length": 1.0, "dwell": -1.0, "stop": -1.0}  # long, quick, and on
        others = [torch.full_like(angle, rest[name]) for name in moves.names[2:]]
        return torch.stack([angle.sin(), angle.cos(), *others], 1)


class Oracle(Greedy):
    """Greedy by the true error, which only a simulator knows: a bound, not a baseline."""

    def error(self, state: ScanState) -> Tensor:
        """Return the true squared error, ``(B, H, W)``."""
        return (state.specimen - state.reconstruction) ** 2

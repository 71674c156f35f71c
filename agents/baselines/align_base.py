"""What the baselines for alignment share: what an action looks like, what is known, and when to stop."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium.spaces import Box
from torch import Tensor

from beamwright.agents.baselines.baseline import StateBaseline
from beamwright.envs.alignment import AlignSimulation, AlignState
from beamwright.envs.alignment.config import AlignConfig
from beamwright.envs.core.config import Range

__all__ = ["ALIGN", "AlignBaseline", "bounds"]

ALIGN = ("beamwright/AlignSTEM-v0", "beamwright/AlignTEM-v0")
_LEAST = 1.0
"""Half-width of the search for a knob whose misalignment is one known number [rad]."""


class AlignBaseline(StateBaseline):
    """A baseline that turns knobs.

    Of the state it uses what an operator has: the counts that the detector gave, the settings as commanded,
    and how many exposures are left.
    """

    environments = ALIGN

    def reset(self, env: Any) -> None:
        """Begin with an environment that was just reset."""
        super().reset(env)
        self.simulation: AlignSimulation = self.env.simulation

    def actions(self, corrections: Tensor, stop: Tensor | None = None) -> Tensor:
        """Return actions that make corrections, expose as configured, and stop where asked to.

        Parameters
        ----------
        corrections
            ``(B, K)`` [rad].
        stop
            ``(B,)``, bool; without it the episode goes on.
        """
        space = self.simulation.action_space
        assert isinstance(space, Box)
        made = corrections.new_zeros(len(corrections), *space.shape)  # (B, A)
        made[:, : corrections.shape[1]] = corrections
        if self.simulation.config.stop:
            made[:, -1] = -1.0 if stop is None else stop.float() * 2 - 1
        return torch.minimum(torch.maximum(made, made.new_tensor(space.low)), made.new_tensor(space.high))

    def last(self, state: AlignState) -> Tensor:
        """Tell where the next action is the last one, after which nothing is exposed, ``(B,)`` bool."""
        return state.exposures + self.simulation.per_step > self.simulation.config.exposures


def bounds(simulation: AlignSimulation) -> tuple[Tensor, Tensor]:
    """Return between which settings the knobs of an aligned column are, ``(K,)`` each [rad].

    Who aligns an instrument knows how far it is usually off.
    """
    config, unit = simulation.config, simulation.column.unit
    ends = torch.tensor([_ends(config, name) for name in config.knobs], device=unit.device) * unit[:, None]
    middle, half = ends.mean(1), (ends[:, 1] - ends[:, 0]).clamp_min(2 * _LEAST) / 2
    return middle - half, middle + half


def _ends(config: AlignConfig, name: str) -> tuple[float, float]:
    """Return the least and the largest change that a knob has to make [nm] or [mrad]."""
    varied, target = config.offsets.get(name, 0.0), config.target.get(name, 0.0)
    low, high = (varied.low, varied.high) if isinstance(varied, Range) else (varied, varied)
    return target - high, target - low

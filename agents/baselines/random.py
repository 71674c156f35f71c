"""Whatever is allowed: the baseline below all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from beamwright.agents.baselines.baseline import Baseline

__all__ = ["Random"]


class Random(Baseline):
    """Draws from the action space, and only what the observation's mask allows.

    Parameters
    ----------
    seed
        Of the draws.
    """

    def __init__(self, *, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Any, info: dict[str, Any]) -> Any:
        """Return an action, or one for each environment of the batch."""
        space = self.env.single_action_space if self.batched else self.env.action_space
        mask = observation.get("action_mask") if isinstance(observation, dict) else None
        if mask is not None:
            return self._allowed(np.asarray(mask))
        space.seed(int(self._rng.integers(2**31)))
        if not self.batched:
            return space.sample()
        return np.stack([space.sample() for _ in range(self.env.num_envs)])

    def _allowed(self, mask: np.ndarray) -> Any:
        """Draw among the actions that are allowed, ``(n,)`` or ``(B, n)``; any where none is."""
        weights = np.where(mask.any(-1, keepdims=True), mask, 1).astype(float)
        scores = self._rng.random(mask.shape) * weights
        return scores.argmax(-1)

"""How well something plays an environment: many episodes at once, a figure of each, and honest intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium import VectorizeMode
from gymnasium.vector import VectorEnv

import beamwright.envs  # noqa: F401  (makes the ids known)
from beamwright.agents.baselines.baseline import Baseline
from beamwright.agents.figures import final_figures

__all__ = ["Played", "difference", "play_episodes"]

_LIMIT = 100_000  # steps; no episode is that long


@dataclass(frozen=True)
class Played:
    """What a number of episodes gave.

    Parameters
    ----------
    figures
        By name, one value per episode, ``(E,)``: what the environment's info said at the end, ``return``,
        ``length`` [steps], and what `beamwright.agents.figures` adds for the environment.
    """

    figures: Mapping[str, np.ndarray]

    def mean(self, name: str) -> float:
        """Return the mean of a figure over the episodes."""
        return float(self.figures[name].mean())

    def interval(self, name: str, *, level: float = 0.95, draws: int = 2000) -> tuple[float, float]:
        """Return the bootstrap interval of the mean."""
        return _bootstrap(self.figures[name], level, draws)


def difference(
    first: Played, second: Played, name: str, *, level: float = 0.95, draws: int = 2000
) -> tuple[float, float, float]:
    """Return how much larger a figure is on average in the first, and the interval, by a paired bootstrap.

    Both must have been played with the same seeds, so that their episodes show the same specimens.
    """
    gaps = first.figures[name] - second.figures[name]
    return float(gaps.mean()), *_bootstrap(gaps, level, draws)


def play_episodes(
    env_id: str, baseline: Baseline, episodes: int, *, seed: int = 0, batch: int = 64, **overrides: Any
) -> Played:
    """Play episodes in batches; episode ``i`` has the seed ``seed + i``, whatever the batch.

    Parameters
    ----------
    env_id
        The environment; it must have a vector entry point.
    baseline
        Who plays.
    episodes
        How many, E.
    seed
        Of the first.
    batch
        How many at once at most.
    **overrides
        Of the environment: ``preset``, ``split="test"``, and so on.
    """
    parts = []
    for first in range(0, episodes, batch):
        count = min(batch, episodes - first)
        mode = VectorizeMode.VECTOR_ENTRY_POINT
        env = gymnasium.make_vec(env_id, num_envs=count, vectorization_mode=mode, **overrides)
        parts.append(_play_batch(env, baseline, seed + first))
        env.close()
    return Played({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def _play_batch(env: VectorEnv[Any, Any, Any], baseline: Baseline, seed: int) -> dict[str, np.ndarray]:
    """Play one episode in each environment and return its figures; what begins afterwards does not count."""
    observation, info = env.reset(seed=seed)
    baseline.reset(env)
    running, total = np.ones(env.num_envs, dtype=bool), np.zeros(env.num_envs)
    length = np.zeros(env.num_envs, dtype=np.int64)
    figures: dict[str, np.ndarray] = {}
    for _ in range(_LIMIT):
        observation, reward, terminated, truncated, info = env.step(baseline.act(observation, info))
        total, length = total + reward * running, length + running
        ended = running & (terminated | truncated)
        if ended.any():
            _write(figures, ended, _final(env, info) | {"return": total, "length": length})
        running = running & ~ended
        if not running.any():
            return figures
    raise RuntimeError(f"No end after {_LIMIT} steps.")


def _final(env: VectorEnv[Any, Any, Any], info: dict[str, Any]) -> dict[str, np.ndarray]:
    known = {name: value for name, value in info.items() if not name.startswith("_")}
    single = {name: value for name, value in known.items() if getattr(value, "ndim", 0) == 1}
    return single | final_figures(env.unwrapped)


def _write(figures: dict[str, np.ndarray], ended: np.ndarray, values: Mapping[str, np.ndarray]) -> None:
    for name, value in values.items():
        kept = figures.setdefault(name, np.zeros(len(ended), dtype=value.dtype))
        kept[ended] = value[ended]


def _bootstrap(values: np.ndarray, level: float, draws: int) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

"""Random play, recorded: what the suite of environments compares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["COUNT", "Maker", "Record", "batch_of_one", "compare", "play", "row", "sample"]

COUNT = 3
"""Environments in a batch."""

_TOLERANCE = (
    0.02  # share of the size of what is compared: one count more or less, from the rounding of transforms
)


@dataclass(frozen=True)
class Maker:
    """Makes an environment again and again.

    Parameters
    ----------
    name
        Its id.
    arguments
        Preset and overrides.
    seed
        Of what is played.
    """

    name: str
    arguments: Mapping[str, Any]
    seed: int

    def single(self, **more: Any) -> Any:
        """Return one environment, in Gymnasium's wrappers."""
        import gymnasium

        return gymnasium.make(self.name, **self.arguments, **more)

    def vector(self, mode: str, **more: Any) -> Any:
        """Return a few, by Gymnasium's loop (``sync``) or in one simulator (``vector_entry_point``)."""
        import gymnasium

        return gymnasium.make_vec(self.name, COUNT, vectorization_mode=mode, **self.arguments, **more)


@dataclass
class Record:
    """What a vector environment gave, step by step, the reset first."""

    actions: list[Any] = field(default_factory=list)
    observations: list[Any] = field(default_factory=list)
    rewards: list[np.ndarray] = field(default_factory=list)  # each (B,), of steps only
    terminated: list[np.ndarray] = field(default_factory=list)
    truncated: list[np.ndarray] = field(default_factory=list)
    infos: list[dict[str, Any]] = field(default_factory=list)

    def ended(self, step: int) -> np.ndarray:
        """Return which episodes had ended before a step, ``(B,)``, so that it began others."""
        return (
            self.terminated[step - 1] | self.truncated[step - 1]
            if step
            else np.zeros(len(self.rewards[0]), bool)
        )


def sample(space: Any, observation: Any, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return random actions for `count` environments, of those that a mask in the observation allows.

    Parameters
    ----------
    space
        Of the actions of one environment.
    observation
        Of all environments; where it is a mapping it may have an ``action_mask`` ``(B, A)``.
    count
        Number of environments, B.
    rng
        What to draw with.
    """
    masks = observation.get("action_mask") if isinstance(observation, dict) else None
    if masks is not None:
        return np.array([rng.choice(np.flatnonzero(mask) if mask.any() else len(mask)) for mask in masks])
    space.seed(int(rng.integers(2**31)))
    return np.array([space.sample() for _ in range(count)])


def play(
    env: Any,
    steps: int,
    *,
    seed: int,
    actions: list[Any] | None = None,
    masks: dict[int, np.ndarray] | None = None,
) -> Record:
    """Play a vector environment at random, or again with recorded actions.

    Parameters
    ----------
    env
        A vector environment.
    steps
        Number of steps.
    seed
        Of the environments and of the actions.
    actions
        One batch for each step.
    masks
        Environments ``(B,)`` that are reset on their own before a step.
    """
    rng, record = np.random.default_rng(seed), Record()
    observation, info = env.reset(seed=seed)
    record.observations.append(observation)
    record.infos.append(info)
    for step in range(steps):
        if masks and step in masks:
            observation, _ = env.reset(options={"reset_mask": masks[step]})
        chosen = actions[step] if actions else sample(env.single_action_space, observation, env.num_envs, rng)
        observation, reward, terminated, truncated, info = env.step(chosen)
        lists: tuple[list[Any], ...] = (
            record.actions,
            record.observations,
            record.rewards,
            record.terminated,
            record.truncated,
            record.infos,
        )
        seen = (chosen, observation, reward, terminated, truncated, info)
        for values, value in zip(lists, seen, strict=True):
            values.append(value)
    return record


def row(value: Any, index: Any) -> Any:
    """Return what belongs to one environment, or to some, of a batch of arrays or mappings of them."""
    if isinstance(value, dict):
        return {key: row(item, index) for key, item in value.items()}
    return value[index]


def batch_of_one(value: Any) -> Any:
    """Return an observation of one environment as a batch."""
    return {key: item[None] for key, item in value.items()} if isinstance(value, dict) else value[None]


def compare(one: Record, two: Record, what: str, *, rows: Any = slice(None), exact: bool = False) -> None:
    """Hold two records to be the same, up to rounding.

    Parameters
    ----------
    one, two
        Of the same number of steps.
    what
        Between which the difference is, for the message.
    rows
        Which environments to compare.
    exact
        Whether rounding is no excuse.

    Raises
    ------
    AssertionError
        If they differ.
    """
    for name in ("terminated", "truncated", "rewards", "observations", "infos"):
        for step, values in enumerate(zip(getattr(one, name), getattr(two, name), strict=True)):
            first, second = (row(value, rows) for value in values)
            place = _difference(first, second, 0.0 if exact else _TOLERANCE)
            if place is not None:
                raise AssertionError(
                    f"{name}{place} differ between {what}, at step {step} of those recorded."
                )


def _difference(one: Any, two: Any, tolerance: float) -> str | None:
    if isinstance(one, dict):
        if one.keys() != two.keys():
            return f" (keys {sorted(one.keys() ^ two.keys())})"
        found = ((f'["{key}"]', _difference(one[key], two[key], tolerance)) for key in one)
        return next((place + deeper for place, deeper in found if deeper is not None), None)
    one, two = np.asarray(one), np.asarray(two)
    if one.dtype != two.dtype or one.shape != two.shape:
        return f" ({one.dtype}{one.shape} and {two.dtype}{two.shape})"
    if one.dtype == bool or not tolerance:
        return None if np.array_equal(one, two, equal_nan=one.dtype.kind == "f") else ""
    known = np.isfinite(one)
    if not np.array_equal(known, np.isfinite(two)):
        return " (in what is finite)"
    a, b = one[known].astype(float), two[known].astype(float)
    size = max(np.sqrt(np.mean(a**2)), 1e-3) if len(a) else 1.0
    return "" if len(a) and np.sqrt(np.mean((a - b) ** 2)) > tolerance * size else None

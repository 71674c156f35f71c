"""How the estimator learns: on the states that its own corrections lead to."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from beamwright.agents.estimator.network import AberrationNet
from beamwright.envs.alignment import AlignConfig, AlignSTEMEnv, AlignSTEMVectorEnv
from beamwright.envs.alignment.column import Column
from beamwright.envs.core import Frozen
from beamwright.envs.core.config import Range

__all__ = ["Examined", "TrainingPlan", "estimator_loss", "examine", "train_estimator"]

Report = Callable[[int, float], None]
_OFTEN, _SHARE = 100, 0.01
"""Rounds between two reports, and share of the newest in what they say."""
_GOOD = 0.8
"""Strehl ratio of a good probe."""
_REPLAYED = 4
"""Batches of a replay."""


class TrainingPlan(Frozen):
    """How long and on what; the defaults take five minutes on one thread."""

    preset: str | None = "lattice"
    """Of AlignSTEM-v0; the pair of its `diagnostic` is what the estimator will always need."""
    rounds: int = Field(1500, ge=1)
    """Steps of all environments; each is followed by one step of the optimiser, and by `replays` more."""
    batch: int = Field(64, ge=1)
    """Environments."""
    corrections: int = Field(4, ge=1)
    """Corrections of an episode, after each of which a pair is looked at."""
    specimens: int = Field(4096, ge=1)
    """Pool of specimens: too few would be learned by heart."""
    replays: int = Field(2, ge=0)
    """Optimiser steps on what was seen in earlier rounds, four batches each: looking is dearer than learning."""
    memory: int = Field(48, ge=4)
    """Rounds that are replayed; older ones show what the network no longer does."""
    rate: float = Field(2e-3, gt=0)
    """Learning rate, which rises for a twentieth of the time and falls to zero along a cosine."""
    patience: float = Field(0.5, ge=0, le=1)
    """Exponent with which a knob's own uncertainty weighs its loss, see `estimator_loss`."""
    seed: int = Field(0, ge=0)
    """Of weights and episodes; equal seeds on one kind of processor give equal networks."""


def train_estimator(plan: TrainingPlan, *, report: Report | None = None, **overrides: Any) -> AberrationNet:
    """Train an estimator on its own corrections.

    In every round each of a batch of columns shows a diagnostic pair; the network learns from these pairs
    and then turns the knobs by what it believed of them. So it is trained on what it will meet. Columns
    begin anew one after another, so that every batch holds all stages of an alignment.

    Parameters
    ----------
    plan
        How long and on what.
    report
        Called with the number of rounds and the mean phase left over [rad], now and then.
    **overrides
        Fields of the environment's configuration that differ from the preset.

    Returns
    -------
    AberrationNet
        In evaluation mode.

    Raises
    ------
    MicroscopeError
        If the environment has no such preset or fields.
    """
    torch.manual_seed(plan.seed)
    env = _environment(plan, overrides)
    network = AberrationNet((env.config.size, env.config.size // 2 + 1), _spread(env.config))
    learner = _Learner(network, plan)
    pictures, left = _begin(env, plan), 0.0
    for done in range(1, plan.rounds + 1):
        truth = env.simulation.info(env.state)["misalignment"]  # (B, K)
        mean = learner.learn(network.strongest(pictures), truth).chunk(2, dim=1)[0]
        left += (float((mean - truth).square().mean().sqrt()) - left) * max(1 / done, _SHARE)
        if report is not None and (done % _OFTEN == 0 or done == plan.rounds):
            report(done, left)
        pictures = _seen(env.step(_corrections(env, mean))[0])
    return network.eval()


class _Learner:
    """The network with its optimiser and what it remembers."""

    def __init__(self, network: AberrationNet, plan: TrainingPlan) -> None:
        self._network, self._plan = network, plan
        self._optimiser = torch.optim.AdamW(network.parameters(), plan.rate, weight_decay=1e-4)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, lambda done: _rate(done / plan.rounds))
        self._lessons: deque[tuple[Tensor, Tensor]] = deque(maxlen=plan.memory)

    def learn(self, strongest: Tensor, truth: Tensor) -> Tensor:
        """Learn from a batch and from memory; return what was believed of the batch, ``(B, 2 K)``."""
        self._lessons.append((strongest, truth))
        for _ in range(self._plan.replays):
            chosen = [self._lessons[i] for i in torch.randint(len(self._lessons), (_REPLAYED,)).tolist()]
            self._step(*(torch.cat(parts) for parts in zip(*chosen, strict=True)))
        belief = self._step(strongest, truth)
        self._schedule.step()
        return belief

    def _step(self, strongest: Tensor, truth: Tensor) -> Tensor:
        belief: Tensor = self._network.conclude(strongest)
        self._optimiser.zero_grad()
        estimator_loss(belief, truth, patience=self._plan.patience).backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimiser.step()
        return belief.detach()


def estimator_loss(belief: Tensor, truth: Tensor, *, patience: float = 0.0) -> Tensor:
    """Return the negative logarithm of a normal likelihood, in radians of phase over the aperture.

    With a patience of 0 it is that; knobs of which the network is unsure are then hardly learned. Weights
    of ``sigma^(2 patience)``, held constant, give them back their share; 1 is the squared error.

    Parameters
    ----------
    belief
        Means and logarithms of standard deviations, ``(B, 2 K)`` [rad].
    truth
        ``(B, K)`` [rad].
    patience
        From 0 to 1.

    References
    ----------
    M. Seitzer, A. Tavakoli, D. Antic and G. Martius, ICLR 2022 (arXiv:2203.09168), eq. 7.
    """
    mean, log_sigma = belief.chunk(2, dim=1)
    surprise = ((truth - mean) * torch.exp(-log_sigma)).square() / 2 + log_sigma  # (B, K)
    return (surprise * torch.exp(2 * patience * log_sigma.detach())).mean()


@dataclass(frozen=True)
class Examined:
    """How well an estimator aligns specimens that it has not seen.

    Parameters
    ----------
    knobs
        Names of the K knobs.
    pictures
        Of the first exposures of some episodes, ``(B, 5, H, W // 2 + 1)``.
    figures
        Share of episodes with a Strehl ratio of 0.8 after each number of exposures, by name.
    """

    knobs: tuple[str, ...]
    pictures: np.ndarray
    figures: dict[str, float]


def examine(network: AberrationNet, plan: TrainingPlan, *, episodes: int, exposures: int = 10) -> Examined:
    """Return how well a network does on its own, on the specimens that training holds out."""
    env = _environment(plan, {"exposures": exposures, "hold": exposures, "split": "test", "specimen": {}}, episodes)
    seen, _ = env.reset(seed=10**6 + plan.seed)
    first = seen["picture"][:8]
    for _ in range(env.simulation.steps):
        with torch.no_grad():
            mean = network(_seen(seen)).flatten(1).chunk(2, dim=1)[0]
        seen = env.step(_corrections(env, mean))[0]
    shares = (env.state.strehls >= _GOOD).float().mean(0).tolist()
    names = [f"share of Strehl >= {_GOOD} at {step * env.simulation.per_step} exposures" for step in range(len(shares))]
    return Examined(env.config.knobs, first, dict(zip(names, shares, strict=True)))


def _environment(
    plan: TrainingPlan, overrides: Mapping[str, Any], count: int | None = None
) -> AlignSTEMVectorEnv:
    known = {**(AlignSTEMEnv.presets[plan.preset] if plan.preset else {}), **overrides}
    fields = {
        "observation": "cross_spectrum",
        "exposures": plan.corrections * len(known.get("diagnostic", ({}, {}))),
        "hold": plan.corrections + 1,  # what is aligned is to be looked at too
        "specimen": {"pool": plan.specimens},
    }
    return AlignSTEMVectorEnv(count or plan.batch, preset=plan.preset, **(fields | dict(overrides)))


def _begin(env: AlignSTEMVectorEnv, plan: TrainingPlan) -> Tensor:
    """Begin one episode after another, so that every batch holds all stages; return the first pictures."""
    seen, _ = env.reset(seed=plan.seed)
    turn = np.arange(plan.batch) % plan.corrections
    for stage in range(1, plan.corrections):
        env.step(np.zeros(env.action_space.shape, np.float32))
        seen, _ = env.reset(options={"reset_mask": turn == stage})
    return _seen(seen)


def _seen(observation: Mapping[str, np.ndarray]) -> Tensor:
    return torch.from_numpy(observation["picture"])


def _corrections(env: AlignSTEMVectorEnv, mean: Tensor) -> np.ndarray:
    """Return the actions that put right what the network believes, ``(B, A)``."""
    actions = np.zeros(env.action_space.shape, np.float32)
    actions[:, : mean.shape[1]] = -mean.numpy()
    return actions


def _spread(config: AlignConfig) -> list[float]:
    """Return standard deviations of the misalignment at the start, in the order of the knobs [rad]."""
    units = Column(config, torch.device("cpu")).unit.tolist()
    return [unit * _deviation(config.offsets.get(name, 0.0)) for name, unit in zip(config.knobs, units, strict=True)]


def _deviation(varied: float | Range) -> float:
    return (varied.high - varied.low) / math.sqrt(12) if isinstance(varied, Range) else max(abs(varied), 1e-3)


def _rate(progress: float) -> float:
    return min(progress * 20 + 0.02, 1.0) * (1 + math.cos(math.pi * progress)) / 2

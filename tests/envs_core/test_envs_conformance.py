"""Every registered environment and preset is held to the suite, and the suite catches what is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from ball import Ball, BallSimulation
from torch import Tensor

from beamwright.envs import ENVIRONMENTS
from beamwright.envs.core import Outcome, Streams
from beamwright.testing import check_environment

FEW: dict[str, Any] = {"specimen": {"pool": 8}}  # specimens, so that environments are made fast
CASES: dict[str, dict[str, Any]] = {
    "beamwright/AlignSTEM-v0": FEW,
    "beamwright/AlignTEM-v0": FEW,
    "beamwright/SparseScan-v0": FEW,
    "beamwright/SparseScanTiles-v0": FEW,
    "beamwright/TrackDrift-v0": {},
}
"""Overrides by id; an environment without an entry fails."""


def presets() -> list[tuple[str, str | None]]:
    return [(entry.name, preset) for entry in ENVIRONMENTS for preset in (None, *entry.load().presets)]


@pytest.mark.parametrize(("name", "preset"), presets())
def test_an_environment_keeps_the_rules(name: str, preset: str | None) -> None:
    assert name in CASES, f"add a case for {name}: what makes it small, or an empty mapping"
    check_environment(name, preset, overrides=CASES[name])


def test_cases_are_of_registered_environments() -> None:
    assert CASES.keys() == set(ENVIRONMENTS.names())


def test_the_toy_keeps_the_rules(ball: str) -> None:
    for preset in (None, "long", "far"):
        check_environment(ball, preset)


class Wild(BallSimulation):
    def observe(self, state: Ball) -> dict[str, Tensor]:
        return {"place": state.place.new_full(state.place.shape, torch.nan), "step": state.steps[:, None]}


class Endless(BallSimulation):
    def advance(self, state: Ball, action: Tensor, streams: Streams) -> tuple[Ball, Outcome]:
        after, outcome = super().advance(replace(state, steps=torch.zeros_like(state.steps)), action, streams)
        never = torch.zeros_like(outcome.terminated)
        return replace(after, place=after.place.clamp(-2, 2)), Outcome(outcome.reward, never, never)


class Infinite(BallSimulation):
    def advance(self, state: Ball, action: Tensor, streams: Streams) -> tuple[Ball, Outcome]:
        after, outcome = super().advance(state, action, streams)
        return after, replace(outcome, reward=outcome.reward / 0)


class Forgetful(BallSimulation):
    def info(self, state: Ball) -> dict[str, Tensor]:
        info = super().info(state)
        return info if (state.steps == 0).all() else {"far": info["far"]}


class InPlace(BallSimulation):
    def advance(self, state: Ball, action: Tensor, streams: Streams) -> tuple[Ball, Outcome]:
        state.place.mul_(0.999)
        return super().advance(state, action, streams)


class Neighbourly(BallSimulation):
    """What one environment gets depends on those beside it."""

    def advance(self, state: Ball, action: Tensor, streams: Streams) -> tuple[Ball, Outcome]:
        after, outcome = super().advance(state, action, streams)
        return replace(after, place=after.place + 0.2 * len(after.place)), outcome


class Deaf(BallSimulation):
    """Its episodes do not come from the streams."""

    def initial(self, streams: Streams) -> Ball:
        ball = super().initial(streams)
        return replace(ball, place=torch.ones_like(ball.place), noise=torch.zeros_like(ball.noise))


class Restless(BallSimulation):
    """Its randomness is not that of the streams."""

    def advance(self, state: Ball, action: Tensor, streams: Streams) -> tuple[Ball, Outcome]:
        return super().advance(state, action + 0.1 * torch.randn_like(action), streams)


class Blank(BallSimulation):
    def draw(self, state: Ball, index: int) -> np.ndarray:
        return np.zeros((64, 64, 3), np.uint8)


class Odd(BallSimulation):
    def draw(self, state: Ball, index: int) -> np.ndarray:
        return super().draw(state, index)[:63]


class Growing(BallSimulation):
    def draw(self, state: Ball, index: int) -> np.ndarray:
        return np.repeat(super().draw(state, index), 1 + int(state.steps[index]), axis=0)


class Frozen(BallSimulation):
    def draw(self, state: Ball, index: int) -> np.ndarray:
        return np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Wild, "observation"),
        (Endless, "An episode of random play must end within 50 steps"),
        (Infinite, "reward"),
        (Forgetful, "Infos must keep their keys"),
        (InPlace, "simulation.advance must not change the state in place"),
        (Neighbourly, "differ between SyncVectorEnv and the batched environment"),
        (Deaf, "Another seed must give another episode"),
        (Restless, "[Dd]eterministic|differ"),
        (Blank, "A picture must not be blank"),
        (Odd, r"Videos need even sides: \(63, 64, 3\)"),
        (Growing, "Pictures must keep their size"),
        (Frozen, "Pictures must show what an action did"),
    ],
)
def test_what_is_broken_is_found(register: Any, kind: type[BallSimulation], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_environment(register(kind), longest=50)


def test_a_manual_that_forgets_a_preset_is_found(register: Any) -> None:
    name = register(BallSimulation, presets={"hidden": {}})
    with pytest.raises(AssertionError, match='docstring of TestedEnv must tell about "hidden"'):
        check_environment(name)

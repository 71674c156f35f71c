"""One thread, and environments that exist for a test only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import pytest
import torch
from ball import BallConfig, BallEnv, BallVectorEnv

from beamwright.envs.core import MicroscopeEnv, MicroscopeVectorEnv, Simulation


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def ball() -> Iterator[str]:
    """The id of the toy environment."""
    yield from registered("beamwright-tests/Ball-v0", BallEnv, BallVectorEnv)


@pytest.fixture
def register() -> Iterator[Any]:
    """A function that registers a simulation as an environment and returns its id."""
    names: list[str] = []

    def make(kind: type[Simulation[Any]], **parts: Any) -> str:
        shells = {
            "simulation": kind,
            "config": BallConfig,
            "presets": BallEnv.presets,
            "__doc__": BallEnv.__doc__,
        }
        single = type("TestedEnv", (MicroscopeEnv,), shells | parts)
        vector = type("TestedVectorEnv", (MicroscopeVectorEnv,), shells | parts)
        names.append(f"beamwright-tests/{kind.__name__}-v0")
        gymnasium.register(names[-1], entry_point=single, vector_entry_point=vector)
        return names[-1]

    yield make
    for name in names:
        gymnasium.registry.pop(name)


def registered(name: str, single: Any, vector: Any) -> Iterator[str]:
    gymnasium.register(name, entry_point=single, vector_entry_point=vector)
    yield name
    gymnasium.registry.pop(name)

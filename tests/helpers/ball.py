"""A toy environment: a ball that is to be pushed to the origin while noise pushes too."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from beamwright.envs.core import (
    EnvConfig,
    MicroscopeEnv,
    MicroscopeVectorEnv,
    Outcome,
    Simulation,
    Streams,
    Varied,
    draw,
)


class BallConfig(EnvConfig):
    """The ball's world."""

    steps: int = 6
    noise: Varied = 0.2
    start: Varied = 1.0


@dataclass(frozen=True)
class Ball:
    place: Tensor  # (B, 2)
    noise: Tensor  # (B,)
    steps: Tensor  # (B,)


class BallSimulation(Simulation[Ball]):
    config: BallConfig

    def __init__(self, config: BallConfig) -> None:
        super().__init__(config)
        self.action_space = spaces.Box(-1, 1, (2,), np.float32)
        self.observation_space = spaces.Dict(
            {"place": spaces.Box(-2, 2, (2,), np.float32), "step": spaces.Box(0, 255, (1,), np.uint8)}
        )

    def initial(self, streams: Streams) -> Ball:
        noise = draw(self.config.noise, streams, split=self.config.split)
        start = draw(self.config.start, streams, split=self.config.split)
        place = start[:, None] * streams.normal(2)
        return Ball(place, noise, torch.zeros(streams.count, dtype=torch.int64, device=streams.device))

    def advance(self, state: Ball, action: Tensor, streams: Streams) -> tuple[Ball, Outcome]:
        assert (state.steps < self.config.steps).all(), "an episode that has ended is not advanced"
        place = state.place + action + state.noise[:, None] * streams.normal(2)
        after, far = replace(state, place=place, steps=state.steps + 1), place.norm(dim=1)
        return after, Outcome(-far, far < 0.4, after.steps >= self.config.steps)

    def observe(self, state: Ball) -> dict[str, Tensor]:
        return {"place": state.place, "step": state.steps[:, None]}

    def info(self, state: Ball) -> dict[str, Tensor]:
        far = state.place.norm(dim=1)
        return {"far": far, "near": far < 0.4, "steps": state.steps, "place": state.place}

    def draw(self, state: Ball, index: int) -> np.ndarray:
        picture = np.zeros((64, 64, 3), np.uint8)
        row, column = ((state.place[index].clamp(-2, 2) + 2) / 4 * 59).long().tolist()
        picture[row : row + 5, column : column + 5] = 255
        return picture


class BallEnv(MicroscopeEnv):
    """Purpose: none. Action space, observation space, reward, start, end; presets: ``long``, ``far``."""

    simulation, config = BallSimulation, BallConfig
    presets = {"long": {"steps": 12}, "far": {"start": {"low": 1.0, "high": 4.0, "held_out": [2.0, 3.0]}}}  # noqa: RUF012


class BallVectorEnv(MicroscopeVectorEnv):
    """Many of `BallEnv`."""

    simulation, config, presets = BallSimulation, BallConfig, BallEnv.presets

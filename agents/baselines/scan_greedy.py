"""Greedy by predicted error: the baseline to beat."""

from __future__ import annotations

import torch
from gymnasium import spaces
from torch import Tensor
from typing import Any
from beamwright.agents.baselines.baseline import StateBaseline
from beamwright.agents.baselines.scan_base import SCANS, aimed
from beamwright.envs.sparse_scan import ScanState
from beamwright.envs.sparse_scan.scores import Outlook
from dataclasses import replace

class Greedy(StateBaseline):
    environments = SCANS
    def __init__(self, *, blur: float = 3.0, power: float = 1.0) -> None:
        self.blur, self.power = blur, power
    def reset(self, env: Any) -> None:
        super().reset(env)
        sim = self.env.simulation
        self._outlook = Outlook(sim.scan_config.shape, self.blur, sim.device)
    def expected(self, state):
        return state.predicted
    def choose(self, state: ScanState) -> Tensor:
        moves = self.env.simulation.moves
        err = self.expected(state) ** self.power
        scores = moves.scores(replace(state, predicted=err), lambda places: self._outlook(err, places))
        best = torch.where(moves.mask(state), scores, -1.0).argmax(1)
        if isinstance(moves.space, spaces.Box):
            a = moves.angle[best]
            return aimed(self.env.simulation, torch.stack((a.sin(), a.cos()), 1))
        return best

class Oracle(Greedy):
    def expected(self, state):
        return (state.specimen - state.reconstruction) ** 2

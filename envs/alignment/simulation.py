"""The course of an episode of alignment: correct, expose, judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from beamwright.envs.alignment.action import Action, ActionLayout
from beamwright.envs.alignment.bench import Bench
from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.config import AlignConfig
from beamwright.envs.alignment.observation import ObservationLayout
from beamwright.envs.alignment.physics import SimulatedBench
from beamwright.envs.alignment.render import draw
from beamwright.envs.alignment.reward import reward
from beamwright.envs.alignment.types import AlignState, Quality
from beamwright.envs.core import Observation, Outcome, Simulation, Streams, map_tensors

__all__ = ["AlignSimulation"]

Tree = TypeVar("Tree")


class AlignSimulation(Simulation[AlignState]):
    """Alignment of a column, batched.

    An episode begins with exposures. A step corrects, then exposes while exposures are left; the last
    correction is judged without one. So n exposures in steps of E give n / E corrections.

    Parameters
    ----------
    config
        Of one of the two environments.
    bench
        Makes what is exposed of a column and a layout of actions; by default simulated.

    Raises
    ------
    MicroscopeError
        If no microscope could be as the configuration says.
    """

    config: AlignConfig

    def __init__(
        self, config: AlignConfig, bench: Callable[[Column, ActionLayout], Bench] = SimulatedBench
    ) -> None:
        super().__init__(config)
        self.layout = ActionLayout(config)
        self.column = Column(config, self.device)
        self.bench = bench(self.column, self.layout)
        self.view = ObservationLayout(self.column, self.layout)
        self.action_space = self.layout.space
        self.observation_space = self.view.space
        self.per_step = len(config.diagnostic)
        self.steps = config.exposures // self.per_step

    def initial(self, streams: Streams) -> AlignState:
        """Return columns that are not aligned, and their first exposures."""
        bench = self.bench.begin(streams)
        choice = torch.zeros(streams.count, len(self.layout.choices), device=self.device)
        everyone = torch.ones(streams.count, dtype=torch.bool, device=self.device)
        bench, shots = self.bench.expose(bench, choice, streams, wanted=everyone)
        quality = self.bench.quality(bench)
        count = torch.zeros(streams.count, dtype=torch.int64, device=self.device)
        course = torch.full((streams.count, self.steps + 1), torch.nan, device=self.device)
        state = AlignState(
            bench=bench,
            choice=choice,
            shots=shots,
            quality=quality,
            exposures=count + self.per_step,
            steps=count,
            held=quality.aligned.long(),
            success=torch.zeros_like(quality.aligned),
            electrons=shots.electrons.double(),
            seconds=shots.seconds.double(),
            errors=course,
            strehls=course,
        )
        return _recorded(state)

    def advance(self, state: AlignState, action: Tensor, streams: Streams) -> tuple[AlignState, Outcome]:
        """Correct, expose, and judge."""
        said = self.layout.split(action)
        goes_on = (state.exposures + self.per_step <= self.config.exposures) & ~said.stop  # (B,)
        turned = self.bench.turn(state.bench, said.corrections, streams)
        exposed, shots = self.bench.expose(turned, said.choice, streams, wanted=goes_on)
        bench = _where(goes_on, exposed, turned)
        quality = self.bench.quality(bench)
        held = torch.where(quality.aligned, state.held + 1, 0)
        success = self._success(quality, held, said, goes_on)
        after = replace(
            state,
            bench=bench,
            choice=_where(goes_on, said.choice, state.choice),
            shots=_where(goes_on, shots, state.shots),
            quality=quality,
            exposures=state.exposures + self.per_step * goes_on,
            steps=state.steps + 1,
            held=held,
            success=success,
            electrons=state.electrons + shots.electrons * goes_on,
            seconds=state.seconds + self.config.dead_time + shots.seconds * goes_on,
        )
        weight = self.bench.excursions.dwell(said.choice) * self.per_step * goes_on
        gained = reward(state.quality, quality, exposed=weight, success=success, config=self.config)
        over = torch.zeros_like(success)
        return _recorded(after), Outcome(gained, success | ~goes_on, over)

    def observe(self, state: AlignState) -> Observation:
        """Return pictures of the last exposures and what else is known."""
        return self.view(state)

    def info(self, state: AlignState) -> dict[str, Tensor]:
        """Return the truth, which the agent does not see, and the costs."""
        quality = state.quality
        return {
            "strehl": quality.strehl,
            "phase_error": quality.phase_error,
            "within_limits": self.column.within_limits(quality.residual),
            "success": state.success,
            "exposures": state.exposures,
            "electrons": state.electrons,
            "seconds": state.seconds,
            "aberrations": quality.residual + self.column.target,
            "misalignment": self.column.misalignment(quality.residual),
        }

    def draw(self, state: AlignState, index: int) -> np.ndarray:
        """Return the exposures, the aberrations against their limits, and the course of the episode."""
        return draw(self, state, index)

    def _success(self, quality: Quality, held: Tensor, said: Action, goes_on: Tensor) -> Tensor:
        """Tell where the episode ends aligned: held for long enough, or stopped in time."""
        if self.config.stop:
            return quality.aligned & ~goes_on
        return held >= self.config.hold


def _where(mask: Tensor, new: Tree, old: Tree) -> Tree:
    """Return a state with the rows of a mask ``(B,)`` new, and the others old."""

    def chosen(one: Tensor, other: Tensor) -> Tensor:
        return one if one is other else torch.where(mask.view(-1, *[1] * (one.ndim - 1)), one, other)

    return map_tensors(chosen, new, old)


def _recorded(state: AlignState) -> AlignState:
    """Write the quality into the course of the episode."""
    # In a batch the shell advances ended episodes too, and drops the result.
    place = state.steps[:, None].clamp_max(state.errors.shape[1] - 1)  # (B, 1)
    return replace(
        state,
        errors=state.errors.scatter(1, place, state.quality.phase_error[:, None]),
        strehls=state.strehls.scatter(1, place, state.quality.strehl[:, None]),
    )

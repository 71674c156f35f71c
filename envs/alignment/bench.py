"""What stands on the bench: a column with a specimen, simulated or real."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from beamwright.envs.alignment.action import ActionLayout
from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.estimator import as_estimator
from beamwright.envs.alignment.excursions import Excursions
from beamwright.envs.alignment.sharpness import sectors_for
from beamwright.envs.alignment.spectra import picture
from beamwright.envs.alignment.types import BenchState, Quality, Shots
from beamwright.envs.core.streams import Streams

__all__ = ["Bench"]


class Bench(ABC):
    """A column that is aligned.

    An episode calls `begin` once, then `turn` and `expose` in each step, and asks for the `quality`.

    Parameters
    ----------
    column
        What no episode changes.
    layout
        What a choice of exposures means.
    """

    def __init__(self, column: Column, layout: ActionLayout) -> None:
        self.column, self.config = column, column.config
        self.excursions = Excursions(column, layout)
        self.sectors = sectors_for(column)
        self.estimator = as_estimator(self.config.estimator)

    @abstractmethod
    def begin(self, streams: Streams) -> BenchState:
        """Return a misaligned column with a specimen."""

    @abstractmethod
    def turn(self, bench: BenchState, delta: Tensor, streams: Streams) -> BenchState:
        """Turn the knobs by ``(B, K)`` [rad] for good, as far as they go."""

    @abstractmethod
    def expose(
        self, bench: BenchState, choice: Tensor, streams: Streams, *, wanted: Tensor
    ) -> tuple[BenchState, Shots]:
        """Take the exposures of a step, with what was chosen of them ``(B, C)``, and turn the knobs back.

        Where they are not `wanted`, ``(B,)`` bool, the result does not matter.
        """

    @abstractmethod
    def quality(self, bench: BenchState) -> Quality:
        """Return how well the column is aligned, without the changes of the exposures."""

    def seen(self, images: Tensor, electrons: Tensor, seconds: Tensor) -> Shots:
        """Return exposures with the figures and the belief that belong to them."""
        config = self.config
        figures = self.sectors.figures(images) if config.observation == "vector" else None
        belief = None
        if self.estimator is not None:
            belief = torch.cat(self.estimator.estimate(picture(images, config.estimator_sees)), dim=1)
        return Shots(images, figures, belief, electrons, seconds)

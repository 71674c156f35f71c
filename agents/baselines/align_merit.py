"""How good a column looks: one figure of the exposures of a step, for those who search for its maximum."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from beamwright.envs.alignment import AlignSimulation, AlignState, AlignSTEMConfig, AlignTEMConfig
from beamwright.envs.alignment.spectra import FLOOR, power
from beamwright.envs.microscope import Grid, thon_rings

__all__ = ["Merit"]


class Merit:
    """A figure that is largest where the column is aligned, from exposures alone.

    Scanned images are sharpest there: the figure is their variance above that of the shot noise. A Ronchigram
    is flattest there: it is minus that. The diffractograms of a TEM are not strongest at the wanted focus,
    but their rings are where they should be: it is the mean of the wanted ``|T|^2`` over the power found
    above the noise, exposure by exposure.

    Parameters
    ----------
    simulation
        Whose exposures they are.
    """

    def __init__(self, simulation: AlignSimulation) -> None:
        self._simulation, self._config = simulation, simulation.config
        ronchigram = isinstance(self._config, AlignSTEMConfig) and self._config.probe == "ronchigram"
        self._sign = -1.0 if ronchigram else 1.0

    def __call__(self, state: AlignState) -> Tensor:
        """Return the figure of the last exposures, ``(B,)``, without unit."""
        found = self._found(state)  # (B, E, M)
        if not isinstance(self._config, AlignTEMConfig):
            return self._sign * found.sum(-1).mean(1)
        total = found.sum(-1).clamp_min(1.0)
        return ((found * self._wanted(state.shots.images is None)).sum(-1) / total).mean(1)

    def _found(self, state: AlignState) -> Tensor:
        """Return the power above the shot noise, in its units, by mode or by sector, ``(B, E, M)``."""
        images, figures = state.shots.images, state.shots.figures
        if images is None:
            assert figures is not None
            return figures.exp() - (1 + FLOOR)
        counts = images.sum((-2, -1)).clamp_min(1.0)[..., None, None]  # (B, E, 1, 1)
        above = power(torch.fft.rfft2(images)) / counts - 1
        above[..., 0, 0] = 0
        return above.flatten(-2)

    @functools.lru_cache(maxsize=2)  # noqa: B019
    def _wanted(self, by_sector: bool) -> Tensor:
        """Return the ``|T|^2`` of each exposure of an aligned column, ``(E, M)``."""
        simulation, column = self._simulation, self._simulation.column
        choice = torch.zeros(1, len(simulation.layout.choices), device=simulation.device)
        excursions = simulation.bench.excursions
        knobs, others = excursions.of_knobs(choice)[0], excursions.of_others(choice)[0]  # (E, K), (E, 2 + N)
        others[:, 2:] += column.target
        size = (self._config.size, self._config.size)
        rings = thon_rings(
            column.aberrations(others, knobs)[0],
            column.names,
            column.optics,
            Grid(size, self._config.sampling),
        )[..., : size[1] // 2 + 1]
        if not by_sector:
            return rings.flatten(1)
        still = torch.zeros(len(rings), simulation.bench.sectors.count, device=simulation.device)
        return simulation.bench.sectors.expected_figures(
            rings, torch.ones_like(still[:, :1]), still
        ).exp() - (1 + FLOOR)

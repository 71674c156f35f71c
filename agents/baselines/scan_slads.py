"""Point by point, each where a regression expects it to reduce the error most."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from beamwright.agents.baselines.scan_base import (
    Path,
    WholeScan,
    points_left,
    points_of,
    shortest_dwell,
    training_streams,
)
from beamwright.agents.baselines.scan_features import PlaceFeatures
from beamwright.agents.baselines.scan_regression import Regression, fit_regression
from beamwright.agents.baselines.scan_tuning import remembered
from beamwright.envs.core import Streams
from beamwright.envs.microscope.paths import halton
from beamwright.envs.sparse_scan import ScanSimulation, ScanState
from beamwright.envs.sparse_scan.survey import path_plan

__all__ = ["Slads", "reduction_of_distortion"]

_PLACES = 40
"""Places of each state that are learned from."""
_DENSE = 0.12
"""Share of the pixels from which on places are single pixels, and not squares of four."""
_LOOKS = 8
"""States of each scan that are learned from."""

Score = Callable[[ScanState], Tensor]
"""Gives what each place promises, ``(B, h, w)``."""


class Slads(WholeScan):
    """A supervised learning approach to dynamic sampling, as in [1]_, on a grid of places.

    A few points are measured on a Halton sequence. Then, again and again, a group of them where a
    regression of features expects the largest reduction of distortion: as in [1]_ the error around a place
    under a Gaussian whose width is its distance from the nearest measurement, divided by c. The error is
    the squared one, and the regression has two small hidden layers instead of quadratic terms, as in its
    successors. It is learned at the first `reset` from scans of training specimens: random ones, then its
    own. The points of a group are kept apart by lowering the score around each.

    Tuned on training specimens of clusters, where a tuned grid reaches 24.8 dB: c of 1, 2 and 4 gave 28.5,
    28.5 and 28.2 dB and structural similarities of 0.85, 0.80 and 0.76; a first share of 0.05, 0.1 and 0.25
    gave 28.6, 28.5 and 28.1; groups of 4 and 8, and points 2, 4 and 6 px apart, were alike.

    The beam jumps from point to point and electrons are all that is counted, so that this is a bound for
    paths.

    Parameters
    ----------
    first
        Share of the points that are measured before looking.
    group
        Points between looks; by default a fiftieth of the budget.
    apart
        Standard deviation of the dip around each point of a group [px].
    c
        Sharpness of the reduction of distortion.
    rounds, episodes
        Of learning.
    dwell
        As in `WholeScan`.

    References
    ----------
    .. [1] G. M. D. P. Godaliyadda et al., IEEE Trans. Comput. Imaging 4, 1 (2018), eqs. 5, 12 and 13.
    """

    def __init__(
        self,
        *,
        first: float = 0.1,
        group: int | None = None,
        apart: float = 4.0,
        c: float = 1.0,
        rounds: int = 3,
        episodes: int = 32,
        dwell: float | None = None,
    ) -> None:
        super().__init__(dwell=dwell)
        self.first, self.group, self.apart, self.c = first, group, apart, c
        self.rounds, self.episodes = rounds, episodes

    def prepare(self, simulation: ScanSimulation) -> None:
        """Learn the regression, unless it was before."""
        options = (self.first, self.group, self.apart, self.c, self.rounds, self.episodes, self.dwell)
        found = remembered(simulation, (type(self), options), self._learn)
        self._features, self._regression = found

    def scan(self, simulation: ScanSimulation, state: ScanState, streams: Streams) -> ScanState:
        """Return the states after the scan."""
        return self._scan(simulation, state, streams, self._promise)

    def path(self, points: int, simulation: ScanSimulation, streams: Streams) -> Path:
        """Return what is measured before looking."""
        return halton(points, simulation.scan_config.shape, streams=streams)

    def _promise(self, state: ScanState) -> Tensor:
        return self._regression(self._features(state))

    def _scan(
        self,
        simulation: ScanSimulation,
        state: ScanState,
        streams: Streams,
        score: Score,
        look: Callable[[ScanState], None] | None = None,
    ) -> ScanState:
        """Return the states after a scan by any score; `look` is shown the states between the groups."""
        dwell = self.dwell or shortest_dwell(simulation.scan_config)
        points = points_left(state, simulation.scan_config, dwell)  # (B,)
        path = self._paths((points * self.first).long().clamp_min(1), simulation, streams)
        left = int(points.max()) - path.shape[1]
        state = simulation.measure(
            state, path_plan(path.to(simulation.device), state, dwell, stay=True), streams
        )
        group = self.group or max(1, round(int(points.max()) / 50))
        groups = -(-left // group)
        for index in range(groups):
            if look is not None and index % max(groups // _LOOKS, 1) == 0:
                look(state)
            chosen = self._choose(score(state), state, min(group, left - index * group))
            state = simulation.measure(state, path_plan(chosen, state, dwell, stay=True), streams)
        return state

    def _choose(self, score: Tensor, state: ScanState, group: int) -> Path:
        """Return the next group of points, ``(B, G, 2)`` [px]."""
        _, rows, columns = score.shape
        chance = (score - score.amax((1, 2), keepdim=True)).exp() * (self._features.pooled(state.dose) == 0)
        place = _places(rows, columns, score.device) * self._features.step  # (h * w, 2) [px]
        chance, chosen = chance.flatten(1), []
        for _ in range(group):
            best = chance.argmax(1)  # (B,)
            chosen.append(place[best])
            far = (place - place[best][:, None]).square().sum(-1)  # (B, h * w) [px^2]
            chance = chance * (1 - torch.exp(-far / (2 * self.apart**2)))
        return torch.stack(chosen, 1)

    def _learn(self, simulation: ScanSimulation) -> tuple[PlaceFeatures, Regression]:
        """Return a regression learned on random scans, then on those that the last one guided."""
        shape = simulation.scan_config.shape
        most = points_of(simulation, simulation.initial(training_streams(simulation, 64)))
        step = 2 if most < _DENSE * shape[0] * shape[1] else 1
        self._features = PlaceFeatures(shape, simulation.device, step=step)
        found: list[tuple[Tensor, Tensor]] = []
        chance = torch.Generator().manual_seed(0)

        def keep(state: ScanState) -> None:
            found.append(self._examples(state, chance))

        for index in range(self.rounds):
            streams = training_streams(simulation, self.episodes, part=2 + index)
            score = self._promise if index else partial(_any_score, self._features.grid, chance)
            self._scan(simulation, simulation.initial(streams), streams, score, keep)
            features, target = (torch.cat(parts) for parts in zip(*found, strict=True))
            self._regression = fit_regression(features, target)
        return self._features, self._regression

    def _examples(self, state: ScanState, chance: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return features and reductions of distortion at random places, ``(M, F)`` and ``(M,)``."""
        features = self._features(state).flatten(1, 2)  # (B, h * w, F)
        count = features.shape[1]
        index = torch.randint(0, count, (len(features), _PLACES), generator=chance).to(features.device)
        error = self._features.pooled((state.reconstruction - state.specimen).square())
        gain = reduction_of_distortion(error, self._features.pooled(state.dose) > 0, index, c=self.c)
        known = features.gather(1, index[..., None].expand(-1, -1, features.shape[-1]))
        return known.flatten(0, 1), gain.flatten()


def reduction_of_distortion(error: Tensor, measured: Tensor, index: Tensor, *, c: float) -> Tensor:
    """Return by how much measuring places would lower the sum of errors, approximately, ``(B, K)``.

    Parameters
    ----------
    error
        ``(B, h, w)``.
    measured
        Which places were measured, ``(B, h, w)`` bool.
    index
        The places to measure, ``(B, K)`` into h * w.
    c
        The Gaussian's standard deviation is the distance from the nearest measurement divided by this.
    """
    _, rows, columns = error.shape
    place = _places(rows, columns, error.device)
    far = (place[index][:, :, None] - place).square().sum(-1)  # (B, K, h * w)
    nearest = torch.where(measured.flatten(1)[:, None], far, torch.inf).amin(2, keepdim=True)  # (B, K, 1)
    width = nearest.clamp(0.25, rows**2 + columns**2) / c**2
    return (error.flatten(1)[:, None] * torch.exp(-far / (2 * width))).sum(2)


def _any_score(grid: tuple[int, int], chance: torch.Generator, state: ScanState) -> Tensor:
    return torch.rand(len(state.dose), *grid, generator=chance).to(state.dose.device)


def _places(rows: int, columns: int, device: torch.device) -> Tensor:
    """Return rows and columns of places in their order, ``(h * w, 2)``."""
    y, x = torch.meshgrid(
        torch.arange(rows, device=device), torch.arange(columns, device=device), indexing="ij"
    )
    return torch.stack((y, x), -1).reshape(-1, 2).float()

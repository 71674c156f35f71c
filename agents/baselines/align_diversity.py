"""Aligning by phase diversity: fit the aberrations to all exposures, put them right, expose again."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from beamwright.agents.baselines.align_base import AlignBaseline
from beamwright.agents.baselines.align_fit import DiversityFit, Fitted, Record
from beamwright.agents.baselines.align_model import ExposureModel
from beamwright.agents.baselines.align_parameters import Parameters, Settings, parameters_of
from beamwright.envs.alignment import AlignSimulation, AlignState
from beamwright.errors import MicroscopeError

__all__ = ["PhaseDiversity"]


class PhaseDiversity(AlignBaseline):
    """The phase-diversity fit: no learning, one start table, maximum likelihood over all exposures so far.

    The first exposures are compared with a table of what misalignments would make of any specimen; the most
    likely ones stay candidates for the episode. After each step those that explain all exposures best are
    refined by Gauss-Newton descents, and the knobs are turned by what the best descent says. What else the
    configuration says may vary (other aberrations, the response of the knobs, a drift) is fitted as well.

    Parameters
    ----------
    points
        Of the start table, evenly spread over what may be.
    candidates
        How many of them stay.
    starts
        Descents at the first step; later ones, which have more exposures to choose by, make a quarter of them.
    steps
        Of each descent; after half of them only the best quarter goes on.
    regularisation, modes
        As those of `DiversityFit`.
    surely
        Where the environment lets the agent stop: it does with an uncertainty below this [rad].
    """

    def __init__(
        self,
        *,
        points: int = 8192,
        candidates: int = 128,
        starts: int = 16,
        steps: int = 10,
        regularisation: float = 1e-7,
        modes: int = 64,
        surely: float = 0.25,
    ) -> None:
        self.points, self.candidates, self.starts, self.steps = points, candidates, starts, steps
        self.regularisation, self.modes, self.surely = regularisation, modes, surely

    def reset(self, env: Any) -> None:
        """Begin with an environment that was just reset.

        Raises
        ------
        MicroscopeError
            If the environment makes no images.
        """
        super().reset(env)
        if self.env.state.shots.images is None:
            raise MicroscopeError(
                "A fit needs the counts of the exposures, and observation is vector without an estimator: observe "
                "images, spectrum or cross_spectrum, or search for a figure of merit (nelder-mead, coordinates)."
            )
        self.parameters: Parameters = parameters_of(self.simulation.column)
        self.fit = DiversityFit(
            ExposureModel(self.parameters), regularisation=self.regularisation, modes=self.modes
        )
        self._log = _Log(self.simulation, len(self.env.state.steps))
        self._kept: dict[int, Tensor] = {}  # candidates by environment, (C, P)

    def choose(self, state: AlignState) -> Tensor:
        """Fit all exposures so far, and correct."""
        self._log.add(state)
        setting = state.bench.corrector.setting  # (B, K)
        corrections, sure = torch.zeros_like(setting), torch.zeros_like(state.held, dtype=torch.bool)
        for steps in state.steps.unique().tolist():
            rows = (state.steps == steps).nonzero()[:, 0]
            fitted = self._fitted(self._log.record(rows, steps + 1), rows, first=steps == 0)
            corrections[rows] = self.parameters.corrections(fitted.values[:, 0], setting[rows])
            spread = fitted.covariance.diagonal(dim1=1, dim2=2)[:, : self.parameters.knobs].sqrt()  # (b, K)
            sure[rows] = self.phase_left(spread) < self.surely
        return self.actions(corrections, sure & (state.steps > 0))

    def starting(self, record: Record, rows: Tensor, *, first: bool) -> Tensor:
        """Return candidates for some environments, ``(b, C, P)``.

        Parameters
        ----------
        record
            Of their exposures so far.
        rows
            Which environments they are, ``(b,)``.
        first
            Whether their episodes have just begun.
        """
        if not first:
            return torch.stack([self._kept[row] for row in rows.tolist()])
        points = self.parameters.draw(self.points)  # (N, P)
        likely = self.fit.table(record, points).topk(min(self.candidates, self.points), largest=False).indices
        return points[likely]

    def _fitted(self, record: Record, rows: Tensor, *, first: bool) -> Fitted:
        """Rank candidates over all exposures, descend from the best, and keep both."""
        candidates = self.starting(record, rows, first=first)
        count = self.starts if first else max(1, self.starts // 4)
        order = self.fit.misfits(record, candidates).argsort(1)[:, :count]  # (b, S)
        starts = candidates.gather(1, order[..., None].expand(-1, -1, candidates.shape[2]))
        half = self.steps // 2
        begun = self.fit.descend(record, starts, steps=half)
        fitted = self.fit.descend(record, begun.values[:, : max(1, count // 4)], steps=self.steps - half)
        kept = torch.cat([candidates[:, : self.candidates], begun.values, fitted.values], dim=1)
        self._kept |= dict(zip(rows.tolist(), kept, strict=True))
        return fitted


class _Log:
    """All exposures of the episodes that are running.

    Parameters
    ----------
    simulation
        Takes them.
    count
        Number of environments, B.
    """

    def __init__(self, simulation: AlignSimulation, count: int) -> None:
        self._simulation, config = simulation, simulation.config
        exposures, columns = simulation.per_step * (simulation.steps + 1), len(simulation.column.names)
        modes = config.size * (config.size // 2 + 1)
        device = simulation.device
        self._spectra = torch.zeros(count, exposures, modes, dtype=torch.complex64, device=device)
        self._counts = torch.ones(count, exposures, device=device)
        times = torch.arange(exposures, device=device) * (config.dead_time + config.exposure_time)
        self._settings = Settings(
            torch.zeros(count, exposures, len(config.knobs), device=device),
            torch.zeros(count, exposures, 2 + columns, device=device),
            times.expand(count, -1),
        )

    def add(self, state: AlignState) -> None:
        """Write down the last exposures of each environment."""
        images, per_step = state.shots.images, self._simulation.per_step
        assert images is not None
        excursions, counts = self._simulation.bench.excursions, images.sum((-2, -1)).clamp_min(1.0)  # (B, E)
        rows = torch.arange(len(images), device=images.device)[:, None]
        places = state.steps[:, None] * per_step + torch.arange(per_step, device=images.device)  # (B, E)
        spectra = torch.fft.rfft2(images).flatten(2) / counts.sqrt()[..., None]
        self._spectra[rows, places], self._counts[rows, places] = spectra, counts
        knobs = state.bench.corrector.setting[:, None] + excursions.of_knobs(state.choice)
        self._settings.knobs[rows, places] = knobs
        self._settings.others[rows, places] = excursions.of_others(state.choice).expand(len(images), -1, -1)

    def record(self, rows: Tensor, steps: int) -> Record:
        """Return what some environments gave in so many steps."""
        until = steps * self._simulation.per_step
        counts = self._counts[rows, :until]
        chosen = (part[rows, :until] for part in vars(self._settings).values())
        return Record(self._spectra[rows, :until], (counts / counts.mean(1, keepdim=True)).sqrt(), Settings(*chosen))

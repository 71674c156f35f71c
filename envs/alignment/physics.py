"""What an action does: knobs turn, time passes, and the detector counts."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from beamwright.envs.alignment.action import ActionLayout
from beamwright.envs.alignment.bench import Bench
from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.exposure import Exposure, exposure_for
from beamwright.envs.alignment.generator import draw_corrector_state, draw_fixed, draw_specimen_drift
from beamwright.envs.alignment.types import BenchState, Quality, Shots
from beamwright.envs.core.config import draw
from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.corrector import CorrectorState, actual, command
from beamwright.envs.microscope.criteria import phase_error, strehl_ratio
from beamwright.envs.microscope.drift import wait
from beamwright.envs.microscope.specimens import specimen_pool

__all__ = ["SimulatedBench"]


class SimulatedBench(Bench):
    """A simulated column with a specimen, batched.

    Parameters
    ----------
    column, layout
        As of every bench.

    Raises
    ------
    MicroscopeError
        If there are no such specimens, or the optics do not fit the pixels.

    Warns
    -----
    PhysicsWarning
        If the specimens do not fit the model of imaging.
    """

    def __init__(self, column: Column, layout: ActionLayout) -> None:
        super().__init__(column, layout)
        self._exposure: Exposure = exposure_for(column)
        self._exposure.check_optics()
        self._pool = specimen_pool(
            self.config.specimen,
            shape=column.grid.shape,
            pixel_size=self.config.sampling,
            split=self.config.split,
            device=str(column.device),
        )
        self._exposure.check_specimens(self._pool.specimens)

    def begin(self, streams: Streams) -> BenchState:
        """Return a specimen in a misaligned column."""
        config = self.config
        return BenchState(
            specimen=self._exposure.prepare(self._pool.draw(streams)),
            fixed=draw_fixed(self.column, streams),
            corrector=draw_corrector_state(self.column, streams),
            counts=draw(config.counts, streams, split=config.split),
            background=draw(config.background, streams, split=config.split),
            drift=draw_specimen_drift(config, streams),
        )

    def turn(self, bench: BenchState, delta: Tensor, streams: Streams) -> BenchState:
        """Turn the knobs by ``(B, K)`` [rad] for good, as far as they go, and wait the dead time."""
        limit = self.config.setting_limit
        setting = bench.corrector.setting
        delta = (setting + delta).clamp(-limit, limit) - setting
        return replace(bench, corrector=command(bench.corrector, delta, self.config.dead_time, streams))

    def expose(
        self, bench: BenchState, choice: Tensor, streams: Streams, *, wanted: Tensor
    ) -> tuple[BenchState, Shots]:
        """Take the exposures of a step, wanted or not, with what was chosen of them ``(B, C)``."""
        dwell = self.excursions.dwell(choice)  # (B,)
        time = self.config.exposure_time * dwell
        corrector, quantities = self._excursion(
            bench.corrector, self.excursions.of_knobs(choice), time, streams
        )
        drift, positions = bench.drift, []
        for _ in self.config.diagnostic:
            drift = wait(drift, self.config.dead_time + time, streams)
            positions.append(drift.position)
        bench = replace(bench, corrector=corrector, drift=drift)
        fixed = bench.fixed[:, None] + self.excursions.of_others(choice)  # (B, E, 2 + N)
        aberrations, shift = self.column.aberrations(fixed.flatten(0, 1), quantities.flatten(0, 1))
        shift = shift + torch.stack(positions, 1).flatten(0, 1)  # (B * E, 2)
        return bench, self._shots(bench, aberrations, shift, dwell, streams)

    def quality(self, bench: BenchState) -> Quality:
        """Return how well the column is aligned, without the changes of the exposures."""
        column, config = self.column, self.config
        residual = column.aberrations(bench.fixed, actual(bench.corrector))[0] - column.target
        strehl = strehl_ratio(residual, column.names, column.optics)
        aligned = (
            column.within_limits(residual) if config.criterion == "quarter_wave" else strehl >= config.strehl
        )
        return Quality(residual, phase_error(residual, column.names, column.optics), strehl, aligned)

    def _excursion(
        self, corrector: CorrectorState, changes: Tensor, time: Tensor, streams: Streams
    ) -> tuple[CorrectorState, Tensor]:
        """Change the knobs ``(B, E, K)`` for each exposure and go back; return also the quantities."""
        start, quantities = corrector.setting, []
        for change in changes.unbind(1):
            corrector = command(corrector, start + change - corrector.setting, self.config.dead_time, streams)
            quantities.append(actual(corrector))
        # Nothing drifts within an exposure, as no image is blurred by it: their time passes at the end.
        corrector = command(corrector, start - corrector.setting, time * changes.shape[1], streams)
        return corrector, torch.stack(quantities, 1)

    def _shots(
        self, bench: BenchState, aberrations: Tensor, shift: Tensor, dwell: Tensor, streams: Streams
    ) -> Shots:
        exposures = len(self.config.diagnostic)
        counts = bench.counts * dwell  # (B,)
        cost = (
            counts * self.config.size**2 * exposures / self.config.detected,
            exposures * (self.config.dead_time + self.config.exposure_time * dwell),
        )
        spectrum = bench.specimen.repeat_interleave(exposures, 0)  # (B * E, H, W // 2 + 1)
        power = self._exposure.power(spectrum, aberrations) if self._figures_only else None
        if power is not None:
            return Shots(None, self._figures(power, counts, bench.background, streams), None, *cost)
        expected = self._exposure.image(spectrum, aberrations, shift).unflatten(0, (-1, exposures))
        share = bench.background[:, None, None, None]
        rate = counts[:, None, None, None] * (self._cropped(expected) * (1 - share) + share)
        return self.seen(streams.poisson(rate.clamp_min(0)), *cost)

    def _figures(self, power: Tensor, counts: Tensor, background: Tensor, streams: Streams) -> Tensor:
        exposures = len(self.config.diagnostic)
        power = (
            power.unflatten(0, (-1, exposures)) * (counts * (1 - background)).square()[:, None, None, None]
        )
        noise = streams.normal(exposures, self.sectors.count)
        return self.sectors.expected_figures(power, counts[:, None] * self.config.size**2, noise)

    @property
    def _figures_only(self) -> bool:
        return self.config.observation == "vector" and self.config.estimator is None

    def _cropped(self, images: Tensor) -> Tensor:
        margin = self.config.margin
        return images[..., margin:-margin, margin:-margin] if margin else images

"""A real column instead of the simulated one: whatever stands behind the protocol of a microscope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from beamwright.envs.alignment.action import ActionLayout
from beamwright.envs.alignment.bench import Bench
from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.config import TILTS
from beamwright.envs.alignment.types import BenchState, Quality, Shots
from beamwright.envs.alignment.variants import AlignSTEMConfig, AlignTEMConfig
from beamwright.envs.core.streams import Streams
from beamwright.envs.instrument import Frame, Microscope
from beamwright.envs.microscope.corrector import ideal_corrector, rest
from beamwright.envs.microscope.drift import Drift
from beamwright.errors import MicroscopeError

__all__ = ["FlownBench"]


class FlownBench(Bench):
    """A microscope that is flown, a batch of one.

    Its settings at the beginning of an episode are where the knobs are at zero; what they do to the
    aberrations nobody knows, so the quality of the alignment is not a number.

    Parameters
    ----------
    column, layout
        As of a simulated bench.
    microscope
        What is flown.

    Raises
    ------
    MicroscopeError
        If the microscope lacks a control or a detector that the configuration needs.
    """

    def __init__(self, column: Column, layout: ActionLayout, microscope: Microscope) -> None:
        super().__init__(column, layout)
        self.microscope = microscope
        self._start: Mapping[str, float] = {}
        self._check()

    def begin(self, streams: Streams) -> BenchState:
        """Take the microscope as it is set."""
        self._start = self.microscope.get()
        device, knobs, fixed = self.column.device, len(self.config.knobs), len(TILTS) + len(self.column.names)
        unknown = torch.full((1, fixed), torch.nan, device=device)
        zero = torch.zeros(1, device=device)
        return BenchState(
            specimen=torch.zeros(1, device=device),
            fixed=unknown,
            corrector=rest(
                ideal_corrector(1, knobs, device=device), torch.full((1, knobs), torch.nan, device=device)
            ),
            counts=zero,
            background=zero,
            drift=Drift(torch.zeros(1, 2, device=device), torch.zeros(1, 2, device=device), zero, zero),
        )

    def turn(self, bench: BenchState, delta: Tensor, streams: Streams) -> BenchState:
        """Turn the knobs for good, as far as the microscope's limits let them."""
        limit = self.config.setting_limit
        wanted = (bench.corrector.setting + delta).clamp(-limit, limit)
        reached = self._command(wanted, torch.zeros_like(bench.fixed))
        return replace(bench, corrector=replace(bench.corrector, setting=reached))

    def expose(
        self, bench: BenchState, choice: Tensor, streams: Streams, *, wanted: Tensor
    ) -> tuple[BenchState, Shots]:
        """Take the exposures of a step if they are wanted, and set the microscope back."""
        if not bool(wanted):
            return bench, self._nothing(choice)
        dwell = float(self.excursions.dwell(choice))
        setting, before = bench.corrector.setting, self.microscope.spent
        images = []
        changes = zip(self.excursions.of_knobs(choice)[0], self.excursions.of_others(choice)[0], strict=True)
        for knobs, others in changes:
            self._command(setting + knobs, others[None])
            images.append(self.microscope.acquire(self._frame(dwell)).image)
        self._command(setting, torch.zeros_like(bench.fixed))
        spent = self.microscope.spent
        cost = (spent.electrons - before.electrons, spent.seconds - before.seconds)
        stack = torch.from_numpy(np.stack(images)[None].astype(np.float32)).to(choice.device)  # (1, E, H, W)
        return bench, self.seen(
            stack, *(torch.full((1,), float(value), device=choice.device) for value in cost)
        )

    def _nothing(self, choice: Tensor) -> Shots:
        """Return exposures without an electron."""
        exposures, size = len(self.config.diagnostic), self.config.size
        zero = torch.zeros(1, device=choice.device)
        return self.seen(torch.zeros(1, exposures, size, size, device=choice.device), zero, zero)

    def quality(self, bench: BenchState) -> Quality:
        """Return not-a-number: only a simulation knows how well it is aligned."""
        unknown = bench.fixed[:, 0]
        return Quality(
            bench.fixed[:, len(TILTS) :], unknown, unknown, torch.zeros_like(unknown, dtype=torch.bool)
        )

    def _command(self, setting: Tensor, others: Tensor) -> Tensor:
        """Set the knobs ``(1, K)`` [rad] and what else changes; return what they reached."""
        limits, start = self.microscope.limits, self._start
        changes = (setting[0] / self.column.unit).tolist()  # [nm] or [mrad]
        names = (*TILTS, *self.column.names)
        wanted = {
            name: change
            for name, change in zip(names, others[0].tolist(), strict=True)
            if name in self._others
        }
        wanted |= dict(zip(self.config.knobs, changes, strict=True))
        values = {
            name: min(max(start[name] + change, limits[name].low), limits[name].high)
            for name, change in wanted.items()
        }
        self.microscope.set(values)
        reached = [values[name] - start[name] for name in self.config.knobs]
        return torch.tensor([reached], device=setting.device) * self.column.unit

    @property
    def _others(self) -> set[str]:
        """What the exposures change beside the knobs."""
        changed = {name for exposure in self.config.diagnostic for name in exposure}
        changed |= {"C10"} if "defocus" in self.config.choose else set()
        changed |= set(TILTS) if "tilt" in self.config.choose else set()
        return changed - set(self.config.knobs)

    def _frame(self, dwell: float) -> Frame:
        """Return what is to be acquired with so many normal dwells."""
        detector, size, time = self._detector, self.config.size, self.config.exposure_time * dwell * 1e6
        pixel = (
            self.column.grid.steps(self.config.voltage)[0]
            if detector == "ronchigram"
            else self.config.sampling
        )
        return Frame((size, size), pixel, time / size**2 if detector == "haadf" else time, detector)

    @property
    def _detector(self) -> str:
        if isinstance(self.config, AlignTEMConfig):
            return "camera"
        ronchigram = isinstance(self.config, AlignSTEMConfig) and self.config.probe == "ronchigram"
        return "ronchigram" if ronchigram else "haadf"

    def _check(self) -> None:
        missing = sorted({*self.config.knobs, *self._others} - set(self.microscope.limits))
        if missing:
            raise MicroscopeError(
                f"{self.microscope.name} has no control {', '.join(missing)}, which this environment turns; "
                f"it has {', '.join(self.microscope.limits)}. Choose other knobs and diagnostic exposures."
            )
        if self._detector not in self.microscope.detectors:
            raise MicroscopeError(
                f"{self.microscope.name} has no detector {self._detector}, which this environment exposes "
                f"with; it has {', '.join(self.microscope.detectors)}."
            )

"""A real field of view instead of the simulated one: whatever stands behind the protocol of a microscope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.instrument import Frame, Microscope
from beamwright.envs.microscope.corrector import CorrectorState
from beamwright.envs.microscope.drift import Drift
from beamwright.envs.track_drift.generator import AXES
from beamwright.envs.track_drift.physics import Field
from beamwright.envs.track_drift.types import TrackState
from beamwright.errors import MicroscopeError

__all__ = ["FlownField"]


@dataclass(frozen=True, eq=False)
class FlownField(Field):
    """A microscope that is flown, a batch of one, whose true offsets nobody knows.

    Parameters
    ----------
    config, device
        As of a simulated field.
    microscope
        What is flown.

    Raises
    ------
    MicroscopeError
        If the microscope lacks a control, or offsets were to be observed, which only a simulation measures.
    """

    microscope: Microscope = field(kw_only=True)
    _start: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = sorted(set(AXES) - set(self.microscope.limits))
        if missing:
            raise MicroscopeError(
                f"{self.microscope.name} has no control {', '.join(missing)}, which tracking turns; it has "
                f"{', '.join(self.microscope.limits)}."
            )
        if self.config.observation != "images":
            raise MicroscopeError(
                'A real microscope gives images, not offsets: choose observation = "images" '
                f"instead of {self.config.observation!r}."
            )

    def check(self) -> None:
        """Nothing is simulated, so that nothing can be impossible."""

    def settle(self, steering: CorrectorState, seconds: Tensor | float) -> CorrectorState:
        """Return the same: the microscope does it by itself."""
        return steering

    def specimen(self, streams: Streams) -> Tensor:
        """Take the microscope as it is set; what lies there is not known."""
        self._start.update(self.microscope.get())
        return torch.zeros(1, device=self.device)

    def offsets(self, drift: Drift, steering: CorrectorState) -> Tensor:
        """Return not-a-number."""
        return torch.full_like(drift.position, torch.nan)

    def steer(self, steering: CorrectorState, correction: Tensor, streams: Streams) -> CorrectorState:
        """Correct by ``(1, 3)`` [nm], as far as the microscope's limits let it."""
        wanted = steering.setting * self.tolerances + correction
        reached = self._command(wanted)
        return replace(steering, setting=reached / self.tolerances)

    def acquire(self) -> None:
        """Acquire a frame, during which everything drifts."""
        self.microscope.acquire(self._frame(self.config.frame_time))

    def patches(
        self,
        state: TrackState,
        wanted: Tensor,
        streams: Streams,
        *,
        focus: Sequence[float],
        dose: float = 1.0,
    ) -> tuple[Tensor, Tensor]:
        """Take exposures if they are wanted, and set the focus back."""
        size = self.config.size
        if not bool(wanted):
            return torch.zeros(1, len(focus), size, size, device=self.device), torch.zeros(
                1, device=self.device
            )
        before, setting = self.microscope.spent.electrons, state.steering.setting * self.tolerances
        time = self.config.reference_time / len(self.config.diagnostic) * dose
        images = []
        for change in focus:
            self._command(setting + torch.tensor([0.0, 0.0, change], device=self.device))
            images.append(self.microscope.acquire(self._frame(time)).image)
        self._command(setting)
        electrons = self.microscope.spent.electrons - before
        stack = torch.from_numpy(np.stack(images)[None].astype(np.float32)).to(self.device)  # (1, E, H, W)
        return stack, torch.full((1,), float(electrons), device=self.device)

    def _command(self, wanted: Tensor) -> Tensor:
        """Set shifts and focus ``(1, 3)`` [nm]; return what they reached within their limits."""
        limits = self.microscope.limits
        changes = dict(zip(AXES, wanted[0].tolist(), strict=True))
        values = {
            name: min(max(self._start[name] + change, limits[name].low), limits[name].high)
            for name, change in changes.items()
        }
        self.microscope.set(values)
        return torch.tensor([[values[name] - self._start[name] for name in AXES]], device=self.device)

    def _frame(self, time: float) -> Frame:
        """Return an image of a time [s]."""
        size = self.config.size
        return Frame((size, size), self.config.sampling, time * 1e6 / size**2)

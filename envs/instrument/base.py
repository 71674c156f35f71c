"""The bookkeeping of a microscope: what is commanded, refused, waited for and spent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from beamwright.envs.instrument.checks import check_frame, check_path, check_settings
from beamwright.envs.instrument.protocol import (
    ELECTRONS_PER_PA_US,
    Exposure,
    Frame,
    Limit,
    Spent,
    check_dwell,
)
from beamwright.errors import MicroscopeError

__all__ = ["Instrument"]


class Instrument(ABC):
    """A `Microscope` that wants only the three things that touch the instrument.

    `set`, `acquire` and `scan` refuse what cannot be, call `_apply`, `_expose` or `_read`, and keep the
    account of electrons and seconds. A subclass gives these three, and may read `spent` as its clock: it
    stands at the beginning of what is asked for.

    Parameters
    ----------
    name
        What reports call it.
    limits
        The controls and their bounds; ``"current"`` must be among them, `low` and `high` alike where it
        is fixed.
    settings
        Where the controls stand at the beginning; by default at 0, or at the bound nearest to it.
    detectors
        Detectors that a frame may name.
    field
        Height and width of the field [nm].
    dead_time
        Time that each exposure and each scan costs beside its dwell [s].

    Raises
    ------
    MicroscopeError
        If there is no control ``"current"``, the field is empty, or a setting is beyond its limit.
    """

    def __init__(
        self,
        name: str,
        limits: Mapping[str, Limit],
        *,
        detectors: tuple[str, ...],
        field: tuple[float, float],
        dead_time: float = 0.0,
        settings: Mapping[str, float] | None = None,
    ) -> None:
        if "current" not in limits:
            raise MicroscopeError(
                'A microscope needs the control "current" [pA]: electrons are counted by it.'
            )
        if min(field) <= 0:
            raise MicroscopeError(
                f"The field of a microscope must not be empty: {field[0]:g} x {field[1]:g} nm."
            )
        if not 0 <= dead_time < np.inf:
            raise MicroscopeError(f"The dead time must be 0 or more seconds, not {dead_time:g}.")
        self.name = name
        self.limits: Mapping[str, Limit] = MappingProxyType(dict(limits))
        self.detectors = detectors
        self.field = (float(field[0]), float(field[1]))
        self.dead_time = float(dead_time)
        self.spent = Spent()
        self._settings = {name: float(np.clip(0, limit.low, limit.high)) for name, limit in limits.items()}
        self._settings |= check_settings(settings or {}, limits)

    def get(self) -> dict[str, float]:
        """Return all settings as they were commanded last."""
        return dict(self._settings)

    def set(self, values: Mapping[str, float]) -> None:
        """Command settings and wait until the slowest control is there; see `Microscope.set`."""
        wanted = check_settings(values, self.limits)
        self._apply(wanted)
        waits = [abs(new - self._settings[name]) / self.limits[name].rate for name, new in wanted.items()]
        self._settings |= wanted
        self.spent += Spent(seconds=max(waits, default=0.0))

    def acquire(self, frame: Frame) -> Exposure:
        """Take one image; see `Microscope.acquire`."""
        check_frame(frame, self)
        image, pixel_size = self._expose(frame)
        cost = self._pay(frame.beam_time)
        return Exposure(np.asarray(image, dtype=np.float32), pixel_size, cost.electrons, cost.seconds)

    def scan(self, path: np.ndarray, dwell: np.ndarray | float) -> np.ndarray:
        """Move the beam along a path and count; see `Microscope.scan`."""
        if not any(Frame((1, 1), 1.0, 1.0, detector).scanned for detector in self.detectors):
            raise MicroscopeError(f"{self.name} has no scanned detector, so no path can be measured with it.")
        points = check_path(path, self.field)
        check_dwell(dwell)
        times = np.broadcast_to(np.asarray(dwell, dtype=np.float64), len(points))  # (N,) [us]
        counts = self._read(points, times)
        self._pay(float(times.sum()))
        return np.asarray(counts, dtype=np.float32)

    @abstractmethod
    def _apply(self, values: Mapping[str, float]) -> None:
        """Give checked settings to the instrument."""

    @abstractmethod
    def _expose(self, frame: Frame) -> tuple[np.ndarray, float]:
        """Return the counts ``(H, W)`` of a frame, and the edge of a pixel as the instrument set it."""

    @abstractmethod
    def _read(self, path: np.ndarray, dwell: np.ndarray) -> np.ndarray:
        """Return the counts ``(N,)`` along positions ``(N, 2)`` [nm] with dwell times ``(N,)`` [us]."""

    def _pay(self, beam_time: float) -> Spent:
        cost = Spent(
            self._settings["current"] * beam_time * ELECTRONS_PER_PA_US, beam_time * 1e-6 + self.dead_time
        )
        self.spent += cost
        return cost

"""What a microscope must do to be flown: take settings, give images, and say what that costs.

The simulator, recorded images and real instruments stand behind one protocol, so that an environment,
a baseline or a policy does not know which of them it drives. Nothing here needs torch or Gymnasium.

Conventions: positions are (y, x) [nm] from the upper left corner of the field of view, y downwards;
settings are absolute, in the units of `Microscope.limits`; images are counts [e-].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np

from beamwright.errors import MicroscopeError, did_you_mean

__all__ = [
    "DETECTORS",
    "ELECTRONS_PER_PA_US",
    "Exposure",
    "Frame",
    "Limit",
    "Microscope",
    "Spent",
    "check_dwell",
]

DETECTORS: Mapping[str, str] = MappingProxyType(
    {"haadf": "nm", "bright_field": "nm", "camera": "nm", "ronchigram": "mrad"}
)
"""What an image may come from, and the unit of its pixels: lengths on the specimen, or angles."""

ELECTRONS_PER_PA_US = 6.241509074460763
"""Electrons in a picoampere microsecond: 1e-18 C over the elementary charge (exact, CODATA 2018)."""


@dataclass(frozen=True)
class Limit:
    """Between which values a control may be set, and how fast it follows.

    Parameters
    ----------
    low, high
        Smallest and largest setting, in `unit`.
    unit
        ``"nm"``, ``"mrad"``, ``"pA"``.
    rate
        Fastest change [unit/s]; a larger one takes longer, and its time is spent.

    Raises
    ------
    MicroscopeError
        If the bounds are not ordered numbers, or the rate is not positive.
    """

    low: float
    high: float
    unit: str
    rate: float = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise MicroscopeError(
                f"A limit needs finite low <= high, not {self.low:g} and {self.high:g} {self.unit}."
            )
        if not self.rate > 0:
            raise MicroscopeError(
                f"The rate of a limit must be positive, not {self.rate:g} {self.unit}/s; leave it out for "
                "a control that follows at once."
            )


@dataclass(frozen=True)
class Frame:
    """One image to take; a scanned one lies in the middle of the field of view.

    Parameters
    ----------
    shape
        Rows and columns [px].
    pixel_size
        Edge of a pixel [nm], of a ``ronchigram`` [mrad].
    dwell
        Time of a pixel that is scanned, or of a whole exposure of a camera [us].
    detector
        One of `DETECTORS` that the microscope has.

    Raises
    ------
    MicroscopeError
        If a size or time is not positive, or the detector is unknown.
    """

    shape: tuple[int, int]
    pixel_size: float
    dwell: float
    detector: str = "haadf"

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise MicroscopeError(f"A frame needs at least one row and one column, not shape {self.shape}.")
        if not 0 < self.pixel_size < math.inf:
            raise MicroscopeError(f"The pixel size of a frame must be positive, not {self.pixel_size:g}.")
        check_dwell(self.dwell)
        if self.detector not in DETECTORS:
            raise MicroscopeError(
                f'There is no detector "{self.detector}".{did_you_mean(self.detector, DETECTORS)} '
                f"Known: {', '.join(DETECTORS)}."
            )

    @property
    def scanned(self) -> bool:
        """Whether the beam visits the pixels one after another."""
        return self.detector in ("haadf", "bright_field")

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width [nm], of a ``ronchigram`` [mrad]."""
        return self.shape[0] * self.pixel_size, self.shape[1] * self.pixel_size

    @property
    def beam_time(self) -> float:
        """How long the beam is on the specimen [us]."""
        return self.dwell * self.shape[0] * self.shape[1] if self.scanned else self.dwell


@dataclass(frozen=True)
class Exposure:
    """One image, and what it cost.

    Parameters
    ----------
    image
        Counts [e-], (H, W) float32.
    pixel_size
        Edge of a pixel [nm], of a ``ronchigram`` [mrad], as the instrument set it.
    electrons
        Electrons that hit the specimen.
    seconds
        Time that it took, dead time included [s].
    """

    image: np.ndarray
    pixel_size: float
    electrons: float
    seconds: float


@dataclass(frozen=True)
class Spent:
    """What a session at the microscope has cost so far.

    Parameters
    ----------
    electrons
        Electrons that hit the specimen.
    seconds
        Time [s]: exposures, their dead time, and waiting for controls.
    """

    electrons: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.electrons + other.electrons, self.seconds + other.seconds)


@runtime_checkable
class Microscope(Protocol):
    """Anything that takes commands and gives images.

    A session reads `limits`, then alternates `set` with `acquire` or `scan`; `spent` grows with each of
    them and never falls. Aberrations are commanded by the names of their coefficients in Krivanek
    notation (``"C10"``, ``"C12a"`` ... ``"C30"``), position and tilt by ``"shift_y"``, ``"shift_x"``,
    ``"tilt_y"``, ``"tilt_x"``, the beam by ``"current"``. A shift of +d moves the image by +d. What is
    commanded need not be what the optics do: an instrument has offsets, cross-talk and hysteresis, and only
    its images tell.

    `beamwright.testing.check_microscope` holds an implementation to all of this.
    """

    @property
    def name(self) -> str:
        """What reports call it."""

    @property
    def limits(self) -> Mapping[str, Limit]:
        """The controls that there are, and their bounds."""

    @property
    def detectors(self) -> tuple[str, ...]:
        """Those of `DETECTORS` that a frame may name."""

    @property
    def field(self) -> tuple[float, float]:
        """Height and width of the field that the beam can reach [nm]; paths live in it."""

    @property
    def dead_time(self) -> float:
        """Time that each exposure and each scan costs beside its dwell [s]."""

    @property
    def spent(self) -> Spent:
        """What the session has cost so far."""

    def get(self) -> dict[str, float]:
        """Return all settings as they were commanded last."""

    def set(self, values: Mapping[str, float]) -> None:
        """Command settings, absolute; the others stay.

        Raises
        ------
        MicroscopeError
            If a control is unknown or a value beyond its limit; then nothing is set.
        """

    def acquire(self, frame: Frame) -> Exposure:
        """Take one image.

        Raises
        ------
        MicroscopeError
            If the instrument has no such detector, or the frame does not fit in the field.
        """

    def scan(self, path: np.ndarray, dwell: np.ndarray | float) -> np.ndarray:
        """Move the beam along a path of points and count at each.

        Parameters
        ----------
        path
            (N, 2) positions (y, x) [nm] from the upper left corner of the field.
        dwell
            Time per point [us], one for all or (N,).

        Returns
        -------
        np.ndarray
            (N,) float32 counts [e-].

        Raises
        ------
        MicroscopeError
            If the path leaves the field or the instrument has no scanned detector.
        """


def check_dwell(dwell: np.ndarray | float) -> None:
    """Accept positive, finite dwell times [us].

    Raises
    ------
    MicroscopeError
        If one is not.
    """
    times = np.atleast_1d(np.asarray(dwell, dtype=np.float64))
    wrong = ~(np.isfinite(times) & (times > 0))
    if wrong.any():
        raise MicroscopeError(f"Dwell times must be positive, not {times[wrong][0]:g} us.")

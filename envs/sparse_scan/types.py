"""What the scanning simulator carries from step to step, and what an action asks of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gymnasium import Space
from torch import Tensor

from beamwright.envs.microscope.budget import Budget
from beamwright.envs.microscope.drift import Drift
from beamwright.envs.microscope.scanning import Beam
from beamwright.envs.microscope.specimens import Specimen

__all__ = ["KNOTS", "Atoms", "Look", "Moves", "Plan", "Reconstruction", "ScanState", "View"]

KNOTS = 6
"""Positions that are remembered of each segment, for pictures."""


@dataclass(frozen=True)
class View:
    """How specimens are seen."""

    blur: Tensor | None
    """Standard deviation of the probe, ``(B,)`` [px]; None for a sharp one."""
    brightest: Tensor | None
    """Secondary electrons of the brightest place, ``(B,)``, relative to a flat one; None in dark field."""


@dataclass(frozen=True)
class Atoms:
    """What is left of specimens that lose atoms."""

    specimen: Specimen
    """As it was made, but for its sharp signal, which is that of now, and its phase, which is left out."""
    present: Tensor
    """Which atoms are still there, ``(B, A)`` bool."""
    view: View
    """How it is seen."""
    signal: Tensor
    """What a perfect slow scan would show now if it did no harm, ``(B, H, W)``."""


@dataclass(frozen=True)
class ScanState:
    """A batch of scans. Places are (y, x) [px], whole numbers are the centres of pixels."""

    specimen: Tensor
    """Signal of the fresh one in a perfect slow scan, ``(B, H, W)`` in [0, 1]; NaN where nobody knows."""
    pixel_size: Tensor
    """``(B,)`` [nm]."""
    kind: Tensor
    """Class of the specimen, ``(B,)`` int64; -1 where nobody knows."""
    counts: Tensor
    """Signal times electrons, summed over the visits of each pixel, ``(B, H, W)`` [e-]."""
    dose: Tensor
    """Electrons that were meant for each pixel, ``(B, H, W)`` [e-]."""
    exposed: Tensor | None
    """Dose where the beam really was, ``(B, H, W)`` [e-/nm^2]; None without mass loss and contamination."""
    atoms: Atoms | None
    """Those that the beam has not removed; None where none leave."""
    reconstruction: Tensor
    """Image made of the points so far, ``(B, H, W)``."""
    predicted: Tensor | None
    """Squared error that the reconstructor expects of it, ``(B, H, W)``."""
    error: Tensor
    """Mean squared error of the reconstruction, ``(B,)``; NaN where the specimen is unknown."""
    judged: Tensor
    """The same, but the predicted one where the specimen is unknown: what the reward sees, ``(B,)``."""
    position: Tensor
    """Where the next segment begins, ``(B, 2)``."""
    heading: Tensor
    """Direction of the last segment, ``(B,)`` [rad], from x towards y."""
    beam: Beam
    """Where the deflectors are [nm], and the time [s]."""
    drift: Drift | None
    """Displacement of the specimen [nm]."""
    glow: Tensor | None
    """Late light that the detector holds, ``(B,)`` [e-]."""
    effects: dict[str, Tensor]
    """The parts of the configured effects that are on, as drawn for each episode, ``(B,)``."""
    budget: Budget
    """Electrons and seconds."""
    points: Tensor
    """Points measured, ``(B,)`` int64."""
    steps: Tensor
    """Actions done, ``(B,)`` int64."""
    visited: Tensor | None
    """Which tiles were scanned, ``(B, T)`` bool; None where the beam moves in segments."""
    trail: Tensor | None
    """Where the beam really was in each segment, ``(B, S, KNOTS, 2)``; NaN for segments to come."""
    history: Tensor
    """Error after each step, the survey first, ``(B, S + 1)``; NaN for steps to come."""


@dataclass(frozen=True)
class Plan:
    """What an action asks the scan engine to do."""

    path: Tensor
    """Points to visit, ``(B, N, 2)`` [px]."""
    wanted: Tensor
    """Which of them belong to the action, always the first ones, ``(B, N)`` bool."""
    dwell: Tensor
    """Time at each point, ``(B, 1)`` [us]."""
    lines: Tensor | None
    """Line to which each point belongs, ``(N,)``; None for one line without flyback."""
    position: Tensor
    """Where the next segment begins, ``(B, 2)`` [px]."""
    heading: Tensor
    """``(B,)`` [rad]."""
    stop: Tensor
    """Whether the agent ends the scan, ``(B,)`` bool."""
    left: Tensor
    """Whether the action would have left the field, ``(B,)`` bool."""
    tile: Tensor | None = None
    """The tile to scan, ``(B,)`` int64."""


Look = Callable[[Tensor], Tensor]
"""Gives the predicted error, blurred, ``(B, N)``, at places ``(B, N, 2)`` [px]."""


class Moves(Protocol):
    """What actions there are."""

    space: Space[Any]
    """Of one environment."""
    count: int
    """Actions that have scores and a mask, A; in continuous mode directions among which there are scores."""
    cheapest: float
    """Dwell time of the cheapest whole action [us]."""

    def plan(self, state: ScanState, action: Tensor) -> Plan:
        """Return what actions ``(B, ...)`` ask for."""

    def mask(self, state: ScanState) -> Tensor:
        """Return which actions are allowed, ``(B, A)`` bool."""

    def scores(self, state: ScanState, look: Look) -> Tensor:
        """Return the mean predicted squared error under each action, ``(B, A)``."""

    def goal(self, state: ScanState, action: Tensor) -> Tensor:
        """Return where the actions ``(B,)`` that have scores lead, ``(B, 2)`` [px]."""


@dataclass(frozen=True)
class Reconstruction:
    """An image of what was measured and of what was not."""

    image: Tensor
    """Signal, ``(B, H, W)``."""
    error: Tensor | None = None
    """Squared error that is expected of it, ``(B, H, W)``; None where the reconstructor does not tell."""

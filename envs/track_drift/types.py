"""What an episode of drift tracking is made of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from beamwright.envs.microscope.corrector import CorrectorState
from beamwright.envs.microscope.drift import Drift

__all__ = ["TrackState"]


@dataclass(frozen=True)
class TrackState:
    """An episode of drift tracking.

    Parameters
    ----------
    specimen
        Transform ``rfft2`` of the signal, ``(B, H, W // 2 + 1)``.
    drift
        Of the specimen along y and x [nm], and of the focus [nm]: three quantities.
    steering
        Shifts along y and x and focus, in tolerances.
    counts
        Mean counts in a pixel of a reference exposure, ``(B,)`` [e-].
    noise
        Standard deviations of measured offsets, ``(B, 3)`` [nm].
    measured
        Last measured offsets along y, along x and of the focus, ``(B, 3)`` [nm].
    patches
        Reference, and last exposures under and over focus: counts ``(B, 3, H, W)``; None where only offsets
        are measured.
    age
        Steps since the last reference exposure, ``(B,)``, int64.
    references, steps
        Reference exposures taken and frames acquired, ``(B,)``, int64.
    electrons, seconds
        Spent on references, and since the start, ``(B,)``, float64.
    lost
        Whether the specimen has left the field, ``(B,)``, bool.
    course
        True offsets after each step, ``(B, T + 1, 3)`` [nm]; not a number where still to come.
    asked
        At which steps there was a reference exposure, ``(B, T + 1)``, bool.
    """

    specimen: Tensor
    drift: Drift
    steering: CorrectorState
    counts: Tensor
    noise: Tensor
    measured: Tensor
    patches: Tensor | None
    age: Tensor
    references: Tensor
    steps: Tensor
    electrons: Tensor
    seconds: Tensor
    lost: Tensor
    course: Tensor
    asked: Tensor

"""What an episode of alignment is made of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from beamwright.envs.microscope.corrector import CorrectorState
from beamwright.envs.microscope.drift import Drift

__all__ = ["AlignState", "BenchState", "Quality", "Shots"]


@dataclass(frozen=True)
class BenchState:
    """Column and specimen, most of which the agent does not see.

    Parameters
    ----------
    specimen
        Transform ``rfft2`` of the map that is imaged, ``(B, H, W // 2 + 1)``.
    fixed
        Tilts [mrad] and coefficients [nm] that no knob touches, ``(B, 2 + N)``.
    corrector
        Knobs and their quantities, misalignment included [rad]; its ``setting`` is what the agent knows.
    counts, background
        Mean counts in a pixel [e-], and the share that does not come from the specimen, ``(B,)``.
    drift
        Position of the specimen [nm].
    """

    specimen: Tensor
    fixed: Tensor
    corrector: CorrectorState
    counts: Tensor
    background: Tensor
    drift: Drift


@dataclass(frozen=True)
class Shots:
    """What the exposures of a step gave, and cost.

    Parameters
    ----------
    images
        Counts, ``(B, E, H, W)``; None where only figures are made.
    figures
        Figures of sharpness, ``(B, E, M)``; None where they are not observed.
    belief
        Mean and logarithm of the standard deviation of the misalignment, ``(B, 2 K)`` [rad]; None without an
        estimator.
    electrons, seconds
        Cost ``(B,)``.
    """

    images: Tensor | None
    figures: Tensor | None
    belief: Tensor | None
    electrons: Tensor
    seconds: Tensor


@dataclass(frozen=True)
class Quality:
    """How well the column is aligned, which the agent does not see.

    Parameters
    ----------
    residual
        Coefficients less their targets, ``(B, N)`` [nm].
    phase_error
        Root mean square over the aperture ``(B,)`` [rad].
    strehl
        Strehl ratio ``(B,)``.
    aligned
        Whether the criterion of success holds ``(B,)``, bool.
    """

    residual: Tensor
    phase_error: Tensor
    strehl: Tensor
    aligned: Tensor


@dataclass(frozen=True)
class AlignState:
    """An episode of alignment.

    Parameters
    ----------
    bench
        Column and specimen.
    choice
        What the last action chose of the exposures, ``(B, C)``.
    shots
        Last exposures.
    quality
        Now.
    exposures, steps, held
        Exposures taken, steps done, and steps in a row that the column has been aligned, ``(B,)``, int64.
    success
        Whether the episode ended aligned, ``(B,)``, bool.
    electrons, seconds
        Spent so far, ``(B,)``, float64.
    errors, strehls
        Phase error [rad] and Strehl ratio after each step, ``(B, T + 1)``; not a number where still to come.
    """

    bench: BenchState
    choice: Tensor
    shots: Shots
    quality: Quality
    exposures: Tensor
    steps: Tensor
    held: Tensor
    success: Tensor
    electrons: Tensor
    seconds: Tensor
    errors: Tensor
    strehls: Tensor

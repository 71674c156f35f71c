"""From images to what trials of ``inpaint`` need: patterns, doses, limits of the space."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from beamwright.errors import DataError
from beamwright.search_spaces import SpaceLimits
from beamwright.tasks.fields import sample_pixels
from beamwright.tasks.preparing import prepare
from beamwright.tasks.task import SparseScans, TaskData

if TYPE_CHECKING:
    from beamwright.experiment import DataConfig, Experiment

__all__ = ["PREFILL", "prepare_inpainting"]

PREFILL = (1.5, 4.0, 12.0)
"""Scales at which networks fill in before they look [px]: from neighbours to across the gaps of a path."""
PATCHES = (64, 96, 128)
"""Patches wide enough for a stretch of a sparse path [px]."""
LEAST_CONTRAST = 0.05
"""Share of the variance of noisy images that counts as contrast at least."""


def prepare_inpainting(experiment: Experiment) -> TaskData:
    """Read or simulate the images of an experiment and look at them.

    Raises
    ------
    DataError
        If files cannot be read, do not fit the regime, or are not proportional to electrons.
    """
    config = experiment.data
    data = prepare(experiment, scaled=False)
    full_scale = _full_scale(config, data)
    sparse = SparseScans(config.patterns, full_scale, _half_dose(config, data, full_scale))
    return replace(data, sparse=sparse, limits=_limits(data, experiment.space.fix), units={})


def _full_scale(config: DataConfig, data: TaskData) -> float:
    """Return the value of a pixel where every electron is counted."""
    if data.regime == "synthetic" and (data.fingerprint.minimum < 0 or data.mean <= 0):
        raise DataError(
            'The regime "synthetic" counts electrons in clean images: none below zero and a positive mean, '
            f"not from {data.fingerprint.minimum:g} with mean {data.mean:g}; subtract the detector's offset, "
            "or learn from noisy images as they are (data.regime: blind_spot)."
        )
    if config.patterns.full_scale is not None:
        return config.patterns.full_scale
    if config.train.simulate is not None:
        return 1.0
    return float(np.percentile(sample_pixels(data.fields["train"]), 99.9))


def _half_dose(config: DataConfig, data: TaskData, full_scale: float) -> float:
    """Return the dose at which the variance of a pixel's noise is that of the contrast [e-]."""
    if data.regime == "synthetic":
        return full_scale * data.mean / data.std**2
    noise = data.fingerprint.noise.sigma**2
    contrast = max(data.std**2 - noise, LEAST_CONTRAST * data.std**2)
    return config.noise.dose * max(noise / contrast, 1e-3)


def _limits(data: TaskData, fix: dict[str, Any]) -> SpaceLimits:
    side = min(min(shape) for shape in data.fingerprint.shapes)
    patches = tuple(size for size in PATCHES if size <= side) or data.fingerprint.patch_sizes()
    clean = data.regime in ("clean", "synthetic")
    return SpaceLimits(
        in_channels=2,
        out_channels=2,
        prefill=PREFILL,
        patch_sizes=patches,
        max_levels=min(5, max(1, int(math.log2(min(patches) / 4)) + 1)),
        losses=("log_mse", "l2", "huber") if clean else ("log_mse", "l2"),
        fixed={**fix},
    )

"""Classical interpolation of sparse scans, each at its best: what a network must beat."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage

from beamwright.errors import DataWarning
from beamwright.tasks.classical import Row, tune_row
from beamwright.tasks.inpaint_cases import SparseCase
from beamwright.tasks.task import Predict, TaskData

__all__ = ["ROWS", "tuned_inpainting"]

COARSER = 2.0
"""Factor from one scale to the next where a Gaussian finds no point."""
WIDEST = 48.0
"""Beyond this scale [px] the mean of all measured values stands in."""
STEPS = 300
"""Iterations of total variation; it is then within 0.01 dB of where it goes."""
LARGEST_BIHARMONIC = 128 * 128
"""Larger images are not completed by the biharmonic equation: its linear system takes minutes [px]."""


def normalised_convolution(image: np.ndarray, *, sigma: float) -> np.ndarray:
    """Average measured values by a Gaussian of `sigma` [px] and by their doses, wider where it finds none."""
    value, dose = image
    filled = np.full(dose.shape, np.average(value, weights=dose) if dose.any() else 0.0)
    share = (dose / max(dose.max(), 1e-12)).astype(np.float64)
    scales = [sigma]
    while scales[-1] < WIDEST:
        scales.append(COARSER * scales[-1])
    for scale in reversed(scales):
        density = ndimage.gaussian_filter(share, scale, mode="constant", truncate=3)
        least = 1e-3 / (2 * np.pi * scale**2)
        blurred = ndimage.gaussian_filter(share * value, scale, mode="constant", truncate=3)
        filled = (blurred + least * filled) / (density + least)
    return filled.astype(np.float32)


def nearest(image: np.ndarray, *, smooth: float) -> np.ndarray:
    """Take the nearest measured value, then smooth by a Gaussian of `smooth` [px]."""
    value, dose = image
    if not dose.any():
        return np.zeros_like(value)
    _, place = ndimage.distance_transform_edt(dose == 0, return_indices=True)
    return _smoothed(value[tuple(place)], smooth)


def linear(image: np.ndarray, *, smooth: float) -> np.ndarray:
    """Interpolate linearly on Delaunay triangles, nearest outside of them, then smooth by `smooth` [px]."""
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import QhullError

    value, dose = image
    outside = nearest(image, smooth=0)
    points = np.argwhere(dose > 0)
    try:
        inside = LinearNDInterpolator(points, value[dose > 0])(*np.indices(value.shape))
    except (QhullError, ValueError):  # fewer than three points, or all on one line
        return _smoothed(outside, smooth)
    return _smoothed(np.where(np.isnan(inside), outside, inside).astype(np.float32), smooth)


def biharmonic(image: np.ndarray, *, smooth: float) -> np.ndarray:
    """Solve the biharmonic equation between the measured values, then smooth by `smooth` [px].

    References
    ----------
    .. [1] S. B. Damelin and N. S. Hoang, Int. J. Math. Math. Sci. (2018) 3950312.
    """
    from skimage.restoration import inpaint_biharmonic

    value, dose = image
    if not dose.any():
        return np.zeros_like(value)
    return _smoothed(inpaint_biharmonic(value, dose == 0).astype(np.float32), smooth)


def total_variation(image: np.ndarray, *, weight: float) -> np.ndarray:
    """Minimise total variation plus `weight` / 2 times the squared misfit, weighted by the doses.

    References
    ----------
    .. [1] A. Chambolle and T. Pock, J. Math. Imaging Vis. 40 (2011) 120, algorithm 1.
    """
    value, dose = (part.astype(np.float32) for part in image)
    share = np.float32(weight) * dose / max(float(dose.max()), 1e-12)
    primal = linear(image, smooth=0)
    ahead, dual = primal.copy(), np.zeros((2, *value.shape), np.float32)
    step = np.float32(1 / 8**0.5)  # of both: the squared norm of the gradient is 8
    for _ in range(STEPS):
        dual[0, :-1] += step * np.diff(ahead, axis=0)
        dual[1, :, :-1] += step * np.diff(ahead, axis=1)
        dual /= np.maximum(1, np.hypot(*dual))
        before = primal
        primal = (before + step * (_divergence(dual) + share * value)) / (1 + step * share)
        ahead = 2 * primal - before
    return primal


def _divergence(field: np.ndarray) -> np.ndarray:
    """Return minus the adjoint of forward differences, ``(2, H, W)`` to ``(H, W)``."""
    found = field[0] + field[1]
    found[1:] -= field[0, :-1]
    found[:, 1:] -= field[1, :, :-1]
    return found


def _smoothed(image: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(image, sigma) if sigma else image


ROWS = (
    Row("normalised convolution", normalised_convolution, "sigma", (0.5, 1, 2, 4, 8), refine=6),
    Row("nearest", nearest, "smooth", (0, 0.5, 1, 2, 4)),
    Row("linear", linear, "smooth", (0, 0.5, 1, 2, 4)),
    Row("biharmonic", biharmonic, "smooth", (0, 1, 2), package="skimage"),
    # Relative to the contrast: total variation has the unit of the image, the misfit its square.
    Row("total variation", total_variation, "weight", (1, 4, 16, 64, 256), scaled=True),
)


def tuned_inpainting(
    cases: Sequence[SparseCase], data: TaskData
) -> Iterator[tuple[str, dict[str, Any], Predict]]:
    """Yield each row at its best on some cases: name, parameters, predictor.

    Parameters
    ----------
    cases
        Of the validation split; bounded crops, each is completed several times by every row.

    Warns
    -----
    DataWarning
        If images are too large for a row.
    """
    for row in ROWS:
        if importlib.util.find_spec(row.package) and _fits(row, data):
            parameters = tune_row(row, cases, 1 / data.std)
            yield row.name, parameters, partial(row.predict, **parameters)


def _fits(row: Row, data: TaskData) -> bool:
    largest = max(field.size[0] * field.size[1] for role in data.fields for field in data.fields[role])
    if row.predict is not biharmonic or largest <= LARGEST_BIHARMONIC:
        return True
    warnings.warn(
        f'The classical row "{row.name}" is left out: images of {largest:,} pixels would take it minutes '
        f"each, and up to {LARGEST_BIHARMONIC:,} are tried; it is a row for small images.",
        DataWarning,
        stacklevel=3,
    )
    return False

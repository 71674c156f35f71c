"""Classical denoisers, each at its best: a network that does not beat them should not be deployed."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import ndimage, optimize

from beamwright.tasks.evaluation import Case, Measurable, mean_squared_error
from beamwright.tasks.task import Predict, TaskData

__all__ = ["ROWS", "Row", "tune_row", "tuned"]


def noisy_input(image: np.ndarray) -> np.ndarray:
    """Return the image as it is."""
    return image


def gaussian(image: np.ndarray, *, sigma: float) -> np.ndarray:
    """Smooth with a Gaussian of standard deviation `sigma` [px]."""
    return ndimage.gaussian_filter(image, sigma)


def median(image: np.ndarray, *, size: int) -> np.ndarray:
    """Take the median of a window of edge `size` [px]."""
    return ndimage.median_filter(image, size)


def total_variation(image: np.ndarray, *, weight: float) -> np.ndarray:
    """Minimise total variation; `weight` [counts] of smoothness against fidelity."""
    from skimage.restoration import denoise_tv_chambolle

    return denoise_tv_chambolle(image, weight=weight).astype(np.float32, copy=False)


def nonlocal_means(image: np.ndarray, *, h: float, sigma: float) -> np.ndarray:
    """Average pixels with similar surroundings; `h` [counts] is the cut-off, `sigma` [counts] the noise."""
    from skimage.restoration import denoise_nl_means

    return denoise_nl_means(
        image, patch_size=5, patch_distance=8, h=h, sigma=sigma, fast_mode=True, preserve_range=True
    ).astype(np.float32, copy=False)


def bm3d(image: np.ndarray, *, sigma: float) -> np.ndarray:
    """Filter groups of similar blocks jointly; `sigma` [counts] is the noise."""
    from bm3d import bm3d as run

    return np.asarray(run(image, sigma), np.float32)


@dataclass(frozen=True)
class Row:
    """A classical denoiser and where its one parameter is looked for.

    Parameters
    ----------
    name
        On the leaderboard.
    predict
        Takes the image and the parameter by name.
    parameter
        What is tuned.
    grid
        First tries, in units of the noise where `scaled`.
    refine
        Evaluations between the best try and its neighbours; 0 where only the grid's values make sense.
    scaled
        Whether the parameter is an intensity.
    noise
        A further parameter, of which 0 and the noise's standard deviation are tried.
    package
        What must be installed.
    """

    name: str
    predict: Callable[..., np.ndarray]
    parameter: str
    grid: tuple[float, ...]
    refine: int = 0
    scaled: bool = False
    noise: str = ""
    package: str = "scipy"


ROWS = (
    Row("gaussian", gaussian, "sigma", (0.4, 0.8, 1.6, 3.2, 6.4), refine=8),
    Row("median", median, "size", (3, 5, 7, 9, 11)),
    Row("total variation", total_variation, "weight", (0.25, 0.5, 1, 2, 4), 6, True, package="skimage"),
    Row("non-local means", nonlocal_means, "h", (0.2, 0.4, 0.8, 1.6), 4, True, "sigma", package="skimage"),
    Row("bm3d", bm3d, "sigma", (0.7, 1.2, 2), 2, True, package="bm3d"),
)


def tuned(cases: Sequence[Case], data: TaskData) -> Iterator[tuple[str, dict[str, Any], Predict]]:
    """Yield each row at its best on some cases: name, parameters, predictor.

    Parameters
    ----------
    cases
        Of the validation split; bounded crops, each is denoised about ten times by every row.
    """
    yield "noisy input", {}, noisy_input
    scale = float(data.fingerprint.noise.sigma or data.std)
    for row in ROWS:
        if importlib.util.find_spec(row.package):
            parameters = tune_row(row, cases, scale)
            yield row.name, parameters, partial(row.predict, **parameters)


def tune_row(row: Row, cases: Sequence[Measurable], scale: float) -> dict[str, Any]:
    """Return the parameters of a row at its best.

    Parameters
    ----------
    scale
        Unit of parameters that are intensities.
    """
    choices: list[dict[str, float]] = [{row.noise: 0.0}, {row.noise: scale}] if row.noise else [{}]
    tried = [_tune(row, cases, scale, fixed) for fixed in choices]
    return min(tried, key=lambda found: found[0])[1]


def _tune(
    row: Row, cases: Sequence[Measurable], scale: float, fixed: dict[str, float]
) -> tuple[float, dict[str, Any]]:
    """Search a logarithmic grid, then between the neighbours of its best point: error and parameters."""
    unit = scale if row.scaled else 1

    def parameters(value: float) -> dict[str, Any]:
        return {row.parameter: value * unit, **fixed}

    def error(value: float) -> float:
        return mean_squared_error(partial(row.predict, **parameters(value)), cases)

    grid = list(row.grid)
    errors = [error(value) for value in grid]
    best = int(np.argmin(errors))
    if not row.refine:
        return errors[best], parameters(grid[best])
    # A best value at the end of the grid may lie beyond it, by a factor of two.
    bounds = math.log(grid[max(best - 1, 0)]), math.log(grid[min(best + 1, len(grid) - 1)])
    bounds = bounds[0] - math.log(2) * (best == 0), bounds[1] + math.log(2) * (best == len(grid) - 1)
    found = optimize.minimize_scalar(
        lambda logarithm: error(math.exp(logarithm)),
        bounds=bounds,
        method="bounded",
        options={"maxiter": row.refine},
    )
    if found.fun < errors[best]:
        return float(found.fun), parameters(math.exp(found.x))
    return errors[best], parameters(grid[best])

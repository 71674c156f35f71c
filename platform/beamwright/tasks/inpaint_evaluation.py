"""Measuring completed images, and whether their errors were foreseen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy import ndimage, stats

from beamwright.tasks.evaluation import READING, block_sums, named, to_psnr
from beamwright.tasks.inpaint_cases import SparseCase
from beamwright.tasks.metrics import ssim
from beamwright.tasks.task import Predict, Scores

__all__ = ["evaluate_inpainting"]

BLUR = 3.0
"""Predicted and true errors are compared as maps blurred by this [px], as a beam would be sent to them."""
EXTREME = 40.0
"""Predicted logarithms further from zero are believed no more than this."""


def evaluate_inpainting(predict: Predict, cases: Sequence[SparseCase], *, data_range: float) -> Scores:
    """Measure a predictor on sparse scans of one kind.

    Parameters
    ----------
    predict
        ``(2, H, W)`` to ``(2, H, W)``, or to the image alone, ``(H, W)`` or ``(1, H, W)``.
    data_range
        Peak of PSNR and SSIM, in the unit of the values.
    """
    names, blocks, floors, rows = [], [], [], []
    for case in cases:
        output = np.asarray(predict(case.image), dtype=np.float32)
        output = output[None] if output.ndim == 2 else output
        errors, weight = case.errors(output)
        names.append(case.name)
        blocks.append(block_sums(errors, weight))
        floors.append(case.smallest_error)
        rows.append(_of_whole_images(case, output, errors, data_range))
    quality = partial(to_psnr, data_range=data_range, floor=float(np.mean(floors)))
    for block, row in zip(blocks, rows, strict=True):
        row["psnr"] = float(quality(block[:, 0].sum() / block[:, 1].sum()))
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    per_image = tuple(named(name, row) for name, row in zip(names, rows, strict=True))
    notes = {"psnr_kind": case.kind, "psnr": READING[case.kind]}
    return Scores(means, per_image, tuple(blocks), quality, notes)


def _of_whole_images(
    case: SparseCase, output: np.ndarray, errors: np.ndarray, data_range: float
) -> dict[str, float]:
    """Return the figures that need the true image."""
    if case.kind != "clean":
        return {}
    found = {"ssim": ssim(output[0], case.reference, data_range)}
    if len(output) > 1:
        found |= _forecast(output[1], errors, data_range)
    return found


def _forecast(logarithm: np.ndarray, errors: np.ndarray, data_range: float) -> dict[str, float]:
    """Compare predicted with true squared errors ``(H, W)``."""
    predicted = np.exp(np.clip(logarithm, -EXTREME, EXTREME)).astype(np.float64)
    maps = [ndimage.gaussian_filter(image, BLUR) for image in (predicted, errors.astype(np.float64))]
    flat = any(np.ptp(image) == 0 for image in maps)
    correlation = 0.0 if flat else float(stats.spearmanr(*(image.ravel() for image in maps)).statistic)
    least = 1e-12 * data_range**2
    ratio = max(float(predicted.mean()), least) / max(float(errors.mean()), least)
    return {"error_correlation": correlation, "error_bias": abs(10 * float(np.log10(ratio)))}

"""Measuring a predictor against clean images, second noisy frames, or hidden pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, TypeAlias

import numpy as np

from beamwright.tasks.masking import Mask, interpolate
from beamwright.tasks.metrics import frc, frc_resolution, psnr, ssim, unbiased_squared_error
from beamwright.tasks.task import Predict, Scores

__all__ = [
    "READING",
    "Case",
    "Reference",
    "block_sums",
    "evaluate",
    "mean_squared_error",
    "named",
    "to_psnr",
]

Reference: TypeAlias = Literal["clean", "unbiased", "masked"]
BLOCK = 64
"""Edge of the blocks that the bootstrap draws from [px]."""
READING = {
    "clean": "against clean images",
    "unbiased": "against second noisy frames, their noise variance subtracted: estimates the PSNR to the "
    "clean image without bias",
    "masked": "of hidden pixels predicted from the rest, against their noisy values: ranks predictors, but "
    "contains the noise and lies below the true PSNR",
}


class Measurable(Protocol):
    """What tuning needs of a case."""

    @property
    def image(self) -> np.ndarray:
        """What predictors see."""
        ...

    def errors(self, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimated squared error of every pixel, and the weight of each, both ``(H, W)``."""
        ...


@dataclass(frozen=True)
class Case:
    """An image that is restored, and what is known about the truth.

    Parameters
    ----------
    name
        Of the field it comes from.
    image
        What predictors see, ``(H, W)`` float32 [counts].
    reference
        ``(H, W)`` float32: the clean image, the other frame, or the image itself.
    kind
        Which of the three.
    mask
        ``masked``: the pixels that count; `image` has them hidden.
    """

    name: str
    image: np.ndarray
    reference: np.ndarray
    kind: Reference
    mask: Mask | None = None

    @classmethod
    def masked(cls, name: str, image: np.ndarray, mask: Mask) -> Case:
        """Return a case that hides pixels of a single noisy image."""
        return cls(name, interpolate(image[None], mask)[0], image, "masked", mask)

    @property
    def shown(self) -> np.ndarray:
        """The image as it is on disk, nothing hidden."""
        return self.reference if self.kind == "masked" else self.image

    @property
    def smallest_error(self) -> float:
        """The smallest squared error that is believed: chance brings unbiased estimates below zero."""
        return 5e-4 * float(np.mean((self.image - self.reference) ** 2)) if self.kind == "unbiased" else 0.0

    def errors(self, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimated squared error of every pixel, and the weight of each, both ``(H, W)``."""
        if self.kind == "unbiased":
            return unbiased_squared_error(output, self.image, self.reference), np.ones_like(output)
        squared = (output - self.reference) ** 2
        if self.mask is None:
            return squared, np.ones_like(output)
        weight = np.zeros_like(output)
        weight[self.mask.row, self.mask.column] = 1
        return squared * weight, weight


def mean_squared_error(predict: Predict, cases: Iterable[Measurable]) -> float:
    """Return the mean over cases of the estimated squared error: all that tuning needs."""
    means = []
    for case in cases:
        errors, weight = case.errors(predict(case.image))
        means.append(errors.sum(dtype=np.float64) / weight.sum(dtype=np.float64))
    return float(np.mean(means))


def evaluate(
    predict: Predict, cases: Iterable[Case], *, data_range: float, pixel_size: float | None = None
) -> Scores:
    """Measure a predictor on cases of one kind.

    Parameters
    ----------
    data_range
        Peak of PSNR and SSIM [counts].
    pixel_size
        [nm]; without it resolutions are in pixels.
    """
    names, blocks, floors, rows = [], [], [], []
    for case in cases:
        output = np.asarray(predict(case.image), dtype=np.float32)
        names.append(case.name)
        blocks.append(block_sums(*case.errors(output)))
        floors.append(case.smallest_error)
        rows.append(_structure(case, output, data_range=data_range, pixel_size=pixel_size or 1.0))
    quality = partial(to_psnr, data_range=data_range, floor=float(np.mean(floors)))
    for block, row in zip(blocks, rows, strict=True):
        row["psnr"] = float(quality(block[:, 0].sum() / block[:, 1].sum()))
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    per_image = [named(name, row) for name, row in zip(names, rows, strict=True)]
    notes = {
        "psnr_kind": case.kind,
        "psnr": READING[case.kind],
        "resolution_unit": "nm" if pixel_size else "px",
    }
    return Scores(means, tuple(per_image), tuple(blocks), quality, notes)


def named(name: str, row: dict[str, float]) -> dict[str, float | str]:
    """Return the figures of an image with its name."""
    return {"name": name, **row}


def to_psnr(squared_error: np.ndarray, *, data_range: float, floor: float) -> np.ndarray:
    """Return PSNR [dB] of mean squared errors, none of which is believed below `floor`."""
    return psnr(np.maximum(squared_error, max(floor, 1e-12 * data_range**2)), data_range)


def block_sums(errors: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the sum of errors and of weights in blocks, ``(blocks, 2)``; smaller blocks in small images."""
    edge = max(1, min(BLOCK, min(errors.shape) // 4))
    rows, columns = (np.arange(0, max(size - edge // 2, 1), edge) for size in errors.shape)
    stacked = np.stack([errors, weight], axis=-1).astype(np.float64)
    sums = np.add.reduceat(np.add.reduceat(stacked, rows, axis=0), columns, axis=1).reshape(-1, 2)
    return sums[sums[:, 1] > 0]


def _structure(case: Case, output: np.ndarray, *, data_range: float, pixel_size: float) -> dict[str, float]:
    """Return the metrics that need whole images: none where only hidden pixels are known."""
    if case.kind == "masked":
        return {}
    curve = frc(output, case.reference)
    found = {
        "resolution": frc_resolution(curve, pixel_size=pixel_size),
        "resolution_0143": frc_resolution(curve, threshold=0.143, pixel_size=pixel_size),
    }
    if case.kind == "clean":
        found["ssim"] = ssim(output, case.reference, data_range)
    return found

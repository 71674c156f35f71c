"""The fixed sparse scans that every predictor of a search is measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beamwright.tasks.cases import Cases, central
from beamwright.tasks.evaluation import Reference
from beamwright.tasks.fields import Field
from beamwright.tasks.metrics import unbiased_squared_error
from beamwright.tasks.patterns import Measured, draw_pattern, measure, recorded
from beamwright.tasks.task import Role, TaskData

__all__ = ["SparseCase", "SparseCases"]

ENOUGH = 7
"""With few fields each is measured along several patterns, up to this many scans in all."""
SMALLEST = 96
"""Crops are not made smaller than this to have more patterns [px]."""


@dataclass(frozen=True)
class SparseCase:
    """A sparse scan, and what is known about the truth.

    Parameters
    ----------
    name
        Of the field, and the pattern.
    image
        Values and doses, ``(2, H, W)`` float32 [counts per electron, e-].
    reference
        ``(H, W)`` float32: the clean image, another frame, or the frame that was measured.
    kind
        Which of the three.
    frame
        ``unbiased``: the whole frame that was measured, ``(H, W)``.
    """

    name: str
    image: np.ndarray
    reference: np.ndarray
    kind: Reference
    frame: np.ndarray | None = None

    @property
    def smallest_error(self) -> float:
        """The smallest squared error that is believed: chance brings unbiased estimates below zero."""
        return 0.0 if self.frame is None else 5e-4 * float(np.mean((self.frame - self.reference) ** 2))

    def errors(self, output: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the estimated squared error of every pixel, and the weight of each, both ``(H, W)``.

        Parameters
        ----------
        output
            The image ``(H, W)``, or several channels of which it is the first.
        """
        image = output[0] if output.ndim == 3 else output
        if self.frame is not None:
            return unbiased_squared_error(image, self.frame, self.reference), np.ones_like(image)
        squared = (image - self.reference) ** 2
        if self.kind == "clean":
            return squared, np.ones_like(image)
        weight = (self.image[1] == 0).astype(np.float32)
        return squared * weight, weight


class SparseCases(Cases):
    """The cases of a split: whole fields or central crops, each measured along fixed patterns.

    Kinds of patterns take turns; coverage, dose and truncation follow from the seed.
    """

    def __init__(
        self, data: TaskData, role: Role, max_pixels: int | None = None, *, at_most: int | None = None
    ) -> None:
        repeats = 1 if at_most else max(1, ENOUGH // len(data.fields[role]))
        if max_pixels is not None:
            repeats = max(1, min(repeats, max_pixels // SMALLEST**2))
            max_pixels //= repeats
        super().__init__(data, role, max_pixels, at_most=at_most)
        assert data.sparse is not None  # this task's preparation sees to it
        self.sparse = data.sparse
        self.fields = len(self.chosen)
        self.chosen *= repeats

    def _make(self, field: Field, index: int, key: tuple[int, ...]) -> SparseCase:
        patterns, rng = self.sparse.patterns, np.random.default_rng((*key, index))
        # Where kinds would come back to the same fields in every round, each round begins one further.
        shift = index // self.fields if self.fields % len(patterns.kinds) == 0 else 0
        kind = patterns.kinds[(index + shift) % len(patterns.kinds)]
        window = central(field.size, self.edge)
        first = _cut(field.frames[0], window)
        drawn = draw_pattern(patterns, first.shape, rng, kind=kind)
        dose, value = self._measure(first, drawn, rng)
        image = np.stack([value, dose])
        name = f"{field.name}, {drawn.kind} {drawn.coverage:.1%}"
        if self.data.regime == "synthetic" or self.kind == "masked":
            return SparseCase(name, image, first, "clean" if self.data.regime == "synthetic" else "masked")
        reference = _cut(field.target[0] if field.target is not None else field.frames[1], window)
        return SparseCase(name, image, reference, self.kind, first if self.kind == "unbiased" else None)

    def _measure(
        self, first: np.ndarray, drawn: Measured, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return dose and values, each ``(H, W)``."""
        if self.data.regime == "synthetic":
            return drawn.dose, measure(first, drawn.dose, rng, full_scale=self.sparse.full_scale)
        dose = recorded(drawn.dose, self.data.noise.dose)
        return dose, np.where(dose > 0, first, np.float32(0))


def _cut(frame: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
    return np.array(frame[window], np.float32)

"""The fixed images that every predictor of a search is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from beamwright.data import add_noise
from beamwright.tasks.evaluation import Case, Reference
from beamwright.tasks.fields import Field
from beamwright.tasks.masking import draw_mask
from beamwright.tasks.task import ROLES, Role, TaskData

__all__ = ["Cases", "central", "reference_kind"]

GRID = 32
"""Sides of crops are multiples of this [px]."""
KEPT_PIXELS = 1 << 25
"""Splits with more pixels than this are not held in memory."""
SMALLEST = 128
"""Fields are left out rather than cropped below this edge [px]."""


class Cases(Sequence[Any]):
    """The cases of a split: whole fields or central crops, each made when it is asked for.

    Parameters
    ----------
    max_pixels
        Of all crops together; when it is too small for all fields, evenly chosen ones are used.
    at_most
        Number of cases.
    """

    def __init__(
        self, data: TaskData, role: Role, max_pixels: int | None = None, *, at_most: int | None = None
    ) -> None:
        self.data, self.role, self.kind = data, role, reference_kind(data, role)
        fields = data.fields[role]
        count = min(len(fields), at_most or len(fields))
        self.edge: int | None = None
        if max_pixels is not None:
            count = max(1, min(count, max_pixels // SMALLEST**2))
            self.edge = max(GRID, int((max_pixels / count) ** 0.5) // GRID * GRID)
        self.chosen = np.unique(np.linspace(0, len(fields) - 1, count).astype(int)).tolist()

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        number = self.chosen[index]
        key = (self.data.seed, ROLES.index(self.role), number)
        return self._make(self.data.fields[self.role][number], index, key)

    def _make(self, field: Field, index: int, key: tuple[int, ...]) -> Any:
        """Return the case of a field; `key` seeds what is random in it."""
        return _case(self.data, field, self.kind, self.edge, np.random.default_rng(key))

    def keep(self) -> Sequence[Any]:
        """Return them made once and for all, unless they would fill the memory."""
        sizes = [self.data.fields[self.role][number].size for number in self.chosen]
        pixels = sum(_length(height, self.edge) * _length(width, self.edge) for height, width in sizes)
        return tuple(self) if pixels <= KEPT_PIXELS else self


def reference_kind(data: TaskData, role: Role) -> Reference:
    """Return the best reference that all fields of a split have, so that their figures can be averaged."""
    if data.regime in ("clean", "synthetic"):
        return "clean"
    return "unbiased" if all(len(field.frames) > 1 for field in data.fields[role]) else "masked"


def _case(data: TaskData, field: Field, kind: Reference, edge: int | None, rng: np.random.Generator) -> Case:
    first = field.frames[0]
    window = central(field.size, edge)
    if data.regime == "synthetic":
        clean = np.float32(field.scale) * np.asarray(first, np.float32)
        # Noise on the whole field, so that a crop has the noise it has in the whole.
        noisy = add_noise(clean, data.noise, rng, mean=data.noise.dose)
        return Case(field.name, noisy[window], clean[window], "clean")
    image = np.array(first[window], np.float32)
    if kind == "masked":
        return Case.masked(field.name, image, draw_mask((1, *image.shape), rng, run=data.mask_run))
    reference = field.target[0] if field.target is not None else field.frames[1]
    return Case(field.name, image, np.array(reference[window], np.float32), kind)


def _length(size: int, edge: int | None) -> int:
    return size if edge is None else min(size, edge)


def central(size: tuple[int, int], edge: int | None) -> tuple[slice, slice]:
    """Return the central crop of an image, at most `edge` pixels high and wide."""
    return _centre(size[0], edge), _centre(size[1], edge)


def _centre(size: int, edge: int | None) -> slice:
    length = _length(size, edge)
    start = (size - length) // 2
    return slice(start, start + length)

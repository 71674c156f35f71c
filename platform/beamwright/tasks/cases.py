"""The fixed images that every predictor of a search is measured on."""

from __future__ import annotations

import numpy as np

from beamwright.data import add_noise
from beamwright.tasks.evaluation import Case, Reference
from beamwright.tasks.fields import Field
from beamwright.tasks.masking import draw_mask
from beamwright.tasks.task import ROLES, Role, TaskData

__all__ = ["crop_cases"]

GRID = 32
"""Sides of crops are multiples of this [px]."""
SMALLEST = 128
"""Fields are left out rather than cropped below this edge [px]."""


def crop_cases(
    data: TaskData, role: Role, max_pixels: int | None = None, *, at_most: int | None = None
) -> tuple[Case, ...]:
    """Return the cases of a split: whole fields, or central crops of equal budget.

    Parameters
    ----------
    max_pixels
        Of all crops together; when it is too small for all fields, evenly chosen ones are used.
    at_most
        Number of cases.
    """
    fields = data.fields[role]
    count = min(len(fields), at_most or len(fields))
    if max_pixels is None:
        edge = None
    else:
        count = max(1, min(count, max_pixels // SMALLEST**2))
        edge = max(GRID, int((max_pixels / count) ** 0.5) // GRID * GRID)
    kind = _kind(data, role)
    chosen = np.unique(np.linspace(0, len(fields) - 1, count).astype(int))
    return tuple(
        _case(
            data, fields[index], kind, edge, np.random.default_rng((data.seed, ROLES.index(role), int(index)))
        )
        for index in chosen
    )


def _kind(data: TaskData, role: Role) -> Reference:
    """Return the best reference that all fields of a split have, so that their figures can be averaged."""
    if data.regime in ("clean", "synthetic"):
        return "clean"
    return "unbiased" if all(len(field.frames) > 1 for field in data.fields[role]) else "masked"


def _case(data: TaskData, field: Field, kind: Reference, edge: int | None, rng: np.random.Generator) -> Case:
    first = field.frames[0]
    window = _centre(field.size[0], edge), _centre(field.size[1], edge)
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


def _centre(size: int, edge: int | None) -> slice:
    if edge is None or size <= edge:
        return slice(0, size)
    start = (size - edge) // 2
    return slice(start, start + edge)

"""Scan patterns: where the beam goes, point by point, when it cannot go everywhere."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from beamwright.experiment import Pattern, PatternConfig

__all__ = ["PATTERNS", "Measured", "draw_pattern", "measure", "recorded"]

HEADINGS = 16
"""Directions among which a path of segments chooses."""
SEGMENT = (8.0, 40.0)
"""Least and greatest length of its segments [px]."""
OUTSIDE = 1e3
"""What a heading that leaves the field loses, more than anything else can weigh."""
RECENT = 100
"""Corners of its own that a path remembers and avoids."""
UNEVEN, SPREAD = 0.25, 0.7
"""Share of the patterns whose points got different doses, and the spread of the doses' logarithm."""
SHORTEST = 0.1
"""Least share that is left of a truncated pattern."""

Shape = tuple[int, int]


@dataclass(frozen=True)
class Measured:
    """What a pattern spends.

    Parameters
    ----------
    dose
        Electrons at each pixel, 0 where nothing was measured: ``(H, W)`` float32 [e-].
    kind
        Of the pattern.
    """

    dose: np.ndarray
    kind: str

    @property
    def coverage(self) -> float:
        """Share of the pixels that were measured."""
        return float(np.count_nonzero(self.dose) / self.dose.size)


def draw_pattern(
    config: PatternConfig, shape: Shape, rng: np.random.Generator, *, kind: Pattern | None = None
) -> Measured:
    """Draw a random pattern and spend electrons along it.

    Parameters
    ----------
    config
        Kinds, coverage, doses and the share of truncated patterns.
    shape
        Rows and columns (H, W) [px].
    kind
        By default one of those of `config`.
    """
    kind = kind or config.kinds[rng.integers(len(config.kinds))]
    pixels = shape[0] * shape[1]
    count = max(1, round(_logarithmic(config.coverage, rng) * pixels))
    points = PATTERNS[kind](shape, count, rng)  # (N, 2)
    if rng.random() < config.truncated:
        points = points[: max(1, round(rng.uniform(SHORTEST, 1) * len(points)))]
    dose = np.full(len(points), _logarithmic(config.dose, rng))
    if rng.random() < UNEVEN and config.dose[0] < config.dose[1]:
        dose *= np.exp(SPREAD * rng.standard_normal(len(points)))
    return Measured(_spend(points, dose, shape), kind)


def measure(
    signal: np.ndarray, dose: np.ndarray, rng: np.random.Generator, *, full_scale: float = 1.0
) -> np.ndarray:
    """Return counts per electron where there is dose, 0 elsewhere, with the noise of counting.

    Parameters
    ----------
    signal
        The true image ``(H, W)``, not negative.
    dose
        Electrons at each pixel ``(H, W)`` [e-].
    full_scale
        Value of the signal at which every electron is counted.
    """
    counts = rng.poisson(np.maximum(signal, 0) * (dose / full_scale))
    return np.divide(full_scale * counts, dose, out=np.zeros(dose.shape, np.float32), where=dose > 0)


def recorded(doses: np.ndarray, dose: float) -> np.ndarray:
    """Return the doses of pixels that are taken from a recorded image, each of which got `dose` [e-]."""
    return np.where(doses > 0, np.float32(dose), np.float32(0))


def _logarithmic(limits: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = np.log(limits)
    return float(np.exp(low + (high - low) * rng.random()))


def _spend(points: np.ndarray, dose: np.ndarray, shape: Shape) -> np.ndarray:
    """Return the dose ``(H, W)``: a point counts for the pixel that it is in; points outside are left out."""
    row, column = np.floor(points).astype(int).T
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    place = row[inside] * shape[1] + column[inside]
    total = np.bincount(place, weights=dose[inside], minlength=shape[0] * shape[1])
    return total.reshape(shape).astype(np.float32)


def segments(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return straight segments, one after the other, points 1 to 1.5 px apart ``(N, 2)`` as (y, x).

    As those of agents, paths avoid where they have been, more or less, and some stay near a place.
    """
    length = max(2.0, min(rng.uniform(*SEGMENT), min(shape) / 2))
    points = max(2, round(length / rng.uniform(1, 1.5)))  # in a segment
    size, goal = np.array(shape, float), rng.random(2) * shape
    pull, spread = rng.exponential(2, 2) * (rng.integers(2), 1)
    corners = [size / 2 if rng.random() < 0.5 else rng.random(2) * size]
    for _ in range(-(-count // points)):
        angle = 2 * np.pi * (np.arange(HEADINGS) + rng.random()) / HEADINGS
        ends = corners[-1] + length * np.stack([np.sin(angle), np.cos(angle)], 1)  # (headings, 2)
        inside = ((ends >= 0) & (ends < size)).all(1)
        apart = np.linalg.norm(ends[:, None] - corners[-RECENT:], axis=2).min(1) / length
        away = np.linalg.norm(ends - goal, axis=1) / length
        score = rng.gumbel(size=HEADINGS) + spread * apart - pull * away - OUTSIDE * ~inside
        corners.append(ends[np.argmax(score)])
    steps = np.arange(1, points + 1)[:, None] / points
    path = [start + steps * (end - start) for start, end in itertools.pairwise(corners)]
    return np.concatenate(path)[:count]


def spiral(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return an Archimedean spiral from the centre to the corners, points a pixel apart ``(N, 2)``."""
    size = np.array(shape, float)
    # Points outside the field cost nothing, and the share of a disc that is inside is less than one.
    radius = np.hypot(*size) / 2
    total = count * np.pi * radius**2 / np.prod(size)
    length = np.arange(round(total)) + 0.5
    angle = 2 * np.sqrt(length * total) / radius  # windings as far apart as the coverage asks
    distance = radius * np.sqrt(length / total)
    angle = rng.choice((-1, 1)) * angle + rng.uniform(0, 2 * np.pi)
    centre = size / 2 + rng.uniform(-1, 1, 2)
    points = centre + distance[:, None] * np.stack([np.sin(angle), np.cos(angle)], 1)
    return points[((points >= 0) & (points < size)).all(1)]


def lissajous(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return a Lissajous figure that just fits the field, points about a pixel apart ``(N, 2)``."""
    size = np.array(shape, float)
    turns = max(1, round(count / (2.55 * size.mean())))  # a turn in both axes is about 2.5 edges long
    ratio = turns / (turns + rng.integers(1, max(2, turns)))
    time = 2 * np.pi * turns * np.arange(count) / count
    phase = rng.uniform(0, 2 * np.pi, 2)
    waves = np.stack([np.sin(ratio * time + phase[0]), np.sin(time + phase[1])], 1)
    return (size / 2) * (1 + (1 - 1e-6) * waves)


def raster(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return every so many rows in full, from top to bottom ``(N, 2)``."""
    spacing = max(1.0, shape[0] * shape[1] / count)
    rows = np.arange(rng.uniform(0, min(spacing, shape[0])), shape[0], spacing)
    y, x = np.meshgrid(rows, np.arange(shape[1]) + 0.5, indexing="ij")
    return np.stack([y.ravel(), x.ravel()], 1)


def grid(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return single points on a square grid, row by row ``(N, 2)``."""
    spacing = max(1.0, (shape[0] * shape[1] / count) ** 0.5)
    axes = [np.arange(rng.uniform(0, min(spacing, size)), size, spacing) for size in shape]
    y, x = np.meshgrid(*axes, indexing="ij")
    return np.stack([y.ravel(), x.ravel()], 1)


def jittered(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return a point somewhere in every cell of a square grid, row by row ``(N, 2)``."""
    spacing = max(1.0, (shape[0] * shape[1] / count) ** 0.5)
    axes = [np.arange(0, size, spacing) for size in shape]
    y, x = np.meshgrid(*axes, indexing="ij")
    corners = np.stack([y.ravel(), x.ravel()], 1)
    return corners + spacing * rng.random(corners.shape)


def random(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return different pixels in random order ``(N, 2)``."""
    chosen = rng.choice(shape[0] * shape[1], size=count, replace=False)
    return np.stack(np.unravel_index(chosen, shape), 1) + 0.5


PATTERNS: Mapping[Pattern, Callable[[Shape, int, np.random.Generator], np.ndarray]] = {
    "segments": segments,
    "spiral": spiral,
    "lissajous": lissajous,
    "raster": raster,
    "grid": grid,
    "jittered": jittered,
    "random": random,
}
"""From shape (H, W), number of points and randomness to points (y, x) [px], pixel (i, j) from (i, j) on."""

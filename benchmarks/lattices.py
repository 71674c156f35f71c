"""Simulated atomic-resolution images: lattices of several kinds at ten electrons a pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DOSE", "KINDS", "Lattice", "simulate"]

DOSE = 10.0
"""Mean number of electrons per pixel [e-]."""
EDGE = 512
"""Of the images [px]."""

Image = npt.NDArray[np.float32]

# Cell vectors in units of the lattice constant, and atoms in the cell: (a, b, brightness).
KINDS: dict[
    str, tuple[tuple[tuple[float, float], tuple[float, float]], tuple[tuple[float, float, float], ...]]
] = {
    "hexagonal": (((1.0, 0.0), (0.5, 0.866)), ((0.0, 0.0, 1.0),)),
    "honeycomb of two elements": (((1.25, 0.0), (0.625, 1.0825)), ((0.0, 0.0, 1.0), (1 / 3, 1 / 3, 0.45))),
    "perovskite": (((1.3, 0.0), (0.0, 1.3)), ((0.0, 0.0, 1.0), (0.5, 0.5, 0.55))),
    "dumbbells": (
        ((1.2, 0.0), (0.0, 2.4)),
        ((0.0, 0.0, 1.0), (0.0, 0.2, 0.8), (0.5, 0.5, 1.0), (0.5, 0.7, 0.8)),
    ),
}


@dataclass(frozen=True)
class Lattice:
    """A lattice without and with noise, both ``(H, W)`` [e-]."""

    kind: str
    clean: Image
    noisy: Image


def simulate(kind: str, *, seed: int, edge: int = EDGE) -> Lattice:
    """Return a lattice with vacancies, thickness that varies, and Poisson noise."""
    rng = np.random.default_rng((seed, list(KINDS).index(kind)))
    clean = _atoms(kind, rng, edge) * _thickness(rng, edge)
    clean = 0.08 * clean.max() + clean  # support and diffuse scattering
    clean = (clean * DOSE / clean.mean()).astype(np.float32)
    return Lattice(kind, clean, rng.poisson(clean).astype(np.float32))


def _atoms(kind: str, rng: np.random.Generator, edge: int) -> Image:
    """Add up Gaussian atoms; one in fifty is missing, one in fifty is of another element."""
    vectors, basis = KINDS[kind]
    constant, angle = rng.uniform(11.5, 14), rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    cell = constant * np.array(vectors) @ turn  # (2, 2) [px]
    reach = int(2 * edge / constant)
    index = np.stack(np.meshgrid(*2 * (np.arange(-reach, reach + 1),)), axis=-1).reshape(-1, 2)
    places, weights = [], []
    for first, second, brightness in basis:
        place = (index + np.array([first, second])) @ cell + edge / 2
        inside = np.all((place > -10) & (place < edge + 10), axis=1)
        kept = place[inside]
        weight = np.full(len(kept), brightness)
        fate = rng.random(len(kept))
        weight[fate < 0.02] = 0
        weight[fate > 0.98] *= 1.6
        places.append(kept)
        weights.append(weight)
    return _draw(np.concatenate(places), np.concatenate(weights), edge, sigma=rng.uniform(2.2, 2.6))


def _draw(
    places: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], edge: int, *, sigma: float
) -> Image:
    image, reach = np.zeros((edge + 48, edge + 48), np.float32), 10
    window = np.arange(-reach, reach + 1)
    for (y, x), weight in zip(places, weights, strict=True):
        row, column = round(y), round(x)
        profile = [np.exp(-((window - (value - round(value))) ** 2) / (2 * sigma**2)) for value in (y, x)]
        target = image[row + 24 - reach : row + 25 + reach, column + 24 - reach : column + 25 + reach]
        target += (weight * np.outer(*profile)).astype(np.float32)
    return image[24:-24, 24:-24]


def _thickness(rng: np.random.Generator, edge: int) -> Image:
    """Return a slowly varying factor between 0.7 and 1.3."""
    y, x = np.mgrid[:edge, :edge] / edge
    phase, direction = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * rng.uniform(0.5, 1.2) * (x * np.cos(direction) + y * np.sin(direction)) + phase)
    return (1 + 0.3 * wave).astype(np.float32)

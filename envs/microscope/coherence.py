"""Partial coherence: the Gaussian averages over defocus, source points and illumination angles.

Where intensities are averaged (probe, Ronchigram) the average is a Gauss-Hermite quadrature; where a transfer
function is averaged its Fourier transform is an envelope.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from beamwright.envs.microscope.aberrations import edge_phase
from beamwright.envs.microscope.grid import Grid, precomputed
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.waves import envelope
from beamwright.errors import MicroscopeError

__all__ = [
    "focal_quadrature",
    "heaviest",
    "source_envelope",
    "source_quadrature",
    "weighted_sum",
]

MOST_NODES = 33
TOLERANCE = 1e-3
"""Of an average of phase factors, which are at most one."""

Weights = tuple[float, ...]
Point = TypeVar("Point")


@precomputed
def focal_quadrature(optics: Optics) -> tuple[tuple[float, ...], Weights]:
    """Return the defoci over which a focal spread averages, in standard deviations, and their weights.

    Parameters
    ----------
    optics
        Its focal spread and aperture decide how many there are: one without a focal spread.

    Raises
    ------
    MicroscopeError
        If the spread would need too many.
    """
    if not optics.focal_spread:
        return (0.0,), (1.0,)
    reach = optics.focal_spread * float(edge_phase(("C10",), optics))  # [rad]
    return _gauss_hermite(reach, f"a focal spread of {optics.focal_spread:g} nm")


@precomputed
def source_quadrature(optics: Optics) -> tuple[tuple[tuple[float, float], ...], Weights]:
    """Return the points of the source over which a diffraction pattern averages, and their weights.

    Points are (y, x) [nm].

    Parameters
    ----------
    optics
        Its source size and aperture decide how many there are: one, on the axis, without a source size.

    Raises
    ------
    MicroscopeError
        If the source would need too many.
    """
    if not optics.source_size:
        return ((0.0, 0.0),), (1.0,)
    # Waves from opposite edges of the aperture interfere at twice its spatial frequency.
    reach = 4e-3 * math.pi * optics.source_size * optics.aperture / optics.wavelength  # [rad]
    nodes, weights = _gauss_hermite(reach, f"a source of {optics.source_size:g} nm in a diffraction pattern")
    points = tuple((y * optics.source_size, x * optics.source_size) for y in nodes for x in nodes)
    return heaviest(points, tuple(one * other for one in weights for other in weights))


def source_envelope(grid: Grid, source_size: Tensor) -> Tensor:
    """Return the Fourier transform of the source, for ``rfft2``: ``exp(-2 pi^2 source^2 k^2)``.

    Parameters
    ----------
    grid
        Pixels of the image.
    source_size
        Standard deviation ``(B,)`` or ``()`` [nm].

    Returns
    -------
    Tensor
        ``(B, H, W // 2 + 1)`` or ``(H, W // 2 + 1)``.
    """
    y, x = (k.float() for k in grid.frequencies(source_size.device, half=True))
    width = (-2 * math.pi**2) * source_size.square()[..., None, None]
    return envelope(width * y.square()) * envelope(width * x.square())


def weighted_sum(parts: Iterable[Tensor], weights: Iterable[float]) -> Tensor:
    """Return the average over a quadrature; a single part is passed on."""
    weighted = (part if weight == 1 else part * weight for part, weight in zip(parts, weights, strict=True))
    return functools.reduce(torch.add, weighted)


def heaviest(points: tuple[Point, ...], weights: Weights) -> tuple[tuple[Point, ...], Weights]:
    """Return the points of a quadrature without the lightest, whose weights sum to at most `TOLERANCE`."""
    order = np.argsort(weights)
    light = int(np.searchsorted(np.cumsum(np.array(weights)[order]), TOLERANCE))
    kept = np.sort(order[light:])
    share = sum(weights[i] for i in kept)
    return tuple(points[i] for i in kept), tuple(weights[i] / share for i in kept)


def _gauss_hermite(reach: float, what: str) -> tuple[tuple[float, ...], Weights]:
    """Return the smallest quadrature that averages ``cos(phase x)`` over normal x, phases to `reach`."""
    phases = np.linspace(0, reach, 64)
    exact = np.exp(-(phases**2) / 2)
    for count in range(3, MOST_NODES + 1, 2):
        nodes, weights = np.polynomial.hermite_e.hermegauss(count)
        weights = weights / weights.sum()
        if np.abs(np.cos(np.outer(phases, nodes)) @ weights - exact).max() < TOLERANCE:
            return heaviest(tuple(nodes.tolist()), tuple(weights.tolist()))
    raise MicroscopeError(
        f"The average over {what} would need more than {MOST_NODES} points; reduce it, or the aperture."
    )

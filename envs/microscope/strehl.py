"""The Strehl ratio: the peak of a probe relative to that of a perfect one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from beamwright.envs.microscope.aberrations import (
    aberration_phase,
    check_coefficients,
    edge_phase,
    phase_basis,
)
from beamwright.envs.microscope.grid import precomputed
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.waves import phase_factor, squared_modulus

__all__ = ["strehl_ratio"]

RADIUS, SIZE = 12, 48
"""Of the aperture and of the transform in which the peak is looked for [px]."""
CLIMBS = 2
"""Newton's steps from the brightest pixel to the peak."""
RINGS, SPOKES = 9, 29
"""Of the quadrature that gives its height."""


def strehl_ratio(coefficients: Tensor, names: Sequence[str], optics: Optics) -> Tensor:
    """Return the peak of the probe relative to the peak without aberrations.

    ``max_r |<exp(-i (chi - 2 pi k r))>|^2``, the average being over the aperture: coma also shifts the peak.
    For small aberrations it is ``exp(-phase_error^2)``, Marechal's limit.

    Parameters
    ----------
    coefficients
        ``(B, K)`` [nm].
    names
        Of the K coefficients.
    optics
        Voltage and aperture; coherence is not part of this criterion.

    Returns
    -------
    Tensor
        ``(B,)``, from 0 to 1.

    Raises
    ------
    MicroscopeError
        If the coefficients do not fit their names, or the aperture has no edge.

    References
    ----------
    M. Born and E. Wolf, Principles of Optics, 7th ed. (1999), section 9.1.3.
    """
    names, device = check_coefficients(coefficients, names), coefficients.device
    tilt = _brightest(coefficients, _pixels(names, optics, device))
    points = _points(names, optics, device)
    waves = phase_factor(aberration_phase(coefficients, points.exponent)) * points.weights  # (B, P)
    for _ in range(CLIMBS):
        tilt = tilt + _step_uphill(waves, tilt, points)
    return squared_modulus((waves * phase_factor(tilt @ points.places)).sum(1))


@dataclass(frozen=True, eq=False)
class _Aperture:
    """P points of the aperture, in units of its radius."""

    places: Tensor  # y and x, (2, P)
    exponent: Tensor  # minus the phase of one nanometre, (K, P) [rad/nm]
    weights: Tensor  # share of the aperture, (P,)
    moments: Tensor  # 1, y, x, yy, yx, xx, (P, 6), complex

    @classmethod
    def of(cls, names: tuple[str, ...], optics: Optics, places: Tensor, weights: Tensor) -> _Aperture:
        edge_phase((), optics)  # refuses an open objective
        y, x = places
        angles = torch.hypot(y, x) * optics.aperture, torch.atan2(y, x)
        moments = torch.stack([torch.ones_like(y), y, x, y * y, y * x, x * x], dim=1)
        exponent = -phase_basis(names, angles, optics.voltage)
        return cls(places.float(), exponent, weights.float(), moments.to(torch.complex64))


@precomputed
def _points(names: tuple[str, ...], optics: Optics, device: torch.device) -> _Aperture:
    """Return the nodes of Gauss in the square of the radius, on spokes whose number no symmetry divides."""
    nodes, weights = np.polynomial.legendre.leggauss(RINGS)
    radius = torch.from_numpy(np.sqrt((nodes + 1) / 2)).to(device)[:, None]
    turn = torch.arange(SPOKES, dtype=torch.float64, device=device) * (2 * math.pi / SPOKES)
    places = torch.stack([radius * turn.sin(), radius * turn.cos()]).flatten(1)
    shares = torch.from_numpy(weights / 2 / SPOKES).to(device).repeat_interleave(SPOKES)
    return _Aperture.of(names, optics, places, shares)


@precomputed
def _pixels(names: tuple[str, ...], optics: Optics, device: torch.device) -> _Aperture:
    """Return the pixels of a square of `SIZE` that are in the aperture, of `RADIUS`."""
    line = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64, device=device) / RADIUS
    places = torch.cartesian_prod(line, line).T
    places = places[:, places.square().sum(0) <= 1]
    return _Aperture.of(names, optics, places, torch.ones_like(places[0]))


def _brightest(coefficients: Tensor, pixels: _Aperture) -> Tensor:
    """Return the phase tilt that brings the brightest pixel of the probe to the axis, ``(B, 2)`` [rad]."""
    waves = phase_factor(aberration_phase(coefficients, pixels.exponent))  # (B, P)
    rows, columns = (pixels.places * RADIUS).round().long() % SIZE
    plane = waves.new_zeros(len(waves), SIZE * SIZE).index_copy_(1, rows * SIZE + columns, waves)
    probe = squared_modulus(torch.fft.ifft2(plane.unflatten(1, (SIZE, SIZE))))
    brightest = probe.flatten(1).argmax(1)  # (B,)
    pixel = torch.stack([brightest // SIZE, brightest % SIZE], dim=1)
    signed = (pixel + SIZE // 2) % SIZE - SIZE // 2
    return signed * (2 * math.pi * RADIUS / SIZE)


def _step_uphill(waves: Tensor, tilt: Tensor, points: _Aperture) -> Tensor:
    """Return Newton's step to the maximum of ``|sum wave exp(i tilt place)|^2``, ``(B, 2)`` [rad]."""
    turned = waves * phase_factor(tilt @ points.places)
    s, y, x, yy, yx, xx = (turned @ points.moments).unbind(1)  # (B,), complex

    def inner(one: Tensor, other: Tensor) -> Tensor:
        return one.real * other.real + one.imag * other.imag

    slope_y, slope_x = (s.imag * m.real - s.real * m.imag for m in (y, x))
    bend_yy, bend_yx, bend_xx = (
        inner(one, other) - inner(s, both) for one, other, both in ((y, y, yy), (y, x, yx), (x, x, xx))
    )
    determinant = bend_yy * bend_xx - bend_yx.square()
    step_y, step_x = bend_yx * slope_x - bend_xx * slope_y, bend_yx * slope_y - bend_yy * slope_x
    on_a_hill = (determinant > 0) & (bend_yy < 0)
    step = torch.stack([step_y, step_x], dim=1) / torch.where(on_a_hill, determinant, torch.inf)[:, None]
    return step.clamp(-1, 1)  # a pixel is pi / 2

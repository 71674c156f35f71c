"""Stained sections of cells: membranes everywhere, and organelles in their cytosol."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.compose import compose
from beamwright.envs.microscope.specimens.fields import (
    Limits,
    between,
    coordinates,
    correlated,
    per_map,
    smooth,
    soft_step,
)
from beamwright.envs.microscope.specimens.materials import RESIN, STAIN, project
from beamwright.envs.microscope.specimens.specimen import Specimen

__all__ = ["membrane_texture", "organelles"]

SECTION = 70.0
"""Thickness of a section [nm]."""

_MITOCHONDRIA, _VESICLES, _DROPLETS = 3, 8, 3


def membrane_texture(
    streams: Streams, *, shape: tuple[int, int], pixel_size: float = 3.0, period: Limits = (0.1, 0.16)
) -> Specimen:
    """Return folded stacks of stained membranes with granules between them, all over the field.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm].
    period
        Over which the folding repeats, in units of the field's shorter side; membranes are half as far apart.
    """
    spacing = min(shape) * between(streams, period)  # (B,) [px]
    stacks = correlated(streams.normal(*shape), spacing, bandwidth=0.12)
    membranes = _level_lines(stacks, 1.1) * (0.75 + 0.25 * smooth(streams.normal(*shape), 4.0).clamp(-1, 1))
    granules = (smooth(streams.normal(*shape), 1.0) - 1.3).clamp(0, 1)
    lumen = soft_step(stacks, 0.8)  # one side of the membranes holds more stain than the other
    stain = 0.12 + 0.2 * lumen + 0.7 * membranes + 0.6 * granules * lumen
    return _section(streams, stain, pixel_size=pixel_size)


def organelles(streams: Streams, *, shape: tuple[int, int], pixel_size: float = 6.0) -> Specimen:
    """Return part of a cell: mitochondria, vesicles, droplets, reticulum and ribosomes, and often its edge.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm].
    """
    y, x = coordinates(shape, streams.device)
    pixel = 1 / min(shape)
    stain, bodies = _cytosol(streams, shape)
    for _ in range(_MITOCHONDRIA):
        stain, bodies = _mitochondrion(streams, stain, bodies, (y, x), pixel)
    for _ in range(_VESICLES):
        stain, bodies = _vesicle(streams, stain, bodies, (y, x), pixel)
    for _ in range(_DROPLETS):
        stain, bodies = _droplet(streams, stain, bodies, (y, x), pixel)
    return _section(streams, _bounded(streams, stain, (y, x), pixel), pixel_size=pixel_size)


def _cytosol(streams: Streams, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return stain of cytosol with reticulum and ribosomes, and the empty map of bodies to come."""
    side = min(shape)
    ribosomes = (smooth(streams.normal(*shape), 0.8) - 1.5).clamp(0, 1)
    sheets = _level_lines(smooth(streams.normal(*shape), 0.07 * side), 0.9)
    here = soft_step(smooth(streams.normal(*shape), 0.12 * side) - 0.2, 0.8)
    stain = 0.22 + 0.03 * smooth(streams.normal(*shape), 1.5) + 0.5 * ribosomes + 0.45 * sheets * here
    return stain, torch.zeros_like(stain)


def _mitochondrion(
    streams: Streams, stain: Tensor, bodies: Tensor, grid: tuple[Tensor, Tensor], pixel: float
) -> tuple[Tensor, Tensor]:
    """Add an ellipse with a double membrane and cristae across it."""
    u, v = _framed(streams, grid)
    long, short = streams.uniform(low=0.16, high=0.27), streams.uniform(low=0.075, high=0.12)
    depth = _ellipse_depth(u, v, per_map(long), per_map(short))
    body = soft_step(depth, pixel) * (1 - bodies)
    waves = torch.sin(2 * math.pi * u / per_map(streams.uniform(low=0.05, high=0.065)) + 9 * v)
    waves = waves + 0.5 * smooth(streams.normal(*stain.shape[1:]), 2.5)
    cristae = soft_step(waves - 0.55, 0.7) * soft_step(depth - 0.022, 2 * pixel)
    matrix = 0.4 + 0.45 * cristae + 0.4 * _ring(depth, 0.004, pixel) + 0.25 * _ring(depth, 0.02, pixel)
    return torch.lerp(stain, matrix, body), torch.maximum(bodies, body)


def _vesicle(
    streams: Streams, stain: Tensor, bodies: Tensor, grid: tuple[Tensor, Tensor], pixel: float
) -> tuple[Tensor, Tensor]:
    """Add a small round membrane with pale contents."""
    u, v = _framed(streams, grid)
    depth = per_map(streams.uniform(low=0.018, high=0.045)) - torch.hypot(u, v)
    body = soft_step(depth, pixel) * (1 - bodies)
    return torch.lerp(stain, 0.12 + 0.65 * _ring(depth, 0.005, pixel), body), torch.maximum(bodies, body)


def _droplet(
    streams: Streams, stain: Tensor, bodies: Tensor, grid: tuple[Tensor, Tensor], pixel: float
) -> tuple[Tensor, Tensor]:
    """Add a lipid droplet, full of stain."""
    u, v = _framed(streams, grid)
    depth = per_map(streams.uniform(low=0.02, high=0.045)) - torch.hypot(u, v)
    body = soft_step(depth, 1.5 * pixel) * (1 - bodies)
    return torch.lerp(stain, torch.full_like(stain, 0.95), body), torch.maximum(bodies, body)


def _bounded(streams: Streams, stain: Tensor, grid: tuple[Tensor, Tensor], pixel: float) -> Tensor:
    """Return the stain of a cell that ends, in most fields, at a membrane."""
    y, x = grid
    angle, reach = 2 * math.pi * streams.uniform(), streams.uniform(low=0.22, high=0.75)
    depth = per_map(angle.sin()) * (y - 0.5) + per_map(angle.cos()) * (x - 0.5) + per_map(reach)
    depth = depth + 0.02 * smooth(streams.normal(*stain.shape[1:]), 0.08 / pixel)
    cell = torch.lerp(torch.full_like(stain, 0.04), stain, soft_step(depth, pixel))
    return torch.maximum(cell, 0.85 * _ring(depth, 0.0, pixel))


def _framed(streams: Streams, grid: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return coordinates around a random place in a random orientation, each ``(B, H, W)``."""
    y, x = grid
    extent = y.new_tensor([float(y.max()), float(x.max())])
    centre = streams.uniform(2) * extent
    angle = math.pi * streams.uniform()
    sin, cos = per_map(angle.sin()), per_map(angle.cos())
    y, x = y - per_map(centre[:, 0]), x - per_map(centre[:, 1])
    return cos * x + sin * y, cos * y - sin * x


def _ellipse_depth(u: Tensor, v: Tensor, long: Tensor, short: Tensor) -> Tensor:
    """Return the distance to an ellipse to first order, positive inside."""
    level = torch.hypot(u / long, v / short)
    slope = torch.hypot(u / long**2, v / short**2).clamp_min(1e-6)
    return (1 - level) * level.clamp_min(0.3) / slope


def _ring(depth: Tensor, at: float, pixel: float) -> Tensor:
    """Return a membrane 1.5 pixels thick at a depth."""
    return torch.exp(-(((depth - at) / (1.1 * pixel)) ** 2))


def _level_lines(field: Tensor, width: float) -> Tensor:
    """Return lines of this half width [px] along which the field is zero."""
    slope_y, slope_x = torch.gradient(field, dim=(1, 2))
    distance = field / torch.hypot(slope_y, slope_x).clamp_min(0.02)
    return torch.exp(-((distance / width) ** 2))


def _section(streams: Streams, stain: Tensor, *, pixel_size: float) -> Specimen:
    """Return the section of a stain map; microtome and resin leave a fine grain."""
    stained = (stain + 0.015 * smooth(streams.normal(*stain.shape[1:]), 0.7)).clamp(0, 1.2)
    depth = torch.full_like(stained, SECTION)
    return compose(
        *project([(RESIN, depth * (1 - stained / 1.2)), (STAIN, depth * stained)]), pixel_size=pixel_size
    )

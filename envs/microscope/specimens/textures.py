"""Textures that fill the field: porous metal and layered films."""

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
from beamwright.envs.microscope.specimens.materials import GOLD, SILICON, project
from beamwright.envs.microscope.specimens.specimen import Specimen

__all__ = ["layered", "porous"]

_SHEETS = 3


def porous(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 1.0,
    period: Limits = (0.13, 0.2),
    filling: Limits = (-0.5, 0.1),
    thickness: Limits = (15.0, 30.0),
) -> Specimen:
    """Return nanoporous gold: ligaments and pores of one typical size, several on top of each other.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm].
    period
        From ligament to ligament, in units of the field's shorter side.
    filling
        Level at which a random field is cut, in its standard deviations: 0 fills half of each sheet.
    thickness
        Of one ligament [nm].
    """
    spacing, level = min(shape) * between(streams, period), per_map(between(streams, filling))
    metal = torch.zeros(streams.count, *shape, device=streams.device)
    for sheet in range(_SHEETS):
        field = correlated(streams.normal(*shape), spacing) + level
        round_ = field.clamp(0, 1).sqrt()  # a ligament is round: thickest along its middle
        metal += round_ * (1.0 if sheet == 0 else 0.4)
    metal = metal * per_map(between(streams, thickness))
    return compose(*project([(GOLD, metal)]), pixel_size=pixel_size)


def layered(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 0.5,
    period: Limits = (0.05, 0.13),
    roughness: Limits = (0.002, 0.008),
    thickness: Limits = (20.0, 40.0),
) -> Specimen:
    """Return a multilayer in cross section: stripes of random widths and materials with rough interfaces.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm].
    period
        Mean width of a layer, in units of the field's shorter side.
    roughness
        Of the interfaces, root mean square, in units of the field's shorter side.
    thickness
        Of the section along the beam [nm].
    """
    height = _height(streams, shape, between(streams, roughness))
    diagonal = math.hypot(*shape) / min(shape)
    layers = 2 + math.ceil(1.3 * diagonal / _least(period))
    widths = between(streams, period)[:, None] * streams.uniform(layers, low=0.5, high=1.5)
    interfaces = widths.cumsum(1) - 0.6 * diagonal  # (B, L)
    heavy = 0.35 * streams.uniform(layers)
    heavy[:, ::2] += 0.55
    share = per_map(heavy[:, 0]).expand(-1, *shape)
    for index in range(1, layers):
        change = per_map(heavy[:, index] - heavy[:, index - 1])
        share = share + change * soft_step(height - per_map(interfaces[:, index]), 1.5 / min(shape))
    depth = per_map(between(streams, thickness))
    return compose(
        *project([(SILICON, depth * (1 - share)), (GOLD, 0.3 * depth * share)]), pixel_size=pixel_size
    )


def _height(streams: Streams, shape: tuple[int, int], roughness: Tensor) -> Tensor:
    """Return the height above the substrate ``(B, H, W)``, which bends slightly and is rough."""
    y, x = coordinates(shape, streams.device)
    angle = 2 * math.pi * streams.uniform()
    height = per_map(angle.sin()) * (y - y.mean()) + per_map(angle.cos()) * (x - x.mean())
    bend = 0.01 * smooth(streams.normal(*shape), 0.2 * min(shape))
    return height + bend + per_map(roughness) * smooth(streams.normal(*shape), 1.5)


def _least(limits: Limits) -> float:
    return limits if isinstance(limits, (int, float)) else limits[0]

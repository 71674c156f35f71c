"""A flake of a layered material in an empty field."""

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
    per_map,
    smooth,
    soft_step,
)
from beamwright.envs.microscope.specimens.materials import CARBON, OXIDE, project
from beamwright.envs.microscope.specimens.specimen import Specimen

__all__ = ["textured_flake"]

_SIDES = 6


def textured_flake(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 1.0,
    radius: Limits = (0.17, 0.27),
    period: Limits = (0.05, 0.09),
    thickness: Limits = (10.0, 20.0),
    support: Limits = (2.0, 3.0),
) -> Specimen:
    """Return a flake with straight edges, terraces, a fold and a moire pattern, somewhere in an empty field.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm].
    radius
        Of the flake, in units of the field's shorter side.
    period
        Of the moire pattern, in units of the field's shorter side.
    thickness
        Of the flake [nm].
    support
        Thickness of the carbon film [nm].
    """
    y, x = coordinates(shape, streams.device)
    pixel = 1 / min(shape)
    centre = streams.uniform(2, low=0.28, high=0.72)
    y, x = y - per_map(centre[:, 0]), x - per_map(centre[:, 1])  # (B, H, 1), (B, 1, W)
    inside = soft_step(_depth(streams, y, x, between(streams, radius)), 1.5 * pixel)
    relief = 1 + 0.22 * _moire(streams, y, x, between(streams, period))
    relief = relief + 0.3 * _terraces(streams, shape) + 0.8 * _fold(streams, y, x)
    relief = relief + 0.08 * smooth(streams.normal(*shape), 0.7)
    flake = inside * per_map(between(streams, thickness)) * relief.clamp_min(0.1)
    film = per_map(between(streams, support)) * (1 + 0.05 * smooth(streams.normal(*shape), 1.0))
    return compose(*project([(CARBON, film), (OXIDE, flake)]), pixel_size=pixel_size)


def _depth(streams: Streams, y: Tensor, x: Tensor, radius: Tensor) -> Tensor:
    """Return the distance to the nearest edge of a polygon ``(B, H, W)``, positive inside."""
    corners = torch.arange(_SIDES, device=streams.device) + 0.7 * streams.uniform(_SIDES)
    angle = 2 * math.pi * (corners / _SIDES + streams.uniform(1))  # (B, S)
    reach = radius[:, None] * streams.uniform(_SIDES, low=0.65, high=1.1)
    edges = [
        per_map(reach[:, side]) - per_map(angle[:, side].sin()) * y - per_map(angle[:, side].cos()) * x
        for side in range(_SIDES)
    ]
    return torch.stack(edges).amin(0)


def _moire(streams: Streams, y: Tensor, x: Tensor, period: Tensor) -> Tensor:
    """Return three waves at 60 degrees to each other, between -1 and 2 of half their height."""
    turn, phases = math.pi * streams.uniform(), 2 * math.pi * streams.uniform(3)
    total = torch.zeros_like(y + x)
    for wave in range(3):
        angle = turn + wave * math.pi / 3
        along = per_map(angle.sin()) * y + per_map(angle.cos()) * x
        total += torch.cos(2 * math.pi * along / per_map(period) + per_map(phases[:, wave]))
    return total / 1.5


def _terraces(streams: Streams, shape: tuple[int, int]) -> Tensor:
    """Return a surface of three levels with steps between them."""
    field = smooth(streams.normal(*shape), 0.12 * min(shape))
    return soft_step(field - 0.3, 0.1) + soft_step(field + 0.5, 0.1) - 1


def _fold(streams: Streams, y: Tensor, x: Tensor) -> Tensor:
    """Return a narrow stripe through the middle of most flakes, where the flake lies double."""
    angle, offset = math.pi * streams.uniform(), streams.uniform(low=-0.06, high=0.06)
    distance = (per_map(angle.sin()) * y + per_map(angle.cos()) * x - per_map(offset)).abs()
    present = (streams.uniform() < 0.7).float()
    return per_map(present) * soft_step(0.018 - distance, 0.012)

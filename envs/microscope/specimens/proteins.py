"""Proteins in vitreous ice, as blobs of density."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.compose import compose
from beamwright.envs.microscope.specimens.fields import Limits, between, per_map, smooth
from beamwright.envs.microscope.specimens.materials import ICE, PROTEIN, project
from beamwright.envs.microscope.specimens.particles import scatter
from beamwright.envs.microscope.specimens.rendering import render_atoms
from beamwright.envs.microscope.specimens.specimen import Specimen
from beamwright.envs.microscope.specimens.wulff import random_rotations

__all__ = ["proteins_in_ice"]

_DOMAINS, _FOLD = 7, 4


def proteins_in_ice(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 0.5,
    count: int = 14,
    radius: Limits = (0.06, 0.095),
    thickness: Limits = (20.0, 35.0),
) -> Specimen:
    """Return copies of one protein complex of four-fold symmetry in all orientations, frozen in ice.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm].
    count
        Proteins in the field.
    radius
        Of the protein, in units of the field's shorter side.
    thickness
        Of the ice [nm].
    """
    size = between(streams, radius)  # (B,)
    centres = scatter(streams, 1.15 * size[:, None].expand(-1, count), shape)  # (B, P, 2)
    places = _complex(streams) @ random_rotations(streams, count)  # (B, P, D, 3) in radii
    side = min(shape) * pixel_size
    positions = side * (centres[:, :, None] + size[:, None, None, None] * places[..., :2])
    radii = (0.27 * side * size)[:, None]  # of one domain [nm]
    volumes = (4 / 3 * math.pi * radii**3).expand(-1, count * _DOMAINS * _FOLD)
    protein = render_atoms(
        positions.flatten(1, 2), volumes, shape=shape, pixel_size=pixel_size, width=0.55 * radii[:, 0]
    )  # (B, H, W) [nm]
    ice = per_map(between(streams, thickness)) * (1 + 0.01 * smooth(streams.normal(*shape), 1.0)) - protein
    return compose(*project([(ICE, ice.clamp_min(0)), (PROTEIN, protein)]), pixel_size=pixel_size)


def _complex(streams: Streams) -> Tensor:
    """Return the places of domains ``(B, 1, D, 3)`` within a sphere of radius 1, around a four-fold axis."""
    direction = torch.nn.functional.normalize(streams.normal(_DOMAINS, 3), dim=-1)
    unit = direction * (0.25 + 0.75 * streams.uniform(_DOMAINS, 1))  # (B, 7, 3)
    turns = torch.arange(_FOLD, device=unit.device) * (2 * math.pi / _FOLD)
    x, y, z = unit[:, None].unbind(-1)  # (B, 1, 7)
    sin, cos = turns.sin()[:, None], turns.cos()[:, None]
    return torch.stack([cos * x - sin * y, sin * x + cos * y, z.expand(-1, _FOLD, -1)], -1).flatten(1, 2)[
        :, None
    ]

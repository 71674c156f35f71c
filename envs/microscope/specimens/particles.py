"""Nanoparticles: an agglomerate in an empty field, particles all over it, and facets on a support."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.compose import compose
from beamwright.envs.microscope.specimens.fields import Limits, between, coordinates, per_map, smooth
from beamwright.envs.microscope.specimens.materials import CARBON, GOLD, project
from beamwright.envs.microscope.specimens.specimen import Specimen
from beamwright.envs.microscope.specimens.wulff import face_normals, random_rotations, wulff_thickness

__all__ = ["nanoparticles", "particle_cluster", "particles_anywhere", "scatter"]

_TRIES = 6
"""Places that are tried for a particle; it takes the one with the most room."""


def particle_cluster(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 0.5,
    count: tuple[int, int] = (14, 30),
    radius: Limits = (0.03, 0.065),
    support: Limits = (2.0, 4.0),
) -> Specimen:
    """Return an agglomerate of metal particles that hang together, somewhere in an empty field.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm].
    count
        Fewest and most particles.
    radius
        Of the particles, in units of the field's shorter side.
    support
        Thickness of the carbon film [nm].
    """
    radii = _sizes(streams, count, radius)
    centres = _aggregate(streams, radii)
    return _on_carbon(streams, centres, radii, shape=shape, pixel_size=pixel_size, support=support)


def particles_anywhere(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 0.5,
    count: tuple[int, int] = (8, 20),
    radius: Limits = (0.02, 0.065),
    support: Limits = (2.0, 4.0),
) -> Specimen:
    """Return metal particles scattered over the whole field; arguments as of `particle_cluster`."""
    radii = _sizes(streams, count, radius)
    centres = scatter(streams, radii, shape)
    return _on_carbon(streams, centres, radii, shape=shape, pixel_size=pixel_size, support=support)


def nanoparticles(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 0.2,
    count: tuple[int, int] = (3, 7),
    radius: Limits = (0.09, 0.16),
    support: Limits = (8.0, 14.0),
) -> Specimen:
    """Return a few large faceted particles on a rough amorphous film; arguments as of `particle_cluster`."""
    radii = _sizes(streams, count, radius)
    centres = scatter(streams, radii, shape)
    return _on_carbon(streams, centres, radii, shape=shape, pixel_size=pixel_size, support=support)


def _sizes(streams: Streams, count: tuple[int, int], radius: Limits) -> Tensor:
    """Return radii ``(B, P)``, 0 beyond the number of particles; many are small, few are large."""
    low, high = count
    present = torch.arange(high, device=streams.device) < streams.integers(1, low=low, high=high + 1)
    least, most = (radius, radius) if isinstance(radius, (int, float)) else radius
    return (least + (most - least) * streams.uniform(high) ** 1.5) * present


def _aggregate(streams: Streams, radii: Tensor) -> Tensor:
    """Return centres ``(B, P, 2)``, each particle touching one of those before it where there is room."""
    batch, particles = radii.shape
    angle = 2 * math.pi * streams.uniform(particles, _TRIES)
    heading = torch.stack([angle.sin(), angle.cos()], dim=-1)  # (B, P, T, 2)
    choice = streams.uniform(particles, _TRIES)
    rows = torch.arange(batch, device=radii.device)
    placed = torch.zeros(batch, 1, 2, device=radii.device)
    for index in range(1, particles):
        parent = (choice[:, index] * index).long()  # (B, T)
        reach = 0.95 * (radii.gather(1, parent) + radii[:, index, None])
        tries = placed[rows[:, None], parent] + reach[..., None] * heading[:, index]
        best = _roomiest(tries, placed, radii[:, :index])
        placed = torch.cat([placed, tries[rows, best][:, None]], dim=1)
    middle = (placed.amax(dim=1) + placed.amin(dim=1)) / 2
    return placed - middle[:, None] + streams.uniform(1, 2, low=0.27, high=0.73)


def _roomiest(tries: Tensor, placed: Tensor, radii: Tensor) -> Tensor:
    """Return which of the tries ``(B, T, 2)`` is farthest from the rims of the particles, ``(B,)``."""
    room = torch.cdist(tries, placed) - radii[:, None]
    return room.amin(dim=2).argmax(dim=1)


def scatter(streams: Streams, radii: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return centres ``(B, P, 2)``, each the roomiest of a few random places."""
    batch, particles = radii.shape
    extent = torch.tensor(shape, device=radii.device) / min(shape)
    tries = streams.uniform(particles, _TRIES, 2) * extent  # (B, P, T, 2)
    rows = torch.arange(batch, device=radii.device)
    chosen = tries[:, :1, 0]  # (B, 1, 2)
    for index in range(1, particles):
        best = _roomiest(tries[:, index], chosen, radii[:, :index])
        chosen = torch.cat([chosen, tries[rows, index, best][:, None]], dim=1)
    return chosen


def _on_carbon(
    streams: Streams,
    centres: Tensor,
    radii: Tensor,
    *,
    shape: tuple[int, int],
    pixel_size: float,
    support: Limits,
) -> Specimen:
    side = min(shape) * pixel_size  # [nm]
    film = per_map(between(streams, support)) * (1 + 0.06 * smooth(streams.normal(*shape), 1.2)).clamp_min(0)
    gold = side * _thickness(streams, centres, radii, shape)  # (B, H, W) [nm]
    scattering, phase = project([(CARBON, film), (GOLD, gold)])
    return compose(scattering, phase, pixel_size=pixel_size)


def _thickness(streams: Streams, centres: Tensor, radii: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the total thickness of all particles ``(B, H, W)``, in units of the shorter side."""
    y, x = coordinates(shape, streams.device)
    normals = face_normals().to(streams.device) @ random_rotations(streams, radii.shape[1])  # (B, P, 7, 3)
    total = torch.zeros(len(radii), *shape, device=streams.device)
    for index in range(radii.shape[1]):
        place = centres[:, index]
        total += wulff_thickness(
            y - per_map(place[:, 0]), x - per_map(place[:, 1]), per_map(radii[:, index]), normals[:, index]
        )
    return total

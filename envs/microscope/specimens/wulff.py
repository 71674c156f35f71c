"""The equilibrium shape of a small crystal: a polyhedron cut by its low-energy faces."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams

__all__ = ["face_normals", "random_rotations", "wulff_thickness"]

CUBE_RATIO = 1.15
"""Distance of the {100} faces from the centre over that of the {111} faces: the ratio of their surface
energies, near that of gold (Marks, Rep. Prog. Phys. 57, 603, 1994). At 1.73, their geometric limit, the
cube's faces vanish and an octahedron is left."""


def face_normals(ratio: float = CUBE_RATIO) -> Tensor:
    """Return one of each pair of opposite faces ``(7, 3)``: normals divided by their distance.

    A point r is inside the crystal of radius R if ``|n . r| <= R`` for all of them.
    """
    cube = torch.eye(3) / ratio
    signs = torch.tensor([[1.0, 1, 1], [1, 1, -1], [1, -1, 1], [-1, 1, 1]])
    return torch.cat([cube, signs / math.sqrt(3)])


def random_rotations(streams: Streams, count: int) -> Tensor:
    """Return rotation matrices ``(B, count, 3, 3)``, uniform over all orientations, from quaternions."""
    w, x, y, z = torch.nn.functional.normalize(streams.normal(count, 4), dim=-1).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], dim=-1),
        torch.stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], dim=-1),
        torch.stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], dim=-1),
    ]
    return torch.stack(rows, dim=-2)


def wulff_thickness(y: Tensor, x: Tensor, radius: Tensor, normals: Tensor) -> Tensor:
    """Return how thick crystals are along the beam.

    Parameters
    ----------
    y, x
        Distances from the centre, ``(B, ...)`` and broadcastable to each other.
    radius
        Distance of the {111} faces from the centre, ``(B, 1, ...)``; 0 is no crystal.
    normals
        Faces ``(B, 7, 3)`` as (x, y, z) in the frame of the microscope, see `face_normals`.

    Returns
    -------
    Tensor
        Thickness ``(B, ...)`` in the unit of the distances.

    Notes
    -----
    Each pair of faces keeps the line of sight between two depths; the crystal is what all pairs keep.
    """
    top, bottom = torch.full_like(y + x, math.inf), torch.full_like(y + x, -math.inf)
    for face in normals.unbind(1):  # (B, 3)
        nx, ny, nz = (part.reshape(-1, *[1] * (y.dim() - 1)) for part in face.unbind(-1))
        nz = torch.where(nz.abs() < 1e-4, 1e-4, nz)
        middle = -(y * ny + x * nx) / nz
        half = radius / nz.abs()
        top = torch.minimum(top, middle + half)
        bottom = torch.maximum(bottom, middle - half)
    return (top - bottom).clamp_min(0)

"""Unit cells as data: what a crystal looks like along the beam."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.fields import Limits, between

__all__ = [
    "DUMBBELL",
    "HEXAGONAL",
    "HONEYCOMB",
    "PEROVSKITE",
    "RECT",
    "SQUARE",
    "Lattice",
    "UnitCells",
    "choose_cells",
    "random_cells",
]

Column = tuple[float, float, int, float]


@dataclass(frozen=True)
class Lattice:
    """A projected crystal.

    Parameters
    ----------
    cell
        The two edges of the unit cell, each as (y, x) [nm].
    columns
        Atomic columns: two fractions of the edges, atomic number, and atoms per repeat along the beam.
    """

    cell: tuple[tuple[float, float], tuple[float, float]]
    columns: tuple[Column, ...]


_ROOT3 = math.sqrt(3)

SQUARE = Lattice(((0.2039, 0.0), (0.0, 0.2039)), ((0.0, 0.0, 79, 1.0),))
"""Gold along [001]."""
HEXAGONAL = Lattice(((0.0, 0.2884), (0.2884 * _ROOT3 / 2, 0.1442)), ((0.0, 0.0, 79, 1.0),))
"""A close-packed layer of gold, along [111]."""
RECT = Lattice(((0.3713, 0.0), (0.0, 0.2725)), ((0.0, 0.0, 78, 1.0), (0.5, 0.5, 26, 1.0)))
"""Ordered FePt along its short axis: bright rows of platinum, faint iron between them."""
HONEYCOMB = Lattice(
    ((0.0, 0.316), (0.316 * _ROOT3 / 2, 0.158)), ((1 / 3, 1 / 3, 42, 1.0), (2 / 3, 2 / 3, 16, 2.0))
)
"""One layer of MoS2: molybdenum, and two sulphur atoms on top of each other."""
PEROVSKITE = Lattice(
    ((0.3905, 0.0), (0.0, 0.3905)),
    ((0.0, 0.0, 38, 1.0), (0.5, 0.5, 22, 1.0), (0.5, 0.5, 8, 1.0), (0.5, 0.0, 8, 1.0), (0.0, 0.5, 8, 1.0)),
)
"""SrTiO3 along [001]."""
DUMBBELL = Lattice(
    ((0.5653, 0.0), (0.0, 0.3997)),
    ((0.0, 0.0, 31, 1.0), (0.25, 0.0, 33, 1.0), (0.5, 0.5, 31, 1.0), (0.75, 0.5, 33, 1.0)),
)
"""GaAs along [110]: pairs of gallium and arsenic, 0.14 nm apart."""


@dataclass(frozen=True)
class UnitCells:
    """One unit cell per specimen.

    Parameters
    ----------
    edges
        ``(B, 2, 2)``: two edges, each as (y, x) [nm].
    basis
        Fractions of the edges ``(B, K, 2)``.
    numbers
        Atomic numbers ``(B, K)``.
    atoms
        Atoms of each column in one repeat along the beam ``(B, K)``, 0 where there is no column.
    """

    edges: Tensor
    basis: Tensor
    numbers: Tensor
    atoms: Tensor

    def scaled(self, factor: Tensor) -> UnitCells:
        """Return the cells enlarged by factors ``(B,)``."""
        return replace(self, edges=self.edges * factor[:, None, None])

    def turned(self, angle: Tensor) -> UnitCells:
        """Return the cells rotated by angles ``(B,)`` [rad]."""
        sin, cos = angle.sin(), angle.cos()
        rotation = torch.stack([torch.stack([cos, sin], -1), torch.stack([-sin, cos], -1)], -2)  # (B, 2, 2)
        return replace(self, edges=self.edges @ rotation)


def choose_cells(streams: Streams, lattices: tuple[Lattice, ...]) -> UnitCells:
    """Return for each stream the cell of one of the lattices."""
    choice = streams.integers(1, low=0, high=len(lattices))[:, 0]  # (B,)
    most = max(len(lattice.columns) for lattice in lattices)
    padded = [
        (*lattice.columns, *[(0.0, 0.0, 0, 0.0)] * (most - len(lattice.columns))) for lattice in lattices
    ]
    columns = torch.tensor(padded, device=streams.device)[choice]  # (B, K, 4)
    edges = torch.tensor([lattice.cell for lattice in lattices], device=streams.device)[choice]
    return UnitCells(edges, columns[..., :2], columns[..., 2].round().long(), columns[..., 3])


def random_cells(
    streams: Streams,
    *,
    spacing: Limits = (0.2, 0.45),
    elements: tuple[int, ...] = (14, 22, 38, 42, 57, 79),
) -> UnitCells:
    """Return cells of random edges, angle and columns, like no crystal in particular.

    Parameters
    ----------
    streams
        One per specimen.
    spacing
        Lengths of the edges [nm].
    elements
        Atomic numbers to choose from.
    """
    length, angle = between(streams, spacing, 2), streams.uniform(low=math.pi / 3, high=2 * math.pi / 3)
    second = length[:, 1, None] * torch.stack([angle.sin(), angle.cos()], dim=-1)
    first = length[:, 0, None] * torch.tensor([0.0, 1.0], device=streams.device)
    place = streams.uniform(1, 2, low=0.35, high=0.65)  # (B, 1, 2)
    numbers = torch.tensor(elements, device=streams.device)[streams.integers(2, low=0, high=len(elements))]
    atoms = torch.stack([torch.ones_like(angle), (streams.uniform() < 0.5).float()], dim=-1)
    basis = torch.cat([torch.zeros_like(place), place], dim=1)
    return UnitCells(torch.stack([first, second], dim=1), basis, numbers, atoms)

"""Crystals from unit cells: columns that fill a field, and what is wrong with them.

How many sites are looked at depends on the whole batch, but a specimen must not. So sites are in an order in
which a longer list begins with the shorter one, and random numbers of sites are taken last, in one go.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.fields import Limits, between
from beamwright.envs.microscope.specimens.lattices import UnitCells
from beamwright.errors import MicroscopeError

__all__ = ["Columns", "Defects", "Lean", "draw_defects", "draw_lean", "fill", "fit_to_field", "with_boundary"]

_APRON = 0.3
"""How far beyond the field columns are kept, since their tails reach into it [nm]."""

REPEAT = 0.4
"""Length of one repeat along the beam [nm]."""


@dataclass(frozen=True)
class Columns:
    """Atomic columns of a batch of crystals.

    Parameters
    ----------
    positions
        ``(B, M, K, 2)`` as (y, x) [nm]: M cells of K columns.
    numbers
        Atomic numbers ``(B, M, K)``.
    weights
        Atoms in each column ``(B, M, K)``, 0 where there is none.
    """

    positions: Tensor
    numbers: Tensor
    weights: Tensor

    def where(self, mask: Tensor) -> Columns:
        """Return the columns of a mask ``(B, M, K)``; the others lose their atoms."""
        return replace(self, weights=self.weights * mask)

    def beside(self, other: Columns) -> Columns:
        """Return the columns of two crystals of as many cells in one field."""
        return Columns(
            torch.cat([self.positions, other.positions], dim=2),
            torch.cat([self.numbers, other.numbers], dim=2),
            torch.cat([self.weights, other.weights], dim=2),
        )

    def atoms(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return positions ``(B, N, 2)``, numbers and weights ``(B, N)`` of the columns that have atoms.

        N is as small as the fullest crystal allows; the others are filled up with columns without atoms.
        """
        weights = self.weights.flatten(1)
        order = (weights > 0).to(torch.int8).argsort(dim=1, descending=True, stable=True)
        order = order[:, : int((weights > 0).sum(dim=1).max())]
        positions = self.positions.flatten(1, 2).gather(1, order[..., None].expand(-1, -1, 2))
        return positions, self.numbers.flatten(1).gather(1, order), weights.gather(1, order)


def fill(streams: Streams, cells: UnitCells, extent: Tensor, *, reach: int | None = None) -> Columns:
    """Return columns that cover a field, from a random origin.

    Parameters
    ----------
    streams
        One per crystal.
    cells
        One unit cell per crystal.
    extent
        Height and width of the field ``(2,)`` [nm].
    reach
        Cells to either side of the middle; by default as many as the field needs.
    """
    corners = _corners(_reach(cells.edges, extent) if reach is None else reach).to(extent.device)  # (M, 2)
    origin = streams.uniform(1, 1, 2)
    fractions = corners[:, None] + cells.basis[:, None] + origin  # (B, M, K, 2)
    positions = fractions @ cells.edges[:, None] + extent / 2
    inside = ((positions > -_APRON) & (positions < extent + _APRON)).all(-1)
    numbers, atoms = (part[:, None].expand(inside.shape) for part in (cells.numbers, cells.atoms))
    return Columns(positions, numbers, atoms * inside)


def fit_to_field(cells: UnitCells, extent: Tensor) -> UnitCells:
    """Return cells strained so that whole numbers of them fill the field, which then repeats without a seam.

    Raises
    ------
    MicroscopeError
        If the field is too small for a cell.
    """
    field = torch.diag(extent)
    turns = (field @ torch.linalg.inv(cells.edges)).round()
    if (torch.linalg.det(turns).abs() < 0.5).any():
        raise MicroscopeError(
            f"A field of {extent[0]:.3g} x {extent[1]:.3g} nm holds no whole unit cell; a commensurate "
            f"lattice needs at least {2 * float(cells.edges.norm(dim=-1).max()):.3g} nm along both axes."
        )
    return replace(cells, edges=torch.linalg.inv(turns) @ field)


def with_boundary(
    streams: Streams, columns: Columns, cells: UnitCells, extent: Tensor, probability: float
) -> Columns:
    """Return crystals of which some meet, along a straight boundary, a grain of another orientation."""
    turn = streams.uniform(low=math.radians(12), high=math.radians(30))
    reach = (
        math.isqrt(columns.weights.shape[1]) // 2
    )  # the same cells, so that the grains can stand side by side
    other = fill(streams, cells.turned(turn), extent, reach=reach)
    angle = 2 * math.pi * streams.uniform()
    normal = torch.stack([angle.sin(), angle.cos()], dim=-1)[:, None, :, None]  # (B, 1, 2, 1)
    centre = extent * streams.uniform(1, 1, 2, low=0.3, high=0.7)
    gap = 0.25 * cells.edges.norm(dim=-1).amin(dim=-1)[:, None, None]  # no two columns closer than this
    here, there = (((part.positions - centre) @ normal)[..., 0] for part in (columns, other))
    split = streams.uniform(1, 1) < probability
    return columns.where(~split | (here < -gap / 2)).beside(other.where(split & (there > gap / 2)))


@dataclass(frozen=True)
class Defects:
    """What is wrong with the columns of each crystal: shares ``(B, 1, 1)`` and a displacement [nm]."""

    vacancies: Tensor
    dopants: Tensor
    dopant: int
    disorder: float

    def apply(self, columns: Columns, noise: Tensor) -> Columns:
        """Return the defective columns.

        Parameters
        ----------
        columns
            Of perfect crystals.
        noise
            Normal numbers of the sites ``(B, M, K, 4)``.
        """
        empty = torch.special.ndtr(noise[..., 0]) < self.vacancies
        foreign = torch.special.ndtr(noise[..., 1]) < self.dopants
        return Columns(
            columns.positions + self.disorder * noise[..., 2:],
            torch.where(foreign, self.dopant, columns.numbers),
            torch.where(foreign, columns.weights.clamp_max(1), columns.weights) * ~empty,
        )


def draw_defects(
    streams: Streams, *, vacancies: Limits, dopants: Limits, dopant: int, disorder: float
) -> Defects:
    """Return the defects of crystals; parameters as of `crystal`."""
    return Defects(between(streams, vacancies, 1, 1), between(streams, dopants, 1, 1), dopant, disorder)


@dataclass(frozen=True)
class Lean:
    """How thick crystals are, and how their columns lean.

    Parameters
    ----------
    layers
        Repeats along the beam ``(B,)``.
    shift
        Of the top of a column against its bottom ``(B, 2)`` as (y, x) [nm].
    slices
        Into how many pieces a column is cut; 1 leaves it upright.
    """

    layers: Tensor
    shift: Tensor
    slices: int

    def apply(self, columns: Columns) -> Columns:
        """Return crystals whose columns are as long, each of them a row of pieces."""
        depth = (torch.arange(self.slices, device=self.shift.device) + 0.5) / self.slices - 0.5  # (S,)
        shifts = depth[:, None] * self.shift[:, None, None, None]  # (B, 1, 1, S, 2)
        weights = columns.weights * (self.layers / self.slices)[:, None, None]
        return Columns(
            (columns.positions[:, :, :, None] + shifts).flatten(2, 3),
            columns.numbers.repeat_interleave(self.slices, dim=2),
            weights.repeat_interleave(self.slices, dim=2),
        )


def draw_lean(streams: Streams, *, layers: Limits, tilt: Limits, slices: int = 3) -> Lean:
    """Return thickness and tilt of crystals; parameters as of `crystal`."""
    repeats, angle = between(streams, layers), 2 * math.pi * streams.uniform()
    length = 1e-3 * between(streams, tilt) * repeats * REPEAT
    shift = length[:, None] * torch.stack([angle.sin(), angle.cos()], dim=-1)
    return Lean(repeats, shift, 1 if tilt == 0 else slices)


def _corners(reach: int) -> Tensor:
    """Return cells up to so many to either side ``(M, 2)``, ring by ring from the middle."""
    steps = torch.arange(-reach, reach + 1, dtype=torch.float32)
    corners = torch.cartesian_prod(steps, steps)
    return corners[corners.abs().amax(dim=1).argsort(stable=True)]


def _reach(edges: Tensor, extent: Tensor) -> int:
    """Return how many cells to either side of the centre cover the field, whatever its orientation."""
    height = torch.linalg.det(edges).abs() / edges.norm(dim=-1).amax(dim=-1)
    return math.ceil((float(extent.norm()) / 2 + _APRON) / float(height.min())) + 2

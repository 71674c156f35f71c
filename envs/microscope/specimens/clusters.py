"""Atoms that are not a crystal that fills the field: clusters, single atoms, and small crystals."""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.compose import compose
from beamwright.envs.microscope.specimens.fields import Limits, between
from beamwright.envs.microscope.specimens.films import carbon_film
from beamwright.envs.microscope.specimens.growing import Columns, fill
from beamwright.envs.microscope.specimens.lattices import Lattice, choose_cells
from beamwright.envs.microscope.specimens.specimen import Specimen
from beamwright.envs.microscope.specimens.wulff import face_normals, wulff_thickness
from beamwright.errors import MicroscopeError

__all__ = ["atom_cluster", "random_atoms", "wulff_crystal"]

_RAFT = Lattice(((0.0, 0.277), (0.277 * math.sqrt(3) / 2, 0.1385)), ((0.0, 0.0, 78, 1.0),))
_ALONG_110 = Lattice(((0.4078, 0.0), (0.0, 0.2884)), ((0.0, 0.0, 79, 1.0), (0.5, 0.5, 79, 1.0)))
_STRAYS = 8


def atom_cluster(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 0.04,
    radius: Limits = (0.13, 0.22),
    disorder: float = 0.03,
    support: Limits = (1.0, 2.0),
    width: float = 0.045,
) -> Specimen:
    """Return a cluster of platinum atoms, one to three on top of each other, somewhere on thin carbon.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm].
    radius
        Of the cluster, in units of the field's shorter side.
    disorder
        Displacement of the atoms from close packing along each axis, root mean square [nm].
    support
        Thickness of the carbon film [nm].
    width
        Standard deviation of an atom in the signal [nm]: 0.008 as it is (core and thermal
        vibration), 0.045 as a probe of 0.1 nm sees it.

    Raises
    ------
    MicroscopeError
        If the sampling cannot show atoms.
    """
    _check_atomic(pixel_size)
    extent = torch.tensor(shape, device=streams.device) * pixel_size  # (2,) [nm]
    size = between(streams, radius, 1, 1) * float(extent.min())  # (B, 1, 1) [nm]
    centre = extent * streams.uniform(1, 1, 2, low=0.28, high=0.72)  # (B, 1, 1, 2)
    cells = choose_cells(streams, (_RAFT,)).turned(2 * math.pi * streams.uniform())
    packed = fill(streams, cells, extent)
    depth = 1 - _outline(streams, packed.positions - centre) / size  # 1 in the middle, 0 at the rim
    strays = _strays(streams, centre[:, 0], size[:, 0])
    film = carbon_film(streams, support, shape=shape, pixel_size=pixel_size, width=width)
    noise = streams.normal(*depth.shape[1:], 3)  # of the sites, and so the last
    height = (1 + 2.4 * depth - 0.7 * torch.special.ndtr(noise[..., 0])).floor().clamp(1, 3)
    packed = Columns(
        packed.positions + disorder * noise[..., 1:], packed.numbers, packed.weights * height * (depth > 0)
    )
    atoms = [torch.cat(parts, dim=1) for parts in zip(packed.atoms(), strays, strict=True)]
    return compose(*film, pixel_size=pixel_size, atoms=(atoms[0], atoms[1], atoms[2]), width=width)


def random_atoms(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 0.03,
    density: float = 4.0,
    elements: tuple[int, ...] = (46, 74, 78),
    support: Limits = (1.0, 2.0),
    width: float = 0.008,
) -> Specimen:
    """Return single heavy atoms at random on thin carbon.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm].
    density
        Atoms per area [1/nm^2].
    elements
        Atomic numbers to choose from.
    support
        Thickness of the carbon film [nm].
    width
        Standard deviation of an atom in the signal [nm].

    Raises
    ------
    MicroscopeError
        If the sampling cannot show atoms.
    """
    _check_atomic(pixel_size)
    extent = torch.tensor(shape, device=streams.device) * pixel_size
    count = max(1, round(density * float(extent.prod())))
    positions = streams.uniform(count, 2) * extent
    choice = streams.integers(count, low=0, high=len(elements))
    numbers = torch.tensor(elements, device=streams.device)[choice]
    film = carbon_film(streams, support, shape=shape, pixel_size=pixel_size, width=width)
    atoms = (positions, numbers, torch.ones_like(positions[..., 0]))
    return compose(*film, pixel_size=pixel_size, atoms=atoms, width=width)


def wulff_crystal(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 0.03,
    radius: Limits = (0.2, 0.32),
    disorder: float = 0.005,
    support: Limits = (3.0, 6.0),
    width: float = 0.03,
) -> Specimen:
    """Return a gold crystal in its equilibrium shape, seen along [110], on amorphous carbon.

    Arguments are those of `atom_cluster`; every column has as many atoms as the shape is thick there.

    Raises
    ------
    MicroscopeError
        If the sampling cannot show atoms.
    """
    _check_atomic(pixel_size)
    extent = torch.tensor(shape, device=streams.device) * pixel_size
    size = between(streams, radius, 1, 1) * float(extent.min())
    centre = extent * streams.uniform(1, 1, 2, low=0.38, high=0.62)
    angle = 2 * math.pi * streams.uniform()
    columns = fill(streams, choose_cells(streams, (_ALONG_110,)).turned(angle), extent)
    y, x = (columns.positions - centre).unbind(-1)  # (B, M, K)
    thickness = wulff_thickness(y, x, size, _faces_along_110(angle))
    film = carbon_film(streams, support, shape=shape, pixel_size=pixel_size, width=width)
    shifts = disorder * streams.normal(*columns.positions.shape[1:])
    atoms = (thickness / 0.2884).round()  # one atom each repeat of [110]
    columns = Columns(columns.positions + shifts, columns.numbers, columns.weights * atoms)
    return compose(*film, pixel_size=pixel_size, atoms=columns.atoms(), width=width)


def _outline(streams: Streams, offset: Tensor) -> Tensor:
    """Return distances from the centre ``(B, M, K)``, deformed so that circles become irregular blobs."""
    y, x = offset.unbind(-1)
    angle, bumps = torch.atan2(y, x), torch.ones_like(y)
    phases, heights = 2 * math.pi * streams.uniform(4), streams.normal(4)
    for order in range(4):
        phase, height = phases[:, order, None, None], heights[:, order, None, None]
        bumps += 0.13 / (1 + 0.5 * order) * height * ((order + 2) * angle + phase).cos()
    return torch.hypot(y, x) / bumps.clamp_min(0.3)


def _strays(streams: Streams, centre: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a few single atoms around a cluster: positions ``(B, 8, 2)``, numbers and weights ``(B, 8)``."""
    angle = 2 * math.pi * streams.uniform(_STRAYS)
    distance = size * streams.uniform(_STRAYS, low=1.15, high=1.75)
    positions = centre + torch.stack([distance * angle.sin(), distance * angle.cos()], dim=-1)
    return positions, torch.full_like(angle, 78).long(), (streams.uniform(_STRAYS) < 0.6).float()


@functools.lru_cache(maxsize=1)
def _faces_of_zone() -> Tensor:
    """Return the faces with [1-10] along x, [001] along y and [110] along the beam."""
    root = math.sqrt(0.5)
    frame = torch.tensor([[root, -root, 0.0], [0.0, 0.0, 1.0], [root, root, 0.0]])
    return face_normals() @ frame.T  # (7, 3) as (x, y, z)


def _faces_along_110(angle: Tensor) -> Tensor:
    """Return the faces ``(B, 7, 3)`` turned with the lattice by angles ``(B,)`` from x towards -y."""
    x, y, z = _faces_of_zone().to(angle.device).unbind(-1)  # (7,)
    sin, cos = angle.sin()[:, None], angle.cos()[:, None]
    return torch.stack([cos * x + sin * y, cos * y - sin * x, z.expand(len(angle), -1)], dim=-1)


def _check_atomic(pixel_size: float) -> None:
    if pixel_size > 0.1:
        raise MicroscopeError(
            f"Atoms need pixels of at most 0.1 nm, not {pixel_size:g} nm; choose a smaller pixel_size, or a "
            "class of larger things such as particle_cluster."
        )

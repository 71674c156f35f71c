"""Crystals that fill the field, with what is wrong with them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens import lattices as known
from beamwright.envs.microscope.specimens.compose import compose
from beamwright.envs.microscope.specimens.fields import Limits, between
from beamwright.envs.microscope.specimens.films import carbon_film
from beamwright.envs.microscope.specimens.growing import (
    draw_defects,
    draw_lean,
    fill,
    fit_to_field,
    with_boundary,
)
from beamwright.envs.microscope.specimens.lattices import Lattice, UnitCells, choose_cells, random_cells
from beamwright.envs.microscope.specimens.specimen import Specimen
from beamwright.errors import MicroscopeError

__all__ = [
    "crystal",
    "dumbbell",
    "hexagonal",
    "honeycomb",
    "lattice_with_defects",
    "perovskite",
    "random_lattice",
    "rect",
    "square",
]


def crystal(
    streams: Streams,
    *,
    shape: tuple[int, int],
    cells: Callable[[Streams], UnitCells],
    pixel_size: float = 0.025,
    scale: Limits = (0.97, 1.03),
    rotation: Limits = (0.0, 360.0),
    commensurate: bool = False,
    layers: Limits = 1.0,
    vacancies: Limits = 0.0,
    dopants: Limits = 0.0,
    dopant: int = 74,
    boundary: float = 0.0,
    tilt: Limits = 0.0,
    disorder: float = 0.004,
    support: Limits = 0.0,
    width: float = 0.008,
) -> Specimen:
    """Return crystals that fill the field.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    cells
        What gives every specimen its unit cell.
    pixel_size
        Sampling [nm].
    scale
        Factor on the lattice constants.
    rotation
        In the plane [degrees].
    commensurate
        Unturned and strained to repeat with the field, without a seam for Fourier methods. Such a
        lattice has few frequencies, and estimates of aberrations from it are degenerate.
    layers
        Repeats along the beam.
    vacancies
        Share of the columns that are empty.
    dopants
        Share of the columns that are of the element `dopant`.
    dopant
        Atomic number of the foreign atoms.
    boundary
        Probability of a grain boundary.
    tilt
        Angle between the columns and the beam [mrad].
    disorder
        Static displacement of the columns along each axis, root mean square [nm].
    support
        Thickness of an amorphous carbon film below [nm].
    width
        Standard deviation of an atom in the signal [nm]: 0.008 as it is (core and thermal
        vibration), 0.045 as a probe of 0.1 nm sees it.

    Raises
    ------
    MicroscopeError
        If the sampling cannot show the columns, or a commensurate lattice does not fit the field.
    """
    extent = torch.tensor(shape, device=streams.device) * pixel_size  # (2,) [nm]
    unit = cells(streams).scaled(between(streams, scale))
    turned = unit.turned(between(streams, rotation) * math.pi / 180)
    unit = fit_to_field(unit, extent) if commensurate else turned
    _check_sampling(unit, pixel_size)
    columns = fill(streams, unit, extent)
    if boundary:
        columns = with_boundary(streams, columns, unit, extent, boundary)
    defects = draw_defects(streams, vacancies=vacancies, dopants=dopants, dopant=dopant, disorder=disorder)
    lean = draw_lean(streams, layers=layers, tilt=tilt)
    film = carbon_film(streams, support, shape=shape, pixel_size=pixel_size, width=width)
    columns = lean.apply(defects.apply(columns, streams.normal(*columns.weights.shape[1:], 4)))
    return compose(*film, pixel_size=pixel_size, atoms=columns.atoms(), width=width)


def _check_sampling(cells: UnitCells, pixel_size: float) -> None:
    finest = float(cells.edges.norm(dim=-1).min()) / 2
    if pixel_size > finest:
        raise MicroscopeError(
            f"A pixel must be at most half a lattice constant to show a lattice, not {pixel_size:g} nm; "
            f"choose a pixel size of at most {finest:.2g} nm."
        )


def _of(*lattices: Lattice) -> Callable[[Streams], UnitCells]:
    return functools.partial(choose_cells, lattices=lattices)


square = functools.partial(crystal, cells=_of(known.SQUARE))
rect = functools.partial(crystal, cells=_of(known.RECT))
hexagonal = functools.partial(crystal, cells=_of(known.HEXAGONAL))
honeycomb = functools.partial(crystal, cells=_of(known.HONEYCOMB))
perovskite = functools.partial(crystal, cells=_of(known.PEROVSKITE))
dumbbell = functools.partial(crystal, cells=_of(known.DUMBBELL))
random_lattice = functools.partial(crystal, cells=random_cells)
lattice_with_defects = functools.partial(
    crystal,
    cells=_of(known.HEXAGONAL, known.RECT, known.HONEYCOMB, known.PEROVSKITE),
    pixel_size=0.04,
    scale=(0.98, 1.1),
    layers=(3.0, 8.0),
    vacancies=(0.02, 0.07),
    dopants=(0.01, 0.04),
    dopant=57,
    boundary=0.6,
    tilt=(0.0, 25.0),
    disorder=0.008,
    support=(1.0, 3.0),
    width=0.045,
)

"""Static scan patterns: where to measure when nothing is known of the specimen.

Points are (y, x) [px], ``(1, N, 2)``, or ``(B, N, 2)`` for random patterns; whole numbers are the centres of
pixels, and all points lie on the field. Every pattern takes the number of points and the shape of the field,
so that they can be compared at equal electrons; `PATTERNS` has them by name. Some are sets of points, others
contiguous paths at a constant speed; `beamwright.envs.microscope.segments` makes chains of straight segments
of the latter.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.errors import MicroscopeError
from beamwright.registry import Entry, Registry

__all__ = [
    "CONTIGUOUS",
    "PATTERNS",
    "grid",
    "halton",
    "jittered_grid",
    "lissajous",
    "raster",
    "serpentine",
    "spiral",
    "square_spiral",
    "uniform",
]

Shape = tuple[int, int]

_HERE = "beamwright.envs.microscope.paths"
_WALK = "beamwright.envs.microscope.segments:random_walk"
PATTERNS = Registry(
    "scan pattern",
    Entry("grid", "the nodes of a square grid", f"{_HERE}:grid"),
    Entry("halton", "a low-discrepancy sequence in two dimensions", f"{_HERE}:halton"),
    Entry("jittered-grid", "one random point in each cell of a grid", f"{_HERE}:jittered_grid"),
    Entry("lissajous", "a contiguous Lissajous figure", f"{_HERE}:lissajous"),
    Entry("random-walk", "straight segments in random directions", _WALK),
    Entry("raster", "whole lines, evenly spaced, all in one direction", f"{_HERE}:raster"),
    Entry("serpentine", "lines to and fro, contiguous", f"{_HERE}:serpentine"),
    Entry("spiral", "a contiguous spiral from the centre to the edges", f"{_HERE}:spiral"),
    Entry("square-spiral", "a contiguous spiral that reaches the corners", f"{_HERE}:square_spiral"),
    Entry("uniform", "independent points, uniform on the field", f"{_HERE}:uniform"),
)
CONTIGUOUS = ("lissajous", "serpentine", "spiral", "square-spiral")
"""Curves that the beam follows at a constant speed, without jumps; ``random-walk`` is a chain already."""


def raster(points: int, shape: Shape, *, streams: Streams | None = None) -> Tensor:
    """Return lines from left to right, evenly spaced; as many points as pixels make the complete frame."""
    _check(points, shape)
    rows = min(max(round(points / shape[1]), 1), shape[0])
    return _rows(points, shape, rows)[0]


def grid(points: int, shape: Shape, *, streams: Streams | None = None) -> Tensor:
    """Return the nodes of a square grid; where the number of points asks for it, some rows have one more."""
    _check(points, shape)
    return _rows(points, shape, _square_rows(points, shape))[0]


def jittered_grid(points: int, shape: Shape, *, streams: Streams) -> Tensor:
    """Return one point at random in each cell of `grid`, ``(B, N, 2)``."""
    _check(points, shape)
    nodes, cells = _rows(points, shape, _square_rows(points, shape))  # (1, N, 2) each
    shift = streams.uniform(points, 2, low=-0.5, high=0.5)
    return _onto_field(nodes.to(shift.device) + shift * cells.to(shift.device), shape)


def uniform(points: int, shape: Shape, *, streams: Streams) -> Tensor:
    """Return independent points, ``(B, N, 2)``."""
    _check(points, shape)
    return _from_unit(streams.uniform(points, 2), shape)


def halton(points: int, shape: Shape, *, streams: Streams | None = None) -> Tensor:
    """Return the Halton sequence of the bases 2 and 3.

    Parameters
    ----------
    points
        N.
    shape
        H and W [px].
    streams
        Shift the points, around the edges, by a random amount per environment (Cranley and Patterson), so
        that they are ``(B, N, 2)``; by default they are the sequence itself, ``(1, N, 2)``.
    """
    _check(points, shape)
    index = torch.arange(1, points + 1)
    unit = torch.stack((_radical_inverse(index, 2), _radical_inverse(index, 3)), -1)[None]  # (1, N, 2)
    if streams is not None:
        unit = torch.remainder(unit.to(streams.device) + streams.uniform(1, 2), 1.0)
    return _from_unit(unit, shape)


def serpentine(points: int, shape: Shape, *, streams: Streams | None = None, spacing: float = 1.0) -> Tensor:
    """Return lines to and fro, joined at their ends; as many points as pixels make the complete frame."""
    _check(points, shape, spacing)
    return _walk(_serpentine((points - 1) * spacing, shape), points, spacing)


def spiral(points: int, shape: Shape, *, streams: Streams | None = None, spacing: float = 1.0) -> Tensor:
    """Return a spiral of Archimedes from the centre to the edges, an ellipse where these differ."""
    _check(points, shape, spacing)
    return _wound(points, shape, spacing, square=False)


def square_spiral(
    points: int, shape: Shape, *, streams: Streams | None = None, spacing: float = 1.0
) -> Tensor:
    """Return a spiral of squares from the centre into the corners."""
    _check(points, shape, spacing)
    return _wound(points, shape, spacing, square=True)


def lissajous(points: int, shape: Shape, *, streams: Streams | None = None, spacing: float = 1.0) -> Tensor:
    """Return the first Lissajous figure of a ratio k : k + 1 that is long enough, cut after the points."""
    _check(points, shape, spacing)
    length = (points - 1) * spacing
    for ratio in range(
        1, 3 + int(length / (min(shape) - 1))
    ):  # of which the last is long enough for any field
        curve = _lissajous(ratio, shape)
        if _length(curve) >= length:
            break
    return _walk(curve, points, spacing)


def _rows(points: int, shape: Shape, rows: int) -> tuple[Tensor, Tensor]:
    """Return points in evenly filled rows and the sizes of their cells, both ``(1, N, 2)`` [px]."""
    index = torch.arange(points)
    row = index * rows // points  # (N,)
    first = -(-row * points // rows)  # of its row, rounded upwards
    size = -(-(row + 1) * points // rows) - first
    y = (row + 0.5) * shape[0] / rows - 0.5
    x = (index - first + 0.5) * shape[1] / size - 0.5
    cells = torch.stack((torch.full_like(y, shape[0] / rows), shape[1] / size), -1)
    return _onto_field(torch.stack((y, x), -1), shape)[None], cells[None]


def _square_rows(points: int, shape: Shape) -> int:
    return min(max(round(math.sqrt(points * shape[0] / shape[1])), 1), points)


def _radical_inverse(index: Tensor, base: int) -> Tensor:
    """Return the digits of whole numbers mirrored at the point, in [0, 1)."""
    value, unit = torch.zeros(index.shape, dtype=torch.float64), 1.0
    while bool((index > 0).any()):
        unit /= base
        value += unit * (index % base)
        index = index // base
    return value.float()


def _serpentine(length: float, shape: Shape) -> Tensor:
    """Return the corners of a serpentine of a given length, ``(M, 2)``, with as few lines as fit."""
    height, width = shape
    rows = 1
    while _line(length, height, rows) > width - 1 + 1e-9:
        rows += 1
    half = _line(length, height, rows) / 2
    sides = torch.tensor([-half, half]).repeat(rows).view(rows, 2)  # (R, 2)
    sides[1::2] = sides[1::2].flip(1)
    y = ((torch.arange(rows) + 0.5) * height / rows - 0.5).clamp(0, height - 1)
    corners = torch.stack((y[:, None].expand(-1, 2), sides + (width - 1) / 2), -1)  # (R, 2, 2)
    return corners.reshape(-1, 2).double()


def _line(length: float, height: int, rows: int) -> float:
    """Return how long each line of a serpentine is."""
    return max(length - (rows - 1) * height / rows, 0.0) / rows


def _wound(points: int, shape: Shape, spacing: float, *, square: bool) -> Tensor:
    """Return the spiral whose number of turns gives it the length of the path."""
    length = (points - 1) * spacing
    low, high = 1e-3, 2 + 2 * length / max(min(shape), 2)
    for _ in range(40):
        turns = (low + high) / 2
        low, high = (turns, high) if _length(_spiral(turns, shape, square=square)) < length else (low, turns)
    return _walk(_spiral(high, shape, square=square), points, spacing)


def _spiral(turns: float, shape: Shape, *, square: bool) -> Tensor:
    samples = 64 + int(256 * turns)
    share = torch.linspace(0, 1, samples, dtype=torch.float64)
    angle = 2 * math.pi * turns * share
    y, x = share * angle.sin(), share * angle.cos()
    if square:
        stretch = torch.maximum(angle.sin().abs(), angle.cos().abs())
        y, x = y / stretch, x / stretch
    return _centred(y, x, shape)


def _lissajous(ratio: int, shape: Shape) -> Tensor:
    angle = torch.linspace(0, 2 * math.pi, 256 * (ratio + 1), dtype=torch.float64)
    return _centred((ratio * angle).sin(), ((ratio + 1) * angle).sin(), shape)


def _centred(y: Tensor, x: Tensor, shape: Shape) -> Tensor:
    """Return a curve in [-1, 1] stretched over the field, ``(M, 2)`` [px]."""
    middle = (torch.tensor(shape, dtype=torch.float64) - 1) / 2
    return (1 + torch.stack((y, x), -1)) * middle


def _length(curve: Tensor) -> float:
    return float(torch.diff(curve, dim=0).norm(dim=1).sum())


def _walk(curve: Tensor, points: int, spacing: float) -> Tensor:
    """Return points at equal distances along a curve ``(M, 2)``, as ``(1, N, 2)``; it must be long enough."""
    lengths = torch.diff(curve, dim=0).norm(dim=1)
    reached = torch.cat((lengths.new_zeros(1), lengths.cumsum(0)))  # (M,)
    goal = (torch.arange(points, dtype=torch.float64) * spacing).clamp_max(float(reached[-1]))
    after = torch.searchsorted(reached, goal, right=True).clamp(1, len(curve) - 1)
    share = (goal - reached[after - 1]) / (reached[after] - reached[after - 1]).clamp_min(1e-12)
    return torch.lerp(curve[after - 1], curve[after], share[:, None]).float()[None]


def _from_unit(unit: Tensor, shape: Shape) -> Tensor:
    """Return points of the unit square as points on the field [px]."""
    return _onto_field(unit * unit.new_tensor(shape) - 0.5, shape)


def _onto_field(points: Tensor, shape: Shape) -> Tensor:
    return torch.minimum(points.clamp_min(0), points.new_tensor(shape) - 1)


def _check(points: int, shape: Shape, spacing: float = 1.0) -> None:
    if points < 1 or min(shape) < 2:
        raise MicroscopeError(
            f"A scan pattern needs at least one point on a field of 2x2 pixels, not {points} "
            f"on {shape[0]}x{shape[1]}."
        )
    if not spacing > 0:
        raise MicroscopeError(
            f"The points of a path must be apart, not {spacing:g} px; 1 px visits every pixel."
        )

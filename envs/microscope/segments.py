"""Chains of straight segments: how an agent moves the beam, and static patterns as an agent would draw them.

Points are (y, x) [px]; whole numbers are the centres of pixels. A heading is an angle from x towards y [rad].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.paths import CONTIGUOUS, PATTERNS
from beamwright.errors import MicroscopeError

__all__ = [
    "EDE_2020",
    "SegmentScan",
    "as_chain",
    "follow_headings",
    "random_walk",
    "segment",
    "stays_inside",
]


@dataclass(frozen=True)
class SegmentScan:
    """How much of a field a chain of segments measures.

    Parameters
    ----------
    shape
        H and W of the field [px].
    segments
        Segments in the chain.
    points
        Measurements in each segment.
    spacing
        Distance between measurements [px]. From sqrt(2) on, a straight segment never measures a pixel twice,
        whatever its heading: the larger of its two components is at least one pixel per point.

    Raises
    ------
    MicroscopeError
        If there is nothing to measure, or a segment does not fit in the field.
    """

    shape: tuple[int, int]
    segments: int
    points: int
    spacing: float

    def __post_init__(self) -> None:
        if min(self.segments, self.points) < 1 or not self.spacing > 0:
            raise MicroscopeError(
                f"A chain needs segments, points and a distance between them, not {self.segments}, "
                f"{self.points} and {self.spacing:g} px."
            )
        if self.length > (min(self.shape) - 1) / 2:
            raise MicroscopeError(
                f"A segment must fit between centre and edge of the field, {(min(self.shape) - 1) / 2:g} px, "
                f"but {self.points} points at {self.spacing:g} px are {self.length:g} px long; take fewer."
            )

    @property
    def length(self) -> float:
        """Length of a segment, from its first point to that of the next [px]."""
        return self.points * self.spacing

    @property
    def centre(self) -> tuple[float, float]:
        """The pixel in the middle, where chains begin."""
        return float(self.shape[0] // 2), float(self.shape[1] // 2)

    @property
    def coverage(self) -> float:
        """Share of the pixels that is measured if none is measured twice."""
        return self.segments * self.points / (self.shape[0] * self.shape[1])


EDE_2020 = SegmentScan(shape=(96, 96), segments=20, points=20, spacing=math.sqrt(2) * (1 + 1e-5))
"""The setting of [1]_: 400 of 9216 pixels, 4.34 %, in 20 segments of 20 points.

Points are sqrt(2) px apart, hence in pixels of their own; the hundred-thousandth more keeps float32 from
rounding two of them into one.

References
----------
.. [1] J. M. Ede, Adaptive partial scanning transmission electron microscopy with reinforcement learning,
   arXiv:2004.02786, and its published program.
"""


def segment(
    start: Tensor, heading: Tensor, points: int, spacing: float | Tensor = 1.0
) -> tuple[Tensor, Tensor]:
    """Return the points of one straight segment, the first at its start.

    Parameters
    ----------
    start
        ``(B, 2)`` [px].
    heading
        ``(B,)`` [rad].
    points
        N.
    spacing
        Distance between points [px], a number or ``(B,)``.

    Returns
    -------
    points
        ``(B, N, 2)``.
    end
        Where the next segment begins, one distance after the last point, ``(B, 2)``.
    """
    step = torch.stack((heading.sin(), heading.cos()), -1)  # (B, 2)
    step = step * (spacing[:, None] if isinstance(spacing, Tensor) else spacing)
    count = torch.arange(points + 1, device=start.device)[:, None]  # (N + 1, 1)
    path = start[:, None] + count * step[:, None]
    return path[:, :-1], path[:, -1]


def follow_headings(start: Tensor, headings: Tensor, scan: SegmentScan) -> Tensor:
    """Return all points of a chain, ``(B, S * N, 2)`` [px].

    Parameters
    ----------
    start
        ``(B, 2)`` [px].
    headings
        Of the segments, ``(B, S)`` [rad].
    scan
        Points and their distance; the number of segments is that of the headings.
    """
    moves = torch.stack((headings.sin(), headings.cos()), -1) * scan.length  # (B, S, 2)
    starts = start[:, None] + moves.cumsum(1) - moves
    path, _ = segment(starts.flatten(0, 1), headings.flatten(), scan.points, scan.spacing)
    return path.reshape(len(start), -1, 2)


def stays_inside(start: Tensor, headings: Tensor, length: float | Tensor, shape: tuple[int, int]) -> Tensor:
    """Tell which segments end on the field, and so are on it all along, ``(B, A)`` bool.

    Parameters
    ----------
    start
        ``(B, 2)`` [px].
    headings
        ``(A,)`` or ``(B, A)`` [rad].
    length
        ``(B, 1)`` or a number [px].
    shape
        H and W.
    """
    y = start[:, :1] + length * headings.sin()  # (B, A)
    x = start[:, 1:] + length * headings.cos()
    return (y >= 0) & (y <= shape[0] - 1) & (x >= 0) & (x <= shape[1] - 1)


def random_walk(
    points: int,
    shape: tuple[int, int],
    *,
    streams: Streams,
    spacing: float = 1.0,
    per_segment: int = 20,
) -> Tensor:
    """Return chains of segments in random directions that stay on the field, ``(B, N, 2)`` [px].

    Parameters
    ----------
    points
        N.
    shape
        H and W [px].
    streams
        For the directions; from the centre on, each is uniform among those that stay inside.
    spacing
        Distance between points [px].
    per_segment
        Points in each segment.
    """
    scan = SegmentScan(shape, -(-points // per_segment), per_segment, spacing)
    here = torch.tensor(scan.centre, device=streams.device).expand(streams.count, 2)
    parts = []
    for _ in range(scan.segments):
        heading = _random_heading(here, scan, streams)
        part, here = segment(here, heading, per_segment, spacing)
        parts.append(part)
    return torch.cat(parts, 1)[:, :points]


def as_chain(pattern: str, scan: SegmentScan) -> tuple[Tensor, Tensor]:
    """Return a contiguous pattern as a chain of straight segments.

    The corners lie on the pattern, whose length is chosen so that the chain uses it up.

    Parameters
    ----------
    pattern
        ``"spiral"``, ``"square-spiral"``, ``"serpentine"`` or ``"lissajous"``.
    scan
        The chain.

    Returns
    -------
    start
        ``(1, 2)`` [px].
    headings
        ``(1, S)`` [rad].

    Raises
    ------
    UnknownNameError
        If there is no such pattern.
    MicroscopeError
        If the pattern is not a path.
    """
    draw = PATTERNS.load(pattern)
    if pattern not in CONTIGUOUS:
        raise MicroscopeError(f'Only a contiguous pattern can become a chain of segments, not "{pattern}".')
    fewest = math.ceil(scan.segments * scan.length) + 1
    low, high = fewest, 3 * fewest
    while high - low > 1:  # the shortest curve at a distance of 1 px that holds all segments
        middle = (low + high) // 2
        low, high = (middle, high) if _corners(draw(middle, scan.shape)[0], scan) is None else (low, middle)
    corners = _corners(draw(high, scan.shape)[0], scan)
    if corners is None:
        raise MicroscopeError(
            f'The pattern "{pattern}" is too tightly wound for segments of {scan.length:g} px.'
        )
    y, x = torch.diff(corners, dim=0).unbind(-1)
    return corners[:1], torch.atan2(y, x)[None]


def _random_heading(here: Tensor, scan: SegmentScan, streams: Streams) -> Tensor:
    """Return a direction that stays inside, ``(B,)``: the first of many tries, else towards the centre."""
    tries = streams.uniform(32, low=-math.pi, high=math.pi)  # (B, 32)
    good = stays_inside(here, tries, scan.length, scan.shape)
    first = good.int().argmax(1, keepdim=True)
    y, x = (here.new_tensor(scan.centre) - here).unbind(-1)
    return torch.where(good.any(1), tries.gather(1, first)[:, 0], torch.atan2(y, x))


def _corners(curve: Tensor, scan: SegmentScan) -> Tensor | None:
    """Return the corners of a chain along a curve ``(M, 2)``, ``(S + 1, 2)``, or None if it is too short."""
    corners, index = [curve[0]], 0
    for _ in range(scan.segments):
        far = (curve[index:] - corners[-1]).norm(dim=1) >= scan.length
        if not far.any():
            return None
        index += int(far.int().argmax())
        way = curve[index] - corners[-1]
        corners.append(corners[-1] + way * (scan.length / way.norm()))
    return torch.stack(corners)

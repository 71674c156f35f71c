"""Measuring images at points, and gathering what was measured on a grid.

Points are (y, x), ``(B, N, 2)``. In [px], whole numbers are the centres of pixels; in [nm], the origin is the
upper left corner of the field, so that the centre of the first pixel is half a pixel inside.
"""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.microscope.batching import Value, expand
from beamwright.errors import MicroscopeError

__all__ = ["coverage", "pixel_index", "require_inside", "sample", "splat", "to_lengths", "to_pixels"]


def sample(image: Tensor, points: Tensor) -> Tensor:
    """Measure images at points by bilinear interpolation; beyond the edge they continue as at the edge.

    Parameters
    ----------
    image
        ``(B or 1, H, W)``, at least 2x2.
    points
        ``(B, N, 2)`` [px].

    Returns
    -------
    Tensor
        ``(B, N)``.
    """
    height, width = image.shape[-2:]
    y, x = points[..., 0].clamp(0, height - 1), points[..., 1].clamp(0, width - 1)  # (B, N)
    top, left = y.floor().clamp_(max=height - 2), x.floor().clamp_(max=width - 2)
    down, right = y - top, x - left
    corner = (top * width + left).long()
    flat = image.flatten(1).expand(len(points), -1)
    upper = torch.lerp(flat.gather(1, corner), flat.gather(1, corner + 1), right)
    corner = corner + width
    lower = torch.lerp(flat.gather(1, corner), flat.gather(1, corner + 1), right)
    return torch.lerp(upper, lower, down)


def splat(
    values: Tensor,
    points: Tensor,
    shape: tuple[int, int],
    *,
    bilinear: bool = False,
    onto: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Gather values at points on a grid; what lies off the grid is left out.

    Parameters
    ----------
    values
        ``(B or 1, N)``.
    points
        ``(B, N, 2)`` [px].
    shape
        Rows and columns of the grid, H and W.
    bilinear
        Share each value between the four nearest pixels instead of giving it to the nearest.
    onto
        Sums and weights of earlier values to which these are added; they are left as they are.

    Returns
    -------
    total
        Sum of the values, ``(B, H, W)``.
    weight
        Sum of their weights, ``(B, H, W)``: how often each pixel was hit. The mean is ``total / weight``
        where the weight is not zero.
    """
    values = values.expand(points.shape[:2])
    if onto is None:
        zeros = values.new_zeros(len(points), *shape)
        total, weight = zeros, zeros.clone()
    else:
        total, weight = onto[0].clone(), onto[1].clone()
    for corner, share in _corners(points) if bilinear else [(points, None)]:
        index, inside = pixel_index(corner, shape)
        ones = inside.to(values.dtype) if share is None else share * inside
        total.view(len(points), -1).scatter_add_(1, index, values * ones)
        weight.view(len(points), -1).scatter_add_(1, index, ones)
    return total, weight


def pixel_index(points: Tensor, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return in which pixel points lie.

    Parameters
    ----------
    points
        ``(..., 2)`` [px].
    shape
        H and W.

    Returns
    -------
    index
        ``row * W + column``, ``(...)`` int64; of the nearest pixel inside for points outside.
    inside
        Whether the point is on the grid, ``(...)`` bool.
    """
    nearest = torch.floor(points + 0.5)  # round() takes halves to even numbers, and so two neighbours to one
    row, column = nearest.long().unbind(-1)
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    return row.clamp(0, shape[0] - 1) * shape[1] + column.clamp(0, shape[1] - 1), inside


def coverage(points: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return the share of the pixels that points ``(B, N, 2)`` [px] measure, ``(B,)``; each counts once."""
    index, inside = pixel_index(points, shape)
    hit = torch.zeros(len(points), shape[0] * shape[1] + 1, device=points.device)
    hit.scatter_(1, torch.where(inside, index, shape[0] * shape[1]), 1.0)
    return hit[:, :-1].mean(1)


def to_pixels(points: Tensor, pixel_size: Value) -> Tensor:
    """Return points [nm] from the upper left corner of the field as points [px]; ``(B, N, 2)``."""
    return points / expand(pixel_size, points.ndim - 1) - 0.5


def to_lengths(points: Tensor, pixel_size: Value) -> Tensor:
    """Return points [px] as points [nm] from the upper left corner of the field; ``(B, N, 2)``."""
    return (points + 0.5) * expand(pixel_size, points.ndim - 1)


def require_inside(points: Tensor, extent: tuple[float, float], *, unit: str = "nm") -> None:
    """Refuse a path that leaves the field.

    Parameters
    ----------
    points
        ``(B, N, 2)`` or ``(N, 2)``.
    extent
        Height and width of the field, in the unit of the points.
    unit
        For the message.

    Raises
    ------
    MicroscopeError
        If a point is outside, or not a number; it names the first.
    """
    flat = points.reshape(-1, 2)
    limit = flat.new_tensor(extent)
    wrong = ~((flat >= 0) & (flat <= limit)).all(-1)
    if wrong.any():
        y, x = flat[wrong][0].tolist()
        raise MicroscopeError(
            f"A path must stay in the field, 0 to {extent[0]:g} (y) and 0 to {extent[1]:g} {unit} (x), but "
            f"{int(wrong.sum())} of {len(flat)} points do not, the first at ({y:g}, {x:g}); clip the path."
        )


def _corners(points: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the four pixels around each point, ``(B, N, 2)``, and their shares, ``(B, N)``."""
    floor = points.floor()
    down, right = (points - floor).unbind(-1)
    shares = {(0, 0): (1 - down) * (1 - right), (0, 1): (1 - down) * right}
    shares |= {(1, 0): down * (1 - right), (1, 1): down * right}
    return [(floor + floor.new_tensor(offset), share) for offset, share in shares.items()]

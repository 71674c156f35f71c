"""Separable filters as small matrices: from the left they act on rows, transposed on columns."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["averaging", "blurred", "gaussian", "linear_up", "smoothing"]

_NEGLIGIBLE = 1e-6  # smaller weights are zero: denormal numbers would make the products ten times slower


def gaussian(size: int, nodes: int, step: int, sigma: float) -> Tensor:
    """Return the weights of pixels around the nodes of a coarser grid, ``(nodes, size)``; at most 1.

    Parameters
    ----------
    size
        Pixels.
    nodes, step
        Nodes, and pixels from one to the next.
    sigma
        Standard deviation [px].
    """
    centre = (torch.arange(nodes) + 0.5) * step - 0.5
    weights = torch.exp(-((centre[:, None] - torch.arange(size)) ** 2) / (2 * sigma**2))
    return torch.where(weights < _NEGLIGIBLE, 0.0, weights)


def smoothing(size: int, nodes: int, step: int, sigma: float) -> Tensor:
    """Return the same as weighted means, ``(nodes, size)``."""
    weights = gaussian(size, nodes, step, sigma)
    return weights / weights.sum(1, keepdim=True)


def linear_up(size: int, nodes: int) -> Tensor:
    """Return the weights of nodes for each pixel, ``(size, nodes)``; constant beyond the last node."""
    place = ((torch.arange(size) + 0.5) * nodes / size - 0.5).clamp(0, nodes - 1)
    return (1 - (place[:, None] - torch.arange(nodes)).abs()).clamp_min(0)


def averaging(size: int, parts: int) -> Tensor:
    """Return the means over equal parts of an axis, ``(parts, size)``."""
    return torch.eye(parts).repeat_interleave(size // parts, 1) * (parts / size)


def blurred(image: Tensor, sigma: Tensor) -> Tensor:
    """Return images ``(B, H, W)`` blurred by Gaussians of widths ``(B,)`` [px], without loss at the edges."""
    rows, columns = (_one_each(size, sigma) for size in image.shape[1:])
    return rows @ image @ columns.mT


def _one_each(size: int, sigma: Tensor) -> Tensor:
    """Return weighted means along an axis, a matrix for each width, ``(B, size, size)``."""
    index = torch.arange(size, device=sigma.device)
    distance = (index[:, None] - index) / sigma.clamp_min(1e-3)[:, None, None]
    weights = torch.exp(-(distance**2) / 2)
    return weights / weights.sum(-1, keepdim=True)

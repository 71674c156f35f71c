"""Counts of electrons by inversion: one uniform number gives one Poisson number."""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["poisson_quantile"]

_EXACT_BELOW = (
    4.0  # expected counts; from there on, the expansion misses by one in 0.2 % of the numbers at most
)
_PIECE = 16384  # numbers that the processor's cache holds with all that belongs to them


def poisson_quantile(symmetric: Tensor, rate: Tensor) -> Tensor:
    """Return the Poisson number at a probability.

    Low rates are inverted by summing probabilities, high ones by the expansion of the quantile around
    that of the normal distribution.

    Parameters
    ----------
    symmetric
        Twice the probability less one, in (-1, 1), of the shape of `rate`.
    rate
        Expected counts, not negative.

    Returns
    -------
    Tensor
        Whole numbers as float32, of the shape of `rate`.

    References
    ----------
    M. Giles, ACM Trans. Math. Softw. 42, 7 (2016), section 2 (summation) and eq. 5 (expansion).
    """
    symmetric, flat = symmetric.reshape(-1), rate.float().reshape(-1)  # (N,), (N,)
    counts = torch.empty_like(flat)
    piece = max(1, flat.numel()) if flat.is_cuda else _PIECE
    for part, u, expected in zip(counts.split(piece), symmetric.split(piece), flat.split(piece), strict=True):
        part.copy_(_quantile(u, expected))
    return counts.view(rate.shape)


def _quantile(symmetric: Tensor, rate: Tensor) -> Tensor:
    low = (rate < _EXACT_BELOW).nonzero().view(-1)
    if not len(low):
        return _expansion(symmetric, rate)
    if len(low) == len(rate):
        return _summation(symmetric, rate)
    few = _summation(symmetric.index_select(0, low), rate.index_select(0, low))
    return _expansion(symmetric, rate).index_copy_(0, low, few)


def _expansion(symmetric: Tensor, rate: Tensor) -> Tensor:
    w = symmetric.erfinv().mul_(math.sqrt(2))
    w2, root = w * w, rate.sqrt().clamp_(min=1.0)  # rates below one are summed
    third = w2.mul(1 / 270).add_(7 / 810).mul_(w2).sub_(8 / 405).div_(root)
    second = w2.add(2).mul_(w).mul_(-1 / 72).add_(third).div_(root)
    return second.add_(w2.add_(2), alpha=1 / 6).addcmul_(root, w).add_(rate).floor_().clamp_(min=0)


def _summation(symmetric: Tensor, rate: Tensor) -> Tensor:
    """Count the probabilities that fit below each number; none of these rates reaches 40 counts."""
    weight = torch.exp(-rate)  # (N,) probability of k counts, times the factorial of k
    left = symmetric.add(1).mul_(0.5).sub_(weight)  # (N,) of the probability, after those of 0 to k counts
    counts = torch.zeros_like(rate)
    for k in range(1, 40):
        if not left.is_cuda and float(left.max()) < 0:
            break
        counts.add_(left.sign().add_(1))  # two for each
        left.sub_(weight.mul_(rate), alpha=1 / math.factorial(k))
    return counts.mul_(0.5).floor_()

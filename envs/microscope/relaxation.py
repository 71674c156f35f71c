"""First-order relaxation, solved exactly: what deflectors, phosphors, magnets and stages have in common.

A quantity that follows ``dx/dt = (target - x) / constant`` keeps ``exp(-t / constant)`` of its distance from
a constant target. Along a path of points this is a linear recurrence, which is solved for all points at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.microscope.batching import Value

__all__ = ["decay", "mean_decay", "recurrence"]

_TINY = 1e-30  # stands for a time constant of zero
_FORGOTTEN = 1e-12  # of an earlier value; the rest would be slow, denormal numbers


def decay(time: Value, constant: Value) -> Tensor:
    """Return how much of a distance is left, ``exp(-time / constant)``.

    Parameters
    ----------
    time, constant
        In the same unit; a constant of zero follows at once, an infinite one never moves.
    """
    return torch.exp(-_ratio(time, constant))


def mean_decay(time: Value, constant: Value) -> Tensor:
    """Return the average of `decay` up to a time, ``(1 - exp(-x)) / x`` with ``x = time / constant``."""
    ratio = _ratio(time, constant).clamp_min(_TINY)
    return -torch.expm1(-ratio) / ratio


def recurrence(keep: Tensor, drive: Tensor, *, start: Tensor | None = None) -> Tensor:
    """Solve ``x[i] = keep[i] x[i - 1] + drive[i]`` along the second axis.

    Recursive doubling: after step k every value knows its 2**k predecessors, so that N points take log2(N)
    steps, or fewer where nothing of so long ago is left. Nothing is divided by a factor: they may be zero.

    Parameters
    ----------
    keep
        Factors in [0, 1], broadcastable to the shape of `drive`.
    drive
        ``(B, N, ...)``.
    start
        Value before the first point, ``(B, ...)``; zero by default.

    Returns
    -------
    Tensor
        ``(B, N, ...)``.

    References
    ----------
    P. M. Kogge and H. S. Stone, IEEE Trans. Comput. C-22, 786 (1973).
    """
    count = drive.shape[1]
    keep = torch.where(keep > _FORGOTTEN, keep, 0.0).expand(-1, count, *keep.shape[2:]).clone()
    value = drive.clone()
    if start is not None:
        value[:, 0] += keep[:, 0] * start
    width = 1
    # To look whether anything is left would make a GPU wait, where the steps saved cost little.
    while width < count and (keep.is_cuda or bool(keep[:, width:].any())):
        value[:, width:] += keep[:, width:] * value[:, :-width]
        keep[:, width:] *= keep[:, :-width].clone()
        # Exact zeros: a neighbour in the batch that remembers for longer then changes no digit here.
        keep = torch.where(keep > _FORGOTTEN, keep, 0.0)
        width *= 2
    return value


def _ratio(time: Value, constant: Value) -> Tensor:
    return torch.as_tensor(time) / torch.as_tensor(constant).clamp_min(_TINY)

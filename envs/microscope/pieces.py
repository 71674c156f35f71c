"""Batches worked through in pieces that fit the cache of a processor."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from beamwright.envs.microscope.grid import Grid

__all__ = ["in_pieces"]

PIXELS = 2**16
"""Complex pixels of a piece, half a megabyte: images of larger ones take up to twice the time each."""


def in_pieces(function: Callable[..., Tensor], grid: Grid, first: Tensor, *others: Tensor | None) -> Tensor:
    """Return what a function makes of a batch; on a CPU it is called with a piece of it at a time.

    Parameters
    ----------
    function
        Of `first` and `others`; treats every member of a batch alike.
    grid
        On which it works.
    first
        Has the batch axis.
    *others
        Have the batch axis too, or are None.
    """
    size = max(1, PIXELS // math.prod(grid.shape))
    if first.device.type != "cpu" or len(first) <= size:
        return function(first, *others)
    made = [
        function(*(None if part is None else part[start : start + size] for part in (first, *others)))
        for start in range(0, len(first), size)
    ]
    return torch.cat(made)

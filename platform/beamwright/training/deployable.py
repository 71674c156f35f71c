"""The module that is exported: raw counts in, raw counts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from beamwright.search_spaces import Candidate, build
from beamwright.search_spaces.builder import Network

if TYPE_CHECKING:
    from beamwright.tasks import TaskData

__all__ = ["Deployable", "untrained"]


class Deployable(nn.Module):
    """A network with its normalisation inside, in evaluation mode.

    Parameters
    ----------
    network
        From normalised ``(B, C, *spatial)`` to the same shape.
    mean, std
        Of the training inputs [counts].

    Attributes
    ----------
    halo
        Distance beyond which no input pixel changes an output pixel [px]; None if it sees the whole image.
    divisor
        Tiles that start on multiples of this [px] see the downsampling grid of the whole image.
    ndim
        Number of spatial dimensions.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, network: Network, *, mean: float, std: float) -> None:
        super().__init__()
        self.network = network
        self.halo, self.divisor = network.halo, network.divisor
        self.ndim: int = network.architecture.ndim
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``(B, C, *spatial)`` [counts] to images of the same shape and unit."""
        return self.network((images - self.mean) / self.std) * self.std + self.mean


def untrained(candidate: Candidate, data: TaskData) -> Deployable:
    """Return the module of a candidate with fresh weights, for what does not depend on them: its latency."""
    return Deployable(build(candidate.architecture), mean=data.mean, std=data.std)

"""The module that is exported: raw counts in, raw counts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from beamwright.search_spaces import Candidate, build
from beamwright.search_spaces.builder import Network
from beamwright.tasks.scaling import normalise_sparse, restore_units

if TYPE_CHECKING:
    from beamwright.tasks import TaskData

__all__ = ["Deployable", "untrained"]


class Deployable(nn.Module):
    """A network with its normalisation inside, in evaluation mode.

    Parameters
    ----------
    network
        From normalised ``(B, C, *spatial)`` to ``(B, K, *spatial)``.
    mean, std
        Of the training inputs [counts].
    half_dose
        Sparse scans: the dose that weighs a half [e-]. The input is then values and doses, the output an
        image and the logarithm of its squared error.

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

    def __init__(self, network: Network, *, mean: float, std: float, half_dose: float | None = None) -> None:
        super().__init__()
        self.network = network
        self.halo, self.divisor = network.halo, network.divisor
        self.ndim: int = network.architecture.ndim
        self.out_channels: int = network.architecture.out_channels
        self.sparse = None if half_dose is None else (float(mean), float(std), float(half_dose))
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))
        self.eval()

    @classmethod
    def of(cls, network: Network, data: TaskData) -> Deployable:
        """Return a network with the normalisation of a task's data."""
        half_dose = data.sparse.half_dose if data.sparse else None
        return cls(network, mean=data.mean, std=data.std, half_dose=half_dose)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images ``(B, C, *spatial)`` [counts] to images ``(B, K, *spatial)`` of the same unit."""
        if self.sparse is not None:
            mean, std, half_dose = self.sparse
            network_input = normalise_sparse(images, mean=mean, std=std, half_dose=half_dose)
            return restore_units(self.network(network_input), mean=mean, std=std)
        return self.network((images - self.mean) / self.std) * self.std + self.mean


def untrained(candidate: Candidate, data: TaskData) -> Deployable:
    """Return the module of a candidate with fresh weights, for what does not depend on them: its latency."""
    return Deployable.of(build(candidate.architecture), data)

"""Figures of sharpness: the power of an image by spatial frequency and direction."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.spectra import FLOOR, power
from beamwright.envs.alignment.variants import AlignTEMConfig
from beamwright.envs.microscope.grid import Grid, precomputed

__all__ = ["Sectors", "sectors_for"]


@dataclass(frozen=True)
class Sectors:
    """Rings cut into sectors, over which the power of an image is summed: its sharpness by direction.

    Parameters
    ----------
    grid
        Of the images.
    edges
        Of the rings, ascending spatial frequencies [1/nm].
    directions
        Sectors in half a turn (the power of an image is even).
    """

    grid: Grid
    edges: tuple[float, ...]
    directions: int

    @property
    def count(self) -> int:
        """Number of figures."""
        return (len(self.edges) - 1) * self.directions

    def figures(self, images: Tensor) -> Tensor:
        """Return the logarithm of the power over shot noise in each sector.

        Parameters
        ----------
        images
            Counts, ``(B, E, H, W)``.

        Returns
        -------
        Tensor
            ``log(P / s N + 0.3)`` with the power P of the sector's N modes and s counts, ``(B, E, count)``.
        """
        counts = images.sum((-2, -1)).clamp_min(1.0)[..., None]  # (B, E, 1)
        return self._logarithm(self._sum(power(torch.fft.rfft2(images))), counts)

    def expected_figures(self, power: Tensor, counts: Tensor, noise: Tensor) -> Tensor:
        """Return what `figures` gives of images with Poisson noise, without making them.

        Shot noise has the power s in every mode and adds to the image's amplitude. The power P of a sector of
        N modes (each with its mirror image) then has the mean ``A + N s`` and the variance
        ``4 A s + 2 N s^2 V``, where A is the power without noise; by Parseval's theorem no image is needed.
        ``V = <I^2> / <I>^2`` is there because noise is stronger where the image is bright, so that its modes
        fluctuate together.

        Parameters
        ----------
        power
            ``|rfft2|^2`` of the expected counts, ``(B, E, H, W // 2 + 1)``.
        counts
            Expected total counts s, ``(B, E)`` or ``(B, 1)``.
        noise
            Standard normal numbers, ``(B, E, count)``.
        """
        counts = counts[..., None].clamp_min(1.0)
        signal = self._sum(power)  # (B, E, count)
        modes = self._modes(power.device) * counts
        bunching = 1 + signal.sum(-1, keepdim=True) / counts.square()
        deviation = (4 * signal * counts + 2 * modes * counts * bunching).sqrt()
        return self._logarithm((signal + modes + deviation * noise).clamp_min(0.0), counts)

    def _logarithm(self, power: Tensor, counts: Tensor) -> Tensor:
        return torch.log(power / (self._modes(power.device) * counts) + FLOOR)

    def _sum(self, power: Tensor) -> Tensor:
        return power.flatten(-2) @ _members(self, power.device)

    def _modes(self, device: torch.device) -> Tensor:
        return _members(self, device).sum(0).clamp_min(1.0)


def sectors_for(column: Column) -> Sectors:
    """Return rings of equal width, up to where the optics transfer anything."""
    config = column.config
    transferred = 1e-3 * column.optics.aperture / column.optics.wavelength  # [1/nm]
    highest = transferred if isinstance(config, AlignTEMConfig) else 2 * transferred
    highest = min(highest, 0.5 / config.sampling)
    edges = tuple(highest * ring / config.rings for ring in range(config.rings + 1))
    return Sectors(Grid((config.size, config.size), config.sampling), edges, config.directions)


@precomputed
def _members(sectors: Sectors, device: torch.device) -> Tensor:
    """Return how often a mode of ``rfft2`` counts in each sector, ``(H * (W // 2 + 1), count)``."""
    y, x = sectors.grid.frequencies(device, half=True)
    radius, turn = torch.hypot(y, x), torch.atan2(y, x) / torch.pi % 1.0  # (H, W // 2 + 1)
    direction = (turn * sectors.directions).round().long() % sectors.directions
    ring = (
        torch.bucketize(radius, torch.tensor(sectors.edges, dtype=radius.dtype, device=device), right=True)
        - 1
    )
    inside = (ring >= 0) & (ring < len(sectors.edges) - 1) & (radius > 0)
    index = torch.where(inside, ring * sectors.directions + direction, 0)
    members = (
        torch.nn.functional.one_hot(index, sectors.count)
        * (_multiplicity(sectors.grid, device) * inside)[..., None]
    )
    return members.flatten(0, 1).float()


def _multiplicity(grid: Grid, device: torch.device) -> Tensor:
    """Return 2 for the modes of ``rfft2`` that stand for their mirror image too, ``(1, W // 2 + 1)``."""
    twice = torch.full((1, grid.shape[1] // 2 + 1), 2, device=device)
    twice[:, 0] = 1
    if grid.shape[1] % 2 == 0:
        twice[:, -1] = 1
    return twice

"""Measuring and reconstructing so smoothly that a path has a gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.microscope.points import sample, splat
from beamwright.envs.sparse_scan.filters import gaussian
from beamwright.envs.sparse_scan.interpolation import SCALES

__all__ = ["SoftReconstruction"]

_BACKGROUND = 0.3
"""Quantile of the measured signal that is assumed where nothing is measured."""


class SoftReconstruction:
    """What the built-in interpolation makes of a path, differentiable in the points of the path.

    The same Gaussians and priors as in `beamwright.envs.sparse_scan.Interpolation`, on the full grid; but a
    point is shared between the four pixels around it. The assumed background is taken for constant. PSNRs
    agree with those of the environment within 0.4 dB, and their differences between paths more closely.

    Parameters
    ----------
    shape
        Rows and columns of the field [px].
    device
        Where the images are.
    """

    def __init__(self, shape: tuple[int, int], device: torch.device) -> None:
        self._shape = shape
        self._priors = [scale.prior for scale in SCALES]
        self._around = [
            [gaussian(size, size, 1, scale.sigma).to(device) for size in shape] for scale in SCALES
        ]

    def __call__(self, specimen: Tensor, path: Tensor) -> Tensor:
        """Return what is made of specimens measured along one path, ``(B, H, W)``.

        Parameters
        ----------
        specimen
            ``(B, H, W)``.
        path
            ``(1, N, 2)`` [px], on the field.
        """
        paths = path.expand(len(specimen), -1, -1)
        measured = sample(specimen, paths)  # (B, N)
        sums, _ = splat(measured, paths, self._shape, bilinear=True)  # (B, H, W)
        hits, _ = splat(torch.ones_like(measured[:1]), path, self._shape, bilinear=True)  # (1, H, W)
        values, weight = sums / hits.clamp_min(1e-6), hits.clamp_max(1)
        background = measured.detach().quantile(_BACKGROUND, dim=1)[:, None, None]
        image = background.expand_as(values)
        for (rows, columns), prior in zip(self._around, self._priors, strict=True):
            density = rows @ weight @ columns.T
            image = image + (rows @ (weight * (values - image)) @ columns.T) / (density + prior)
        return image

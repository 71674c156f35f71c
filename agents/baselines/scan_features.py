"""What is known around each place of a scan, as numbers from which error can be learned."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.sparse_scan import ScanState
from beamwright.envs.sparse_scan.filters import gaussian

__all__ = ["PlaceFeatures"]

_WIDTHS = (1.0, 2.3, 6.0, 14.0)
"""Of the Gaussians within which measurements are gathered [px]."""
_BACKGROUND = 0.3
"""Quantile of the reconstruction that counts as its background."""
_FLOOR = 1e-4
"""Squared signal below which differences do not matter."""


class PlaceFeatures:
    """Describes places on a grid over the field.

    At four scales: how dense the measurements are, and the mean square of their distance from the
    background; at two of them their variance; then signal and slope of the reconstruction, contrast and
    coverage of the whole scan, and the distance from the edge. These are the ideas of [1]_ (slope,
    deviation of the neighbours, density), with Gaussians in the place of the nearest neighbours.

    Parameters
    ----------
    shape
        Rows and columns of the field [px].
    device
        Where the states are.
    step
        Pixels from one place to the next; two are finer than what segments and tiles resolve.

    References
    ----------
    .. [1] G. M. D. P. Godaliyadda et al., IEEE Trans. Comput. Imaging 4, 1 (2018), section III-C.
    """

    def __init__(self, shape: tuple[int, int], device: torch.device, *, step: int = 2) -> None:
        self.step = step
        self.grid = (-(-shape[0] // step), -(-shape[1] // step))
        """Rows and columns of places, h and w."""
        sizes = list(zip(shape, self.grid, strict=True))
        self._around = [
            tuple(gaussian(size, nodes, step, width).to(device) for size, nodes in sizes) for width in _WIDTHS
        ]
        self._mean = tuple(_averages(size, nodes, step).to(device) for size, nodes in sizes)
        self._edge = _distance_from_edge(self.grid).to(device)  # (h, w)

    def __call__(self, state: ScanState) -> Tensor:
        """Return the features of a batch, ``(B, h, w, F)``."""
        weight = state.dose.sign()  # (B, H, W)
        image = self.pooled(state.reconstruction)  # (B, h, w)
        background = image.flatten(1).quantile(_BACKGROUND, dim=1)[:, None, None]  # (B, 1, 1)
        excess = (state.counts / state.dose.clamp_min(1e-9) - background) * weight
        number = weight.sum((1, 2), keepdim=True)
        contrast = excess.square().sum((1, 2), keepdim=True) / number.clamp_min(1)  # (B, 1, 1)
        parts = [*self._surroundings(weight, excess, contrast), *_signal(image - background)]
        whole = (_log(contrast), (number / weight[0].numel()).sqrt(), background, self._edge)
        parts += [part.expand_as(image) for part in whole]
        return torch.stack(parts, -1)

    def pooled(self, image: Tensor) -> Tensor:
        """Average images ``(B, H, W)`` around the places, ``(B, h, w)``."""
        return self._mean[0] @ (image @ self._mean[1].T)

    def _surroundings(self, weight: Tensor, excess: Tensor, contrast: Tensor) -> list[Tensor]:
        """Return density and strength of the measurements at each scale, ``(B, h, w)`` each."""
        found, squares = [], excess.square()
        for index, (rows, columns) in enumerate(self._around):
            density, first, second = (rows @ (part @ columns.T) for part in (weight, excess, squares))
            found += [torch.log(density + 0.03), _log((second + 0.1 * contrast) / (density + 0.1))]
            if index in (1, 2):
                variance = second / (density + 0.1) - (first / (density + 0.1)).square()
                found.append(_log(variance.clamp_min(0)))
        return found


def _signal(image: Tensor) -> list[Tensor]:
    """Return strength, sign and slope of images ``(B, h, w)``."""
    slope = torch.zeros_like(image)
    down, right = image[:, 2:, 1:-1] - image[:, :-2, 1:-1], image[:, 1:-1, 2:] - image[:, 1:-1, :-2]
    slope[:, 1:-1, 1:-1] = down.square() + right.square()
    return [_log(image.square()), image.sign() * image.abs().sqrt(), _log(slope)]


def _log(square: Tensor) -> Tensor:
    return torch.log(square + _FLOOR)


def _averages(size: int, nodes: int, step: int) -> Tensor:
    """Return the means over the pixels of each place, ``(nodes, size)``; the last may have one alone."""
    member = (torch.arange(size) // step == torch.arange(nodes)[:, None]).float()
    return member / member.sum(1, keepdim=True)


def _distance_from_edge(grid: tuple[int, int]) -> Tensor:
    """Return the distance from the nearest edge as a share of the shorter side, ``(h, w)``."""
    y, x = ((torch.arange(size) + 0.5).minimum(size - 0.5 - torch.arange(size)) for size in grid)
    return torch.minimum(y[:, None], x[None]) / min(grid)

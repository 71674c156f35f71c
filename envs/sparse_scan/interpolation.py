"""The built-in reconstruction: fast interpolation that also says how wrong it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.envs.sparse_scan.filters import gaussian, linear_up
from beamwright.envs.sparse_scan.types import Reconstruction

__all__ = ["ErrorModel", "Interpolation", "Scale"]

_HEARD = 0.03
"""Measurements around a place that count for half of what endless ones would."""
_QUANTILE = 0.3
"""Of the local means, taken for the signal where nothing was measured. On clusters and flakes it is 0.4 to 2
dB better than the mean, more so on paths that look for them; on textures it costs 0.02 dB."""
_NOISE_OF_PIXELS = 10.0
"""How much smaller the variance within neighbouring pixels is than that of the whole image."""
_PORTION = 32
"""Images that are made at once: what lies between stays in the cache, which halves the time."""


@dataclass(frozen=True)
class Scale:
    """One level of the interpolation.

    Parameters
    ----------
    sigma
        Standard deviation of its Gaussian [px].
    prior
        How many measurements at the very place the coarser level counts for.
    """

    sigma: float
    prior: float


SCALES = (Scale(6.0, 3.7), Scale(2.3, 0.9), Scale(1.0, 0.1))
"""From coarse to fine. Two more levels raised the mean PSNR over particles, flakes, lattices and membranes at
4 to 8 % coverage by less than 0.05 dB."""


@dataclass(frozen=True)
class ErrorModel:
    """How the squared error depends on density and contrast; fitted by maximum likelihood to such specimens.

    Parameters
    ----------
    count
        Measurements that the prior variance of the signal counts for.
    variance
        The prior variance.
    coarse, medium
        Measurements that the variance of the coarser level counts for in that of the coarse and of the
        medium level.
    rates
        How fast measurements lower the error, for the coarse, medium and fine level.
    shares
        Part of the variance of the coarse, medium and fine level that is error where nothing is near.
    """

    count: float = 34.0
    variance: float = 0.05
    coarse: float = 4.1
    medium: float = 0.48
    rates: tuple[float, float, float] = (7.1, 0.51, 3.2)
    shares: tuple[float, float, float] = (0.027, 0.061, 1.087)


class Interpolation:
    """Multi-scale normalised convolution of what is left to explain.

    The image begins as a low quantile over the area that was measured, not over the measurements, for an
    agent measures most where there is most to see. Each level smooths the residuals at the measured pixels,
    ``e += G(w (v - e)) / (G w + prior)``, with narrower and narrower Gaussians G, so that it follows the
    data closely where they are dense and stays smooth where they are sparse: successive corrections as in
    meteorology. In the end pixels that were measured get their own value, as far as its noise allows. All
    filters are separable and run as products of small matrices, the wide ones on coarser grids.

    The predicted squared error is the local variance of the residuals at two scales, times what the density
    of measurements leaves of it.

    Parameters
    ----------
    shape
        Rows and columns, H and W [px].
    noise
        Variance of a signal of 1 that is measured with one electron: 1 where electrons are counted, 0 where
        there is no noise. Measurements weigh ``dose / (dose + 6 noise)``.
    device
        Where the images are.
    scales, model
        Constants of the interpolation and of the predicted error.

    References
    ----------
    .. [1] H. Knutsson and C.-F. Westin, Normalized and differential convolution, CVPR 1993.
    .. [2] S. L. Barnes, J. Appl. Meteorol. 3, 396 (1964), eqs. 8 to 10: successive corrections.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        noise: float = 0.0,
        device: torch.device | str = "cpu",
        scales: tuple[Scale, Scale, Scale] = SCALES,
        model: ErrorModel = ErrorModel(),
    ) -> None:
        self._levels = tuple(_Level(shape, scale.sigma, scale.prior, device) for scale in scales)
        self._between = tuple(
            linear_up(fine, coarse).to(device)
            for fine, coarse in zip(self._levels[1].grid, self._levels[0].grid, strict=True)
        )
        self._half = 6 * noise
        self._model = model

    def __call__(self, values: Tensor, dose: Tensor) -> Reconstruction:
        """Return the image and the predicted squared error, both ``(B, H, W)``.

        Parameters
        ----------
        values
            Signal where it was measured, ``(B, H, W)``.
        dose
            Electrons, 0 where nothing was measured, ``(B, H, W)`` [e-].
        """
        image, error = torch.empty_like(values), torch.empty_like(values)
        for first in range(0, len(values), _PORTION):
            part = slice(first, first + _PORTION)
            self._reconstruct(values[part], dose[part], image[part], error[part])
        return Reconstruction(image, error)

    def _reconstruct(self, values: Tensor, dose: Tensor, image: Tensor, error: Tensor) -> None:
        """Write image and predicted error of a part of the batch."""
        weight = dose / (dose + self._half) if self._half else dose.sign()  # (B, H, W)
        coarse, medium, fine = self._levels
        first = coarse.sums(values, weight)
        mean = _background(first)  # (B, 1, 1)
        image.copy_(coarse.up(_change(first, coarse.prior, mean))).add_(mean)
        rest = values - image  # (B, H, W) what is left to explain; it means something where there is weight
        second = medium.sums(rest, weight)
        change = medium.up(_change(second, medium.prior))
        image += change
        rest -= change
        density = fine.down(weight)  # (B, H, W)
        image.addcdiv_(fine.down(rest.mul_(weight)), density + fine.prior)
        trust = self._trust(weight)
        image.lerp_(values, trust)
        expected = self._error(first, second, density, mean)
        torch.addcmul(expected, trust, expected, value=-1, out=error)

    def _trust(self, weight: Tensor) -> Tensor:
        """Return how far each pixel goes to its own value, ``(B, H, W)``; all the way without noise."""
        return weight / (_NOISE_OF_PIXELS - (_NOISE_OF_PIXELS - 1) * weight) if self._half else weight

    def _error(self, first: _Sums, second: _Sums, density: Tensor, mean: Tensor) -> Tensor:
        """Return the squared error to be expected where there is no measurement, ``(B, H, W)``."""
        model, medium = self._model, self._levels[1]
        energy = (first.squares - mean * (2 * first.values - mean * first.weight)).clamp_min(0)
        count = model.count * self._levels[0].mass
        found, total = energy.sum((1, 2), keepdim=True), first.weight.sum((1, 2), keepdim=True)
        variance = (found + count * model.variance) / (total + count)  # (B, 1, 1)
        coarse = (energy + model.coarse * variance) / (first.weight + model.coarse)  # (B, h1, w1)
        wide = self._finer(coarse)  # (B, h2, w2)
        local = (second.squares + model.medium * wide) / (second.weight + model.medium)
        around = model.shares[1] * local / (1 + model.rates[1] * second.weight)
        around += self._finer(model.shares[0] * coarse / (1 + model.rates[0] * first.weight))
        rate = model.rates[2]
        return medium.up(around).addcdiv_(medium.up(local * (model.shares[2] / rate)), density + 1 / rate)

    def _finer(self, coarse: Tensor) -> Tensor:
        """Bring an image from the grid of the coarse level to that of the medium one."""
        rows, columns = self._between
        return rows @ (coarse @ columns.T)


@dataclass(frozen=True)
class _Sums:
    """What lies under the Gaussian of a level at the nodes of its grid, each ``(B, h, w)``."""

    weight: Tensor
    """Of the measurements."""
    values: Tensor
    """Weighted."""
    squares: Tensor
    """Of the values, weighted."""


class _Level:
    """A Gaussian of one width, whose result lies on a grid as coarse as it allows."""

    def __init__(
        self, shape: tuple[int, int], sigma: float, prior: float, device: torch.device | str
    ) -> None:
        step = 2 ** max(int(math.log2(sigma / 1.1)), 0)
        self.grid = tuple(-(-size // step) for size in shape)
        self.prior = prior
        self.mass = 2 * math.pi * (sigma / step) ** 2
        """How much one measurement adds to the sums at all nodes together."""
        pairs = list(zip(shape, self.grid, strict=True))
        self._rows, self._columns = (gaussian(size, nodes, step, sigma).to(device) for size, nodes in pairs)
        self._up = None if step == 1 else [linear_up(size, nodes).to(device) for size, nodes in pairs]

    def sums(self, values: Tensor, weight: Tensor) -> _Sums:
        """Return the sums of values ``(B, H, W)`` and of their squares."""
        weighted = weight * values
        return _Sums(self.down(weight), self.down(weighted), self.down(weighted.mul_(values)))

    def down(self, image: Tensor) -> Tensor:
        """Sum ``(B, H, W)`` under the Gaussian at the nodes of the grid, ``(B, h, w)``."""
        return self._rows @ (image @ self._columns.T)

    def up(self, nodes: Tensor) -> Tensor:
        """Bring ``(B, h, w)`` to all pixels, ``(B, H, W)``, by linear interpolation."""
        if self._up is None:
            return nodes
        rows, columns = self._up
        return rows @ (nodes @ columns.T)


def _change(sums: _Sums, prior: float, mean: Tensor | float = 0.0) -> Tensor:
    """Return what a level adds to the image, which is `mean` so far, ``(B, h, w)``."""
    return (sums.values - mean * sums.weight) / (sums.weight + prior)


def _background(sums: _Sums) -> Tensor:
    """Return a low quantile of local means over the area, ``(B, 1, 1)``; few measurements count for less.

    A quantile, since where something bright lies in an empty field, nothing is the best guess for the rest.
    """
    heard = (sums.weight / (sums.weight + _HEARD)).flatten(1)
    local = sums.values.flatten(1) / sums.weight.flatten(1).clamp_min(1e-9)
    local, order = local.sort(1)
    share = heard.gather(1, order).cumsum(1)
    index = (share < _QUANTILE * share[:, -1:]).sum(1, keepdim=True).clamp_max(local.shape[1] - 1)
    return local.gather(1, index)[..., None]

"""A first guess of what was not measured: normalised convolutions, from coarse to fine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from beamwright.search_spaces.receptive import prefill_radius

__all__ = ["Prefill"]

_CONVS: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv2d, F.conv3d)
_GIVES_WAY = 0.02
"""Share of a point's density below which the next coarser scale takes over: at 2.8 standard deviations."""


class Prefill(nn.Module):
    """Fills in images of few measured pixels.

    A normalised convolution divides the blurred values by the blurred weights, so that holes are filled
    from their surroundings. Where a scale has no point in reach, the coarser one shines through: every
    channel is defined everywhere, and far from all points it is 0, the mean of the training images.

    Parameters
    ----------
    scales
        Standard deviations of the Gaussians [px], ascending.
    ndim
        Number of spatial axes.

    References
    ----------
    .. [1] H. Knutsson and C.-F. Westin, Normalized and differential convolution, CVPR 1993, equation 7.
    """

    def __init__(self, scales: Sequence[float], *, ndim: int) -> None:
        super().__init__()
        self.ndim = ndim
        self.scales = tuple(sorted(scales, reverse=True))
        for index, scale in enumerate(self.scales):
            self.register_buffer(f"kernel{index}", _gaussian(scale), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Fill in values and tell how densely they were measured.

        Parameters
        ----------
        x
            Values, 0 where there are none, and their weights, 0 to 1: ``(B, 2, *spatial)``.

        Returns
        -------
        channels
            Values, weights, and of every scale the filled image and the root of the density:
            ``(B, 2 + 2 scales, *spatial)``.
        filled
            The finest of these images ``(B, 1, *spatial)``.
        """
        with _full_precision(x):
            value, weight = x.float().split(1, 1)
            filled, channels = torch.zeros_like(value), [value, weight]
            for index, scale in enumerate(self.scales):
                density = self._blur(weight, index)
                least = _GIVES_WAY / (scale * math.sqrt(2 * math.pi)) ** self.ndim
                filled = (self._blur(value * weight, index) + least * filled) / (density + least)
                channels += [filled, density.clamp_min(0).sqrt()]
            return torch.cat(channels, 1), filled

    def _blur(self, x: Tensor, index: int) -> Tensor:
        """Blur ``(B, 1, *spatial)`` axis by axis; outside the image there is nothing."""
        kernel = self.get_buffer(f"kernel{index}")
        for axis in range(self.ndim):
            shape = [1] * (self.ndim + 2)
            shape[axis + 2] = kernel.numel()
            padding = [kernel.numel() // 2 * (other == axis) for other in range(self.ndim)]
            x = _CONVS[self.ndim - 1](x, kernel.view(shape), padding=padding)
        return x


def _gaussian(scale: float) -> Tensor:
    """Return a normalised Gaussian ``(2 radius + 1,)``."""
    radius = prefill_radius((scale,))
    kernel = torch.exp(-torch.arange(-radius, radius + 1).float().square() / (2 * scale**2))
    return kernel / kernel.sum()


@contextmanager
def _full_precision(x: Tensor) -> Iterator[None]:
    """Leave automatic mixed precision: a quotient of small densities needs all digits."""
    kind = x.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        yield
        return
    with torch.autocast(kind, enabled=False):
        yield

"""How alike images are, for whole batches of tensors."""

from __future__ import annotations

import functools

import torch
from torch import Tensor
from torch.nn.functional import conv2d

__all__ = ["ssim"]

_SIGMA, _RADIUS = 1.5, 5  # [px], of the window in [1]
_K1, _K2 = 0.01, 0.03


def ssim(image: Tensor, reference: Tensor, *, data_range: float = 1.0) -> Tensor:
    """Return the mean structural similarity of each pair of images, ``(B,)``.

    Windows that would reach beyond the edge are left out, as in [1]_.

    Parameters
    ----------
    image, reference
        ``(B, H, W)``, at least 11x11.
    data_range
        Span of the values.

    References
    ----------
    .. [1] Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, IEEE Trans. Image Process. 13, 600 (2004),
       eq. 13.
    """
    moments = torch.stack((image, reference, image**2, reference**2, image * reference), 1)  # (B, 5, H, W)
    means = _smoothed(moments.flatten(0, 1)[:, None]).unflatten(0, (-1, 5))[:, :, 0]  # (B, 5, h, w)
    a, b, aa, bb, ab = means.unbind(1)
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    likeness = (2 * a * b + c1) * (2 * (ab - a * b) + c2)
    likeness /= (a**2 + b**2 + c1) * (aa - a**2 + bb - b**2 + c2)
    return likeness.mean((1, 2))


def _smoothed(image: Tensor) -> Tensor:
    """Return images ``(N, 1, H, W)`` under a Gaussian window, without the edges."""
    window = _window(image.device).to(image.dtype)
    return conv2d(conv2d(image, window[None, None, :, None]), window[None, None, None])


@functools.lru_cache(maxsize=4)
def _window(device: torch.device) -> Tensor:
    place = torch.arange(-_RADIUS, _RADIUS + 1, device=device, dtype=torch.float64)
    weights = torch.exp(-((place / _SIGMA) ** 2) / 2)
    return weights / weights.sum()

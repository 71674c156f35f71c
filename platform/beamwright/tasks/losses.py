"""Losses with a weight per pixel: all zero but the masked pixels in blind-spot training."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from beamwright.errors import SpaceError, did_you_mean

__all__ = ["LOSSES", "expected_error_loss", "restoration_loss"]

SSIM_SHARE = 0.16
"""Weight of L1 beside SSIM: H. Zhao et al., IEEE Trans. Comput. Imaging 3 (2017) 47."""
SSIM_RANGE = 4.0
"""Span of images normalised to unit standard deviation, for the constants of SSIM."""
SMALLEST_ERROR = 1e-3
"""Squared errors below this, in variances of the data, are as good as none: empty fields teach little."""
LOG_LIMIT = 15.0
"""Predicted logarithms of squared errors are held within this distance of zero in training."""

Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def _mean(values: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (values * weight).sum() / weight.sum().clamp_min(1)


def l1(output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error; it learns the median of noisy targets."""
    return _mean((output - target).abs(), weight)


def l2(output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the mean squared error; it learns the mean of noisy targets."""
    return _mean((output - target).square(), weight)


def huber(output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the squared error of small, the absolute error of large differences."""
    return _mean(F.smooth_l1_loss(output, target, reduction="none"), weight)


def ssim_l1(output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return a mixture of structural dissimilarity and L1; for clean targets of any number of dimensions."""
    return (1 - SSIM_SHARE) * (1 - _ssim(output, target)) + SSIM_SHARE * l1(output, target, weight)


def log_mse(output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return the mean over the images of the logarithm of their mean squared error.

    It is PSNR up to a factor: an image that is easy to restore counts as much as one that is hard.
    """
    axes = tuple(range(1, output.ndim))
    weight = weight.expand_as(output)
    squared = ((output - target).square() * weight).sum(axes) / weight.sum(axes).clamp_min(1)  # (B,)
    return torch.log1p(squared / SMALLEST_ERROR).mean()


def expected_error_loss(
    logarithm: torch.Tensor, squared_error: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Return what is least where `logarithm` is that of the expected squared error.

    It is the negative logarithm of a Gaussian likelihood, twice and without its constant, as a function of
    the variance alone: errors pass no gradient on, so that the image is not traded for a good forecast.

    Parameters
    ----------
    logarithm, squared_error, weight
        Each ``(B, 1, *spatial)`` in normalised units.

    References
    ----------
    .. [1] A. Kendall and Y. Gal, What uncertainties do we need, NeurIPS 2017, equation 8.
    """
    logarithm = logarithm.float().clamp(-LOG_LIMIT, LOG_LIMIT)
    return _mean(squared_error.detach() * (-logarithm).exp() + logarithm, weight)


def _ssim(output: torch.Tensor, target: torch.Tensor, *, window: int = 7) -> torch.Tensor:
    """Return the mean structural similarity, with a box window: five pooled maps instead of convolutions."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[output.ndim - 3]
    window = min(window, *output.shape[2:])
    mean_x, mean_y = pool(output, window, 1), pool(target, window, 1)
    var_x = pool(output.square(), window, 1) - mean_x.square()
    var_y = pool(target.square(), window, 1) - mean_y.square()
    cov = pool(output * target, window, 1) - mean_x * mean_y
    c1, c2 = (0.01 * SSIM_RANGE) ** 2, (0.03 * SSIM_RANGE) ** 2
    similarity = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    return (similarity * (2 * cov + c2) / (var_x + var_y + c2)).mean()


LOSSES: dict[str, Loss] = {"l1": l1, "l2": l2, "huber": huber, "ssim_l1": ssim_l1, "log_mse": log_mse}


def restoration_loss(
    name: str, output: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Return a loss by its name, a scalar in float32 whatever precision the network ran in.

    Parameters
    ----------
    output, target, weight
        Each ``(B, C, *spatial)`` in normalised units.

    Raises
    ------
    SpaceError
        If there is no such loss.
    """
    if name not in LOSSES:
        raise SpaceError(
            f'There is no loss "{name}".{did_you_mean(name, LOSSES)} Known: {", ".join(LOSSES)}.'
        )
    return LOSSES[name](output.float(), target, weight)

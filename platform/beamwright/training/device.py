"""Which device a trial runs on, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from beamwright.errors import ExperimentError

__all__ = ["amp_dtype", "conv_layout", "resolve_device", "seeded"]


def resolve_device(name: str = "auto") -> torch.device:
    """Return the device that a name stands for; ``auto`` prefers a CUDA card, then Apple's, then the CPU.

    Raises
    ------
    ExperimentError
        If this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    if not available.get(torch.device(name).type, False):
        has = ", ".join(kind for kind, there in available.items() if there)
        raise ExperimentError(
            f'resources.device = "{name}" is not there: this process sees {has}. Use one of these, or "auto".'
        )
    return torch.device(name)


def amp_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the type that convolutions compute in, or None for plain float32."""
    if precision == "auto":
        if device.type != "cuda":
            return None
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return None if precision == "float32" else getattr(torch, precision)


@contextmanager
def seeded(device: torch.device, *key: int) -> Iterator[None]:
    """Seed torch from a key, and leave the caller's generators as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
        yield


def conv_layout(ndim: int) -> torch.memory_format:
    """Return the memory format in which convolutions run fastest: channels last, but for spectra."""
    return {2: torch.channels_last, 3: torch.channels_last_3d}.get(ndim, torch.contiguous_format)

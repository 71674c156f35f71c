"""Bringing batches to the device while it computes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from beamwright.tasks import Batch, BatchSampler

__all__ = ["feed"]


def feed(sampler: BatchSampler, steps: range, device: torch.device) -> Iterator[Batch]:
    """Yield the batches of some steps on a device.

    On a GPU the next batch is made and copied in a thread meanwhile; on a CPU this would only take the
    core from the convolutions.
    """
    if device.type != "cuda":
        for step in steps:
            yield {name: value.to(device) for name, value in sampler.batch(step).items()}
        return

    def make(step: int) -> Batch:
        return {name: value.pin_memory() for name, value in sampler.batch(step).items()}

    with ThreadPoolExecutor(1) as executor:
        pending = [executor.submit(make, step) for step in steps[:2]]
        for step in steps:
            batch = pending.pop(0).result()
            if step + 2 < steps.stop:
                pending.append(executor.submit(make, step + 2))
            yield {name: value.to(device, non_blocking=True) for name, value in batch.items()}

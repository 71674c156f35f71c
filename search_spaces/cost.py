"""What a candidate will cost, known before it is built: torch's meta device has shapes but no memory."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import flop_registry

from beamwright.search_spaces.builder import Network
from beamwright.search_spaces.space import Candidate

__all__ = ["Cost", "estimate_cost"]

_FLOAT = 4
_MOMENTS = {"sgd": 1, "adam": 2, "adamw": 2, "radam": 2, "nadam": 2}


@dataclass(frozen=True)
class Cost:
    """Estimates for float32."""

    parameters: int
    """Number of weights."""
    macs_per_pixel: float
    """Multiply-adds per input pixel, forwards."""
    training_bytes: int
    """Peak memory of a training step: weights, gradients, optimiser, average of weights, activations [B]."""
    inference_bytes_per_pixel: float
    """Peak memory of activations per input pixel, forwards [B]."""


@lru_cache(maxsize=4096)
def estimate_cost(candidate: Candidate) -> Cost:
    """Estimate what a candidate needs, without building real tensors.

    The libraries' workspaces are not in it, nor is the memory of torch itself.
    """
    recipe, ndim = candidate.recipe, candidate.architecture.ndim
    with torch.device("meta"):
        network = Network(candidate.architecture, dropout=recipe.dropout)
        x = torch.empty(recipe.batch_size, candidate.architecture.in_channels, *[recipe.patch_size] * ndim)
    parameters = sum(weight.numel() for weight in network.parameters())
    copies = 1 + _MOMENTS[recipe.optimizer] + (recipe.ema > 0)  # gradients are in the measured peak
    with torch.no_grad(), _Meter() as inference:
        network.eval()(x)
    with _Meter() as training:
        network.train()(x).mean().backward()
    pixels = recipe.batch_size * recipe.patch_size**ndim
    return Cost(
        parameters=parameters,
        macs_per_pixel=inference.flops / 2 / pixels,
        training_bytes=copies * parameters * _FLOAT + training.peak + x.nbytes,
        inference_bytes_per_pixel=(inference.peak + x.nbytes) / pixels,
    )


class _Meter(TorchDispatchMode):
    """Counts floating point operations, and the bytes of what operators make until it is freed."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0
        self.now = self.peak = 0
        self.known: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operator and count what it does and makes."""
        for tensor in tree_iter((args, kwargs)):
            self._see(tensor, new=False)
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if count := flop_registry.get(func._overloadpacket):
            self.flops += count(*args, **kwargs, out_val=result)
        for tensor in tree_iter(result):
            self._see(tensor, new=True)
        return result

    def _see(self, item: Any, *, new: bool) -> None:
        if not isinstance(item, torch.Tensor):
            return
        storage = item.untyped_storage()
        if storage in self.known:
            return
        self.known.add(storage)
        if new:
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._free, storage.nbytes())

    def _free(self, size: int) -> None:
        self.now -= size

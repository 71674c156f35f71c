"""Random numbers of many environments at once, each from a stream of its own.

A number is a function of its stream's key and of how many were taken from that stream before. So an
environment sees the same numbers alone, in a batch of any size, on a CPU or on a GPU.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from beamwright.envs.core.poisson import poisson_quantile

__all__ = ["Streams"]

_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of SplitMix64
_PIECE = 32768  # words that the processor's cache holds


class Streams:
    """Counter-based random streams, one per environment of a batch.

    The numbers are those of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014, fig. 16), started for each
    stream at a place that its seed chooses. What is drawn advances the streams in place.

    Parameters
    ----------
    key
        Where each stream starts, ``(B,)`` int64.
    counter
        How many numbers of 64 bits were taken from each stream, ``(B,)`` int64.
    """

    def __init__(self, key: Tensor, counter: Tensor) -> None:
        self._key, self._counter = key, counter  # (B,), (B,)

    @classmethod
    def from_seed(cls, seed: int, count: int, *, device: str | torch.device = "cpu") -> Streams:
        """Return streams of the seeds ``seed``, ``seed + 1``, ..., as Gymnasium seeds vector environments."""
        return cls.from_seeds(range(seed, seed + count), device=device)

    @classmethod
    def from_seeds(cls, seeds: Sequence[int], *, device: str | torch.device = "cpu") -> Streams:
        """Return one stream per seed."""
        key = torch.tensor([_signed(seed) for seed in seeds], dtype=torch.int64, device=device)  # (B,)
        return cls(_mix(key * _signed(_GOLDEN)), torch.zeros_like(key))

    @property
    def count(self) -> int:
        """Number of streams, B."""
        return len(self._key)

    @property
    def device(self) -> torch.device:
        """Where the numbers are made."""
        return self._key.device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Return ``(B, *shape)`` float32 numbers, uniform in [low, high)."""
        unit = self._words(*shape).bitwise_and_(0xFFFFFF).float().mul_(2**-24)  # (B, *shape)
        return unit if (low, high) == (0.0, 1.0) else unit.mul_(high - low).add_(low)

    def normal(self, *shape: int) -> Tensor:
        """Return ``(B, *shape)`` float32 numbers of mean 0 and standard deviation 1."""
        return self._symmetric(*shape).erfinv_().mul_(math.sqrt(2))

    def integers(self, *shape: int, low: int, high: int) -> Tensor:
        """Return ``(B, *shape)`` int64 numbers, uniform in [low, high)."""
        size = math.prod(shape)
        return (
            self._hashes(size)
            .bitwise_and_(2**63 - 1)
            .remainder_(high - low)
            .add_(low)
            .view(self.count, *shape)
        )

    def poisson(self, rate: Tensor) -> Tensor:
        """Return counts of the expected `rate`, by inversion with one uniform number per value.

        Parameters
        ----------
        rate
            Expected counts, ``(B, ...)``, not negative.

        Returns
        -------
        Tensor
            Whole numbers as float32, of the shape of `rate`.
        """
        return poisson_quantile(self._symmetric(*rate.shape[1:]), rate)

    def take(self, index: Any) -> Streams:
        """Return copies of the streams at an index: integers or a mask of booleans, ``(N,)``."""
        return Streams(self._key[index].reshape(-1).clone(), self._counter[index].reshape(-1).clone())

    def put(self, index: Any, streams: Streams) -> None:
        """Overwrite the streams at an index with other ones."""
        self._key[index] = streams._key.to(self.device)
        self._counter[index] = streams._counter.to(self.device)

    def state(self) -> dict[str, Tensor]:
        """Return copies of what `restore` needs to repeat the numbers that follow."""
        return {"key": self._key.clone(), "counter": self._counter.clone()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to where `state` was taken."""
        self._key = state["key"].to(self.device, copy=True)
        self._counter = state["counter"].to(self.device, copy=True)

    def _symmetric(self, *shape: int) -> Tensor:
        """Return numbers strictly between -1 and 1, the middles of 2**24 equal intervals."""
        return self._words(*shape).bitwise_right_shift_(8).float().add_(0.5).mul_(2**-23)

    def _words(self, *shape: int) -> Tensor:
        """Return random int32 words ``(B, *shape)``, two to a hash."""
        size = math.prod(shape)
        words = self._hashes((size + 1) // 2).view(torch.int32)  # (B, 2 * hashes)
        return words[:, :size].reshape(self.count, *shape)

    def _hashes(self, size: int) -> Tensor:
        start = self._key + self._counter * _signed(_GOLDEN)  # (B,)
        self._counter = self._counter + size
        return _mix(start[:, None] + _steps(size, self.device))  # (B, size)


@functools.lru_cache(maxsize=64)
def _steps(size: int, device: torch.device) -> Tensor:
    return torch.arange(1, size + 1, device=device) * _signed(_GOLDEN)


def _mix(words: Tensor) -> Tensor:
    """Scramble int64 words in place; they wrap around, as the algorithm wants."""
    for word in words.view(-1).split(max(1, words.numel()) if words.is_cuda else _PIECE):
        shifted = torch.empty_like(word)
        for shift, factor in ((30, _FIRST), (27, _SECOND), (31, 1)):
            torch.bitwise_right_shift(word, shift, out=shifted)
            word ^= shifted.bitwise_and_(2 ** (64 - shift) - 1)  # the mask makes torch's shift a logical one
            if factor != 1:
                word *= _signed(factor)
    return words


def _signed(word: int) -> int:
    """Return the int64 that has the lowest 64 bits of a whole number."""
    return (word + 2**63) % 2**64 - 2**63

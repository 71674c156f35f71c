"""How far a network sees, by interval arithmetic over its architecture."""

from __future__ import annotations

import math
from typing import NamedTuple

from beamwright.errors import SpaceError
from beamwright.search_spaces.architecture import ASPP_RATES, Architecture, Downsample, Stage, Upsample

__all__ = ["prefill_radius", "receptive_radius"]

# Convolutions in a row, in one block.
_IN_A_ROW = {"residual": 2, "inception": 2}


class _Reach(NamedTuple):
    """The pixels that a feature at position p sees: ``p * jump - before`` to ``p * jump + after`` [px]."""

    before: int
    after: int

    def grow(self, before: int, after: int | None = None) -> _Reach:
        return _Reach(self.before + before, self.after + (before if after is None else after))

    def __or__(self, other: _Reach) -> _Reach:
        return _Reach(max(self.before, other.before), max(self.after, other.after))


def receptive_radius(architecture: Architecture) -> int:
    """Return the distance beyond which no input pixel changes an output pixel [px].

    Raises
    ------
    SpaceError
        If the architecture is not local.
    """
    if not architecture.is_local:
        raise SpaceError(
            f'An architecture with norm = "{architecture.norm}" and bottleneck = "{architecture.bottleneck}" '
            "sees the whole image, so it has no receptive radius; run it on whole images, or search with "
            "local_only."
        )
    reaches, jumps = _encode(architecture)
    reach = reaches.pop()
    if architecture.bottleneck == "aspp":
        reach = reach.grow(max(ASPP_RATES) * jumps[-1])
    reach = _decode(architecture, [*reaches, reach], jumps)
    if architecture.stages[0].downsample != "none":
        reach = _upsampled(reach, architecture.upsample, 1)
    return max(reach) + prefill_radius(architecture.prefill)


def prefill_radius(scales: tuple[float, ...]) -> int:
    """Return how far the Gaussians of a prefill reach [px]: three standard deviations of the widest."""
    return math.ceil(3 * max(scales, default=0))


def _encode(architecture: Architecture) -> tuple[list[_Reach], list[int]]:
    reach, jump = _Reach(0, 0), 1
    reaches, jumps = [], []
    for level in architecture.levels:
        reach, jump = _downsampled(reach, level[0].downsample, jump)
        for stage in level:
            reach = reach.grow(stage.depth * _block_radius(stage) * jump)
        reaches.append(reach)
        jumps.append(jump)
    return reaches, jumps


def _decode(architecture: Architecture, reaches: list[_Reach], jumps: list[int]) -> _Reach:
    for level, _ in architecture.merges:
        merged = _merged(architecture, reaches[level + 1], reaches[level], jumps[level])
        stage = architecture.levels[level][-1]
        reaches[level] = merged.grow(architecture.decoder_depth * _block_radius(stage) * jumps[level])
    return reaches[0]


def _block_radius(stage: Stage) -> int:
    return _IN_A_ROW.get(stage.block, 1) * (stage.kernel // 2) * stage.dilation


def _downsampled(reach: _Reach, kind: Downsample, jump: int) -> tuple[_Reach, int]:
    if kind == "none":
        return reach, jump
    return reach.grow(jump if kind == "stride" else 0, jump), 2 * jump


def _upsampled(reach: _Reach, kind: Upsample, jump: int) -> _Reach:
    """Return the reach at `jump` of what had twice that before."""
    if kind == "subpixel":
        reach = reach.grow(2 * jump)
    return reach.grow(2 * jump, jump) if kind == "linear" else reach.grow(jump, 0)


def _merged(architecture: Architecture, below: _Reach, skip: _Reach, jump: int) -> _Reach:
    if architecture.skips == "indices":
        return _upsampled(below, "nearest", jump) | skip.grow(jump)
    upsampled = _upsampled(below, architecture.upsample, jump)
    return upsampled if architecture.skips == "none" else upsampled | skip

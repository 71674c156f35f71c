"""Turns an architecture into a torch module."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from beamwright.search_spaces.architecture import Architecture, Bottleneck, Stage
from beamwright.search_spaces.blocks import Residual, make_stage
from beamwright.search_spaces.layers import (
    Aspp,
    Attention,
    Unpool,
    conv,
    make_downsample,
    make_upsample,
    pad_to_multiple,
)
from beamwright.search_spaces.prefill import Prefill
from beamwright.search_spaces.receptive import receptive_radius
from beamwright.search_spaces.recipe import Initialiser

__all__ = ["Network", "build"]

_BOTTLENECKS: dict[Bottleneck, Callable[[Architecture, int], nn.Module]] = {
    "none": lambda architecture, width: nn.Identity(),
    "aspp": Aspp,
    "aspp_global": Aspp,
    "attention": Attention,
}


class Merge(nn.Module):
    """One step of the decoder: upsample what is below, join the skips, run the blocks."""

    def __init__(self, architecture: Architecture, stage: Stage, below: int, skips: int) -> None:
        super().__init__()
        kind, width = architecture.skips, stage.width
        self.kind = kind
        self.upsample = (
            Unpool(architecture.ndim, below, width)
            if kind == "indices"
            else make_upsample(architecture, below, width)
        )
        joined = width * (1 + skips) if kind in ("concatenate", "nested") else width
        depth = architecture.decoder_depth
        self.blocks = make_stage(architecture, stage, joined, depth=depth)
        if depth == 0 and joined != width:
            self.blocks = conv(architecture.ndim, joined, width, kernel=1)

    def forward(self, below: Tensor, skips: list[Tensor]) -> Tensor:
        """Map ``(B, C, *spatial)`` and skips ``(B, width, *doubled)`` to ``(B, width, *doubled)``."""
        if self.kind == "indices":
            return self.blocks(self.upsample(below, skips[-1]))
        x = self.upsample(below)
        if self.kind == "add":
            x = x + skips[-1]
        elif self.kind != "none":
            x = torch.cat([*skips, x], 1)
        return self.blocks(x)


class Network(nn.Module):
    """The module of an architecture; takes ``(B, Cin, *spatial)`` of any size to ``(B, Cout, *spatial)``.

    Parameters
    ----------
    architecture
        What to build.
    dropout
        Share of the deepest features that a training step leaves out.

    Attributes
    ----------
    halo
        Distance beyond which no input pixel changes an output pixel [px]; None if it sees the whole image.
    """

    def __init__(self, architecture: Architecture, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.architecture = architecture
        self.divisor = architecture.divisor
        self.halo = receptive_radius(architecture) if architecture.is_local else None
        self.prefill = Prefill(architecture.prefill, ndim=architecture.ndim) if architecture.prefill else None
        self.encoder = _make_encoder(architecture)
        last = architecture.stages[-1].width
        self.bottleneck = _BOTTLENECKS[architecture.bottleneck](architecture, last)
        self.dropout = nn.Dropout(dropout)
        self.decoder = nn.ModuleList(_make_merge(architecture, *step) for step in architecture.merges)
        self.head = _make_head(architecture)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, Cin, *spatial)`` to ``(B, Cout, *spatial)``."""
        features_in, base = self.prefill(x) if self.prefill else (x, x)
        y = pad_to_multiple(features_in, self.divisor)
        features = []
        for level in self.encoder:
            y = level(y)
            features.append(y)
        features[-1] = self.dropout(self.bottleneck(y))
        y = self.head(self._decode(features))
        for axis in range(2, x.ndim) if self.divisor > 1 else ():
            y = y.narrow(axis, 0, x.shape[axis])
        if not self.architecture.residual:
            return y
        return base + y if self.prefill is None else torch.cat([base + y[:, :1], y[:, 1:]], 1)

    def _decode(self, features: list[Tensor]) -> Tensor:
        rows = [[feature] for feature in features]
        for (level, _), merge in zip(self.architecture.merges, self.decoder, strict=True):
            rows[level].append(merge(rows[level + 1][-1], rows[level]))
        return rows[0][-1]


def _make_encoder(architecture: Architecture) -> nn.ModuleList:
    """Return one module per level."""
    inputs, levels = architecture.feature_channels, nn.ModuleList()
    for level in architecture.levels:
        kind, width = level[0].downsample, level[0].width
        parts = [make_downsample(kind, architecture.ndim, inputs, width)]
        inputs = width if kind == "stride" else inputs
        for stage in level:
            parts.append(make_stage(architecture, stage, inputs, depth=stage.depth))
            inputs = stage.width
        levels.append(nn.Sequential(*parts))
    return levels


def _make_merge(architecture: Architecture, level: int, column: int) -> Merge:
    stage, below = architecture.levels[level][-1], architecture.levels[level + 1][-1]
    skips = column + 1 if architecture.skips == "nested" else 1
    return Merge(architecture, stage, below.width, skips)


def _make_head(architecture: Architecture) -> nn.Module:
    width = architecture.levels[0][-1].width
    last = conv(architecture.ndim, width, architecture.out_channels, kernel=1)
    if architecture.stages[0].downsample == "none":
        return last
    return nn.Sequential(make_upsample(architecture, width, width), last)


def build(architecture: Architecture, *, dropout: float = 0.0, initialiser: Initialiser = "he") -> Network:
    """Build the network of an architecture, with fresh weights from torch's global generator.

    Parameters
    ----------
    architecture
        What to build.
    dropout
        Share of the deepest features that a training step leaves out.
    initialiser
        How convolutions start; residual bodies, and the head where the architecture is residual, at 0.
    """
    network = Network(architecture, dropout=dropout)
    _initialise(network, _INITIALISERS[initialiser])
    return network


_INITIALISERS: dict[Initialiser, Callable[[Tensor], Tensor]] = {
    "he": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "xavier": nn.init.xavier_uniform_,
    "orthogonal": nn.init.orthogonal_,
}


def _initialise(network: Network, initialise: Callable[[Tensor], Tensor]) -> None:
    for module in network.modules():
        weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
        if isinstance(weight, Tensor) and weight.ndim > 2:
            initialise(weight)
            if isinstance(bias, Tensor):
                nn.init.zeros_(bias)
    for module in network.modules():
        if isinstance(module, Residual):
            module.start_at_zero()
    if network.architecture.residual:
        head = [weight for name, weight in network.head.named_parameters() if name.endswith("weight")][-1]
        nn.init.zeros_(head)

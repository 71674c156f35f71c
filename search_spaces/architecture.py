"""A network as frozen data: the point of the architecture space that the builder turns into a module."""

from __future__ import annotations

import itertools
from typing import Literal

from pydantic import Field, model_validator

from beamwright.search_spaces.record import Record

__all__ = [
    "ASPP_RATES",
    "Activation",
    "Architecture",
    "Block",
    "Bottleneck",
    "Downsample",
    "Norm",
    "Skips",
    "Stage",
    "Upsample",
]

Block = Literal["plain", "residual", "bottleneck", "dense", "inception", "separable", "convnext"]
Downsample = Literal["none", "max", "average", "stride"]
Upsample = Literal["transpose", "nearest", "linear", "subpixel"]
Skips = Literal["none", "indices", "add", "concatenate", "nested"]
Bottleneck = Literal["none", "aspp", "aspp_global", "attention"]
Norm = Literal["none", "batch", "instance", "group", "layer"]
Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu"]

ASPP_RATES = (1, 2, 4)
"""Dilations of ASPP; its authors' 6, 12, 18 reach beyond the feature maps of our small patches."""


class Stage(Record):
    """A run of blocks at one resolution of the encoder."""

    block: Block
    width: int = Field(ge=1)
    """Channels that leave the stage."""
    depth: int = Field(ge=1)
    """Number of blocks; of layers, in a dense stage."""
    downsample: Downsample = "none"
    """How the stage halves the resolution before its first block."""
    dilation: int = Field(1, ge=1)
    kernel: int = Field(3, ge=1)
    """Width of the spatial kernel; odd [px]."""

    @model_validator(mode="after")
    def _check(self) -> Stage:
        if self.kernel % 2 == 0:
            raise ValueError(
                f"kernel = {self.kernel} must be odd, so that it has a centre; take {self.kernel + 1}."
            )
        if self.block == "inception" and self.width < 4:
            raise ValueError(
                f"width = {self.width} is too small for the four branches of inception; take 4 or more."
            )
        return self


class Architecture(Record):
    """A network: encoder stages, bottleneck, and a decoder that mirrors every halving of the resolution.

    The decoder's stage at a resolution repeats the encoder's last stage there, with `decoder_depth` blocks.
    When the very first stage halves the resolution, nothing mirrors it: the head upsamples.
    """

    stages: tuple[Stage, ...] = Field(min_length=1)
    ndim: Literal[1, 2, 3] = 2
    """1 for spectra, 2 for images, 3 for volumes."""
    in_channels: int = Field(1, ge=1)
    out_channels: int = Field(1, ge=1)
    bottleneck: Bottleneck = "none"
    """What follows the last stage; ``aspp_global`` is ASPP with its branch of image pooling."""
    skips: Skips = "concatenate"
    decoder_depth: int = Field(1, ge=0)
    """Blocks in each stage of the decoder; 0 only upsamples and merges, as FCN does."""
    upsample: Upsample = "nearest"
    norm: Norm = "none"
    activation: Activation = "relu"
    residual: bool = False
    """The network predicts what is to be added to its input; with `prefill`, to the filled image."""
    prefill: tuple[float, ...] = ()
    """Scales of the Gaussians that first fill in what was not measured [px], ascending; the input is then
    values and their weights."""

    @model_validator(mode="after")
    def _check(self) -> Architecture:
        if self.prefill and (self.in_channels != 2 or self.prefill[0] <= 0 or _unsorted(self.prefill)):
            raise ValueError(
                f"prefill = {self.prefill} must be scales above 0 px, ascending, of a network that takes "
                f"values and weights: in_channels = 2, not {self.in_channels}."
            )
        if self.residual and not self.prefill and self.in_channels != self.out_channels:
            raise ValueError(
                f"residual adds input to output, so in_channels = {self.in_channels} must equal "
                f"out_channels = {self.out_channels}; set residual to false."
            )
        unpooled = [stage.downsample for stage in self.stages[1:]] if self.skips == "indices" else []
        if wrong := next((kind for kind in unpooled if kind not in ("max", "none")), None):
            raise ValueError(
                f'skips = "indices" needs the positions of maxima, which downsample = "{wrong}" has not; '
                'set downsample to "max".'
            )
        return self

    @property
    def feature_channels(self) -> int:
        """What the first stage takes: the input, and of every scale of `prefill` an image and a density."""
        return self.in_channels + 2 * len(self.prefill)

    @property
    def divisor(self) -> int:
        """The spatial size is padded inside the network to a multiple of this [px]."""
        return int(2 ** sum(stage.downsample != "none" for stage in self.stages))

    @property
    def is_local(self) -> bool:
        """Whether an output pixel depends on a bounded neighbourhood only, so that tiles equal the whole."""
        return self.norm not in ("instance", "group") and self.bottleneck in ("none", "aspp")

    @property
    def merges(self) -> tuple[tuple[int, int], ...]:
        """The decoder's steps as (level, column), in the order in which they run.

        Nested skips have a triangle of them, of which the plain decoder is the last diagonal.
        """
        count = len(self.levels) - 1
        triangle = ((level, column) for column in range(count) for level in range(count - column))
        return tuple(step for step in triangle if self.skips == "nested" or sum(step) == count - 1)

    @property
    def levels(self) -> tuple[tuple[Stage, ...], ...]:
        """The stages, grouped by resolution."""
        groups: list[list[Stage]] = [[self.stages[0]]]
        for stage in self.stages[1:]:
            if stage.downsample == "none":
                groups[-1].append(stage)
            else:
                groups.append([stage])
        return tuple(tuple(group) for group in groups)


def _unsorted(values: tuple[float, ...]) -> bool:
    return any(one >= two for one, two in itertools.pairwise(values))

"""The parts that blocks and networks are made of, in one, two and three dimensions.

Every part keeps or halves or doubles the spatial size, and exports to ONNX with free sizes: sizes are never
read into Python integers while the network is traced.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from beamwright.search_spaces.architecture import ASPP_RATES, Activation, Architecture, Downsample

__all__ = [
    "Aspp",
    "Attention",
    "Unpool",
    "conv",
    "conv_norm_act",
    "make_activation",
    "make_downsample",
    "make_norm",
    "make_upsample",
    "pad_to_multiple",
]

_CONVS: tuple[Callable[..., nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED: tuple[Callable[..., nn.Module], ...] = (
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
_POOLS: dict[Downsample, tuple[Callable[..., nn.Module], ...]] = {
    "max": (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
    "average": (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
}
_BATCH_NORMS: tuple[Callable[..., nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}
_LINEAR = ("linear", "bilinear", "trilinear")


class LayerNorm(nn.LayerNorm):
    """Normalise each pixel over its channels."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, *spatial)`` to the same shape."""
        last = x.ndim - 1  # the exporter does not take -1 here
        return super().forward(x.movedim(1, last)).movedim(last, 1)


class GroupNorm(nn.GroupNorm):
    """Group normalisation that also takes a single pixel, which torch's refuses in a batch of one."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, *spatial)`` to the same shape."""
        return torch.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


def make_norm(architecture: Architecture, width: int) -> nn.Module:
    """Return the architecture's normalisation of `width` channels."""
    match architecture.norm:
        case "batch":
            return _BATCH_NORMS[architecture.ndim - 1](width)
        case "instance":
            return GroupNorm(width, width)
        case "group":
            return GroupNorm(math.gcd(8, width), width)
        case "layer":
            return LayerNorm(width)
    return nn.Identity()


def make_activation(architecture: Architecture) -> nn.Module:
    """Return the architecture's activation."""
    return _ACTIVATIONS[architecture.activation]()


def conv(
    ndim: int,
    inputs: int,
    outputs: int,
    *,
    kernel: int = 3,
    dilation: int = 1,
    stride: int = 1,
    groups: int = 1,
    bias: bool = True,
) -> nn.Module:
    """Return a convolution that keeps the size, or divides it by the stride."""
    padding = kernel // 2 * dilation
    return _CONVS[ndim - 1](
        inputs, outputs, kernel, stride, padding=padding, dilation=dilation, groups=groups, bias=bias
    )


def conv_norm_act(
    architecture: Architecture, inputs: int, outputs: int, *, kernel: int = 3, dilation: int = 1
) -> nn.Sequential:
    """Return a convolution with the architecture's normalisation and activation behind it."""
    bias = architecture.norm == "none"
    return nn.Sequential(
        conv(architecture.ndim, inputs, outputs, kernel=kernel, dilation=dilation, bias=bias),
        make_norm(architecture, outputs),
        make_activation(architecture),
    )


def make_downsample(kind: Downsample, ndim: int, inputs: int, outputs: int) -> nn.Module:
    """Return what halves the resolution; only a strided convolution brings `inputs` to `outputs` channels."""
    if kind == "none":
        return nn.Identity()
    if kind == "stride":
        return conv(ndim, inputs, outputs, stride=2)
    return _POOLS[kind][ndim - 1](2)


class PixelShuffle(nn.Module):
    """Move groups of ``2**ndim`` channels to the pixels of a grid twice as fine."""

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C * 2**ndim, *spatial)`` to ``(B, C, *doubled)``."""
        if x.ndim == 4:
            return F.pixel_shuffle(x, 2)
        for axis in range(x.ndim - 1, 1, -1):
            x = torch.stack((x[:, 0::2], x[:, 1::2]), dim=axis + 1).flatten(axis, axis + 1)
        return x


class Upsample(nn.Module):
    """Double the resolution by interpolation."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, *spatial)`` to ``(B, C, *doubled)``."""
        corners = False if self.mode in _LINEAR else None
        return F.interpolate(x, scale_factor=2.0, mode=self.mode, align_corners=corners)


def make_upsample(architecture: Architecture, inputs: int, outputs: int) -> nn.Module:
    """Return what doubles the resolution and brings `inputs` to `outputs` channels."""
    ndim = architecture.ndim
    match architecture.upsample:
        case "transpose":
            return _TRANSPOSED[ndim - 1](inputs, outputs, 2, stride=2)
        case "subpixel":
            return nn.Sequential(conv(ndim, inputs, outputs * 2**ndim), PixelShuffle())
        case "linear":
            upsample = Upsample(_LINEAR[ndim - 1])
        case _:
            upsample = Upsample("nearest")
    # The projection commutes with interpolation and is cheaper before it.
    return nn.Sequential(conv(ndim, inputs, outputs, kernel=1), upsample)


class Unpool(nn.Module):
    """Put each value where the pooled features had the maximum of their window, and zeros elsewhere."""

    places: Tensor

    def __init__(self, ndim: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project = conv(ndim, inputs, outputs, kernel=1)
        self.shuffle = PixelShuffle()
        corners = itertools.product((slice(0, None, 2), slice(1, None, 2)), repeat=ndim)
        self.corners = [(slice(None), slice(None), *corner) for corner in corners]
        self.register_buffer("places", torch.arange(2**ndim), persistent=False)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Map ``(B, C, *spatial)`` and what was pooled, ``(B, D, *doubled)``, to the latter's shape."""
        windows = torch.stack([features[corner] for corner in self.corners], dim=2)
        places = self.places.view(-1, *(1,) * (x.ndim - 2))
        # Where values are equal, as in flat areas, rounding must not decide: it differs between runtimes.
        winner = (windows - 1e-4 * places).argmax(2, keepdim=True)  # (B, D, 1, *spatial)
        spread = self.project(x).unsqueeze(2) * (winner == places)  # (B, D, 2**ndim, *spatial)
        return self.shuffle(spread.flatten(1, 2))


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling: parallel dilated convolutions, and on demand the mean of the image.

    References
    ----------
    .. [1] Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", arXiv:1706.05587,
       section 3.3.
    """

    def __init__(self, architecture: Architecture, width: int) -> None:
        super().__init__()
        part = max(width // 2, 1)
        self.branches = nn.ModuleList([conv_norm_act(architecture, width, part, kernel=1)])
        self.branches += [conv_norm_act(architecture, width, part, dilation=rate) for rate in ASPP_RATES]
        # No normalisation here: a mean is one value per channel.
        pooled = nn.Sequential(conv(architecture.ndim, width, part, kernel=1), make_activation(architecture))
        self.pooled = pooled if architecture.bottleneck == "aspp_global" else None
        joined = part * (len(self.branches) + (self.pooled is not None))
        self.join = conv_norm_act(architecture, joined, width, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, *spatial)`` to the same shape."""
        parts = [branch(x) for branch in self.branches]
        if self.pooled is not None:
            mean = x.mean(tuple(range(2, x.ndim)), keepdim=True)  # (B, C, 1, ...)
            parts.append(self.pooled(mean).expand_as(parts[0]))
        return self.join(torch.cat(parts, 1))


class Attention(nn.Module):
    """Self-attention between all pixels, in time and memory linear in their number, added to its input.

    References
    ----------
    .. [1] Shen et al., "Efficient Attention: Attention with Linear Complexities", WACV 2021,
       arXiv:1812.01243, equation 4.
    """

    def __init__(self, architecture: Architecture, width: int, *, heads: int = 4) -> None:
        super().__init__()
        self.heads = math.gcd(heads, width)
        self.norm = LayerNorm(width)
        self.queries, self.keys, self.values = (
            conv(architecture.ndim, width, width, kernel=1) for _ in range(3)
        )
        self.project = conv(architecture.ndim, width, width, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, C, *spatial)`` to the same shape."""
        y = self.norm(x)
        queries, keys, values = (self._split(part(y)) for part in (self.queries, self.keys, self.values))
        context = keys.softmax(-1) @ values.transpose(-1, -2)  # (B, heads, C', C')
        attended = context.transpose(-1, -2) @ queries.softmax(-2)  # (B, heads, C', N)
        return x + self.project(attended.reshape(x.shape))

    def _split(self, x: Tensor) -> Tensor:
        """Map ``(B, C, *spatial)`` to ``(B, heads, C', N)``."""
        return x.flatten(2).unflatten(1, (self.heads, -1))


def pad_to_multiple(x: Tensor, divisor: int) -> Tensor:
    """Repeat the last pixels of every axis up to a multiple of `divisor`.

    Only at the end, so that tiles whose origins are multiples of the divisor see the grid of the whole image;
    by repetition, because a reflection cannot be longer than the image.
    """
    if divisor == 1:
        return x
    pads: list[int] = []
    for axis in range(x.ndim - 1, 1, -1):
        pads += [0, -x.shape[axis] % divisor]
    return F.pad(x, pads, mode="replicate")

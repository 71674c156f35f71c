"""The seven blocks, and stages of them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from beamwright.search_spaces.architecture import Architecture, Block, Stage
from beamwright.search_spaces.layers import conv, conv_norm_act, make_activation, make_norm

__all__ = ["make_stage"]


class Residual(nn.Module):
    """``shortcut(x) + body(x)``, where the body starts at zero so that depth does not hurt at first."""

    def __init__(self, shortcut: nn.Module, body: nn.Sequential, activation: nn.Module) -> None:
        super().__init__()
        self.shortcut, self.body, self.activation = shortcut, body, activation

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, Cin, *spatial)`` to ``(B, Cout, *spatial)``."""
        return self.activation(self.shortcut(x) + self.body(x))

    def start_at_zero(self) -> None:
        """Set the last weights of the body to zero."""
        last = [part for part in self.body if getattr(part, "weight", None) is not None][-1]
        assert isinstance(last.weight, Tensor)
        nn.init.zeros_(last.weight)


class Parallel(nn.Module):
    """Branches whose outputs are concatenated."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, Cin, *spatial)`` to ``(B, Cout, *spatial)``."""
        return torch.cat([branch(x) for branch in self.branches], 1)


def _plain(architecture: Architecture, stage: Stage, inputs: int) -> nn.Module:
    return conv_norm_act(architecture, inputs, stage.width, kernel=stage.kernel, dilation=stage.dilation)


def _shortcut(architecture: Architecture, inputs: int, outputs: int) -> nn.Module:
    return nn.Identity() if inputs == outputs else conv(architecture.ndim, inputs, outputs, kernel=1)


def _last(architecture: Architecture, stage: Stage, inputs: int, *, kernel: int) -> list[nn.Module]:
    """Return a convolution and normalisation without activation."""
    dilation = stage.dilation if kernel > 1 else 1
    bias = architecture.norm == "none"
    last = conv(architecture.ndim, inputs, stage.width, kernel=kernel, dilation=dilation, bias=bias)
    return [last, make_norm(architecture, stage.width)]


def _residual(architecture: Architecture, stage: Stage, inputs: int) -> nn.Module:
    body = [
        _plain(architecture, stage, inputs),
        *_last(architecture, stage, stage.width, kernel=stage.kernel),
    ]
    shortcut = _shortcut(architecture, inputs, stage.width)
    return Residual(shortcut, nn.Sequential(*body), make_activation(architecture))


def _bottleneck(architecture: Architecture, stage: Stage, inputs: int) -> nn.Module:
    narrow = max(stage.width // 2, 1)  # ResNet's quarter would leave a handful of channels
    body = [
        conv_norm_act(architecture, inputs, narrow, kernel=1),
        conv_norm_act(architecture, narrow, narrow, kernel=stage.kernel, dilation=stage.dilation),
        *_last(architecture, stage, narrow, kernel=1),
    ]
    shortcut = _shortcut(architecture, inputs, stage.width)
    return Residual(shortcut, nn.Sequential(*body), make_activation(architecture))


def _inception(architecture: Architecture, stage: Stage, inputs: int) -> nn.Module:
    """Return Inception's four branches, the 5x5 factorised into two 3x3 as its second version has it."""
    part, rest = stage.width // 4, stage.width - 3 * (stage.width // 4)
    pools = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
    narrow = stage.model_copy(update={"width": part})
    return Parallel(
        conv_norm_act(architecture, inputs, part, kernel=1),
        nn.Sequential(
            conv_norm_act(architecture, inputs, part, kernel=1), _plain(architecture, narrow, part)
        ),
        nn.Sequential(_plain(architecture, narrow, inputs), _plain(architecture, narrow, part)),
        nn.Sequential(
            pools[architecture.ndim - 1](stage.kernel, stride=1, padding=stage.kernel // 2),
            conv_norm_act(architecture, inputs, rest, kernel=1),
        ),
    )


def _depthwise(architecture: Architecture, stage: Stage, width: int) -> nn.Module:
    return conv(
        architecture.ndim,
        width,
        width,
        kernel=stage.kernel,
        dilation=stage.dilation,
        groups=width,
        bias=False,
    )


def _separable(architecture: Architecture, stage: Stage, inputs: int) -> nn.Module:
    pointwise = conv_norm_act(architecture, inputs, stage.width, kernel=1)
    return nn.Sequential(_depthwise(architecture, stage, inputs), *pointwise)


def _convnext(architecture: Architecture, stage: Stage, inputs: int) -> nn.Module:
    width, ndim = stage.width, architecture.ndim
    body = nn.Sequential(
        _depthwise(architecture, stage, width),
        make_norm(architecture, width),
        conv(ndim, width, 4 * width, kernel=1),
        make_activation(architecture),
        conv(ndim, 4 * width, width, kernel=1),
    )
    block = Residual(nn.Identity(), body, nn.Identity())
    return block if inputs == width else nn.Sequential(conv(ndim, inputs, width, kernel=1), block)


class Dense(nn.Module):
    """Layers that each see everything before them, and a transition to the stage's width.

    Without the transition the width would grow with the depth.
    """

    def __init__(self, architecture: Architecture, stage: Stage, inputs: int, depth: int) -> None:
        super().__init__()
        layer = stage.model_copy(update={"width": max(stage.width // 2, 1)})
        widths = [inputs + index * layer.width for index in range(depth + 1)]
        self.layers = nn.ModuleList(_plain(architecture, layer, width) for width in widths[:-1])
        self.transition = conv_norm_act(architecture, widths[-1], stage.width, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, Cin, *spatial)`` to ``(B, Cout, *spatial)``."""
        for layer in self.layers:
            x = torch.cat((x, layer(x)), 1)
        return self.transition(x)


_BLOCKS: dict[Block, Callable[[Architecture, Stage, int], nn.Module]] = {
    "plain": _plain,
    "residual": _residual,
    "bottleneck": _bottleneck,
    "inception": _inception,
    "separable": _separable,
    "convnext": _convnext,
}


def make_stage(architecture: Architecture, stage: Stage, inputs: int, *, depth: int) -> nn.Module:
    """Return `depth` blocks that bring `inputs` to the stage's width; without blocks, the input as it is.

    The stage's downsampling is not part of it.
    """
    if stage.block == "dense" and depth:
        return Dense(architecture, stage, inputs, depth)
    widths = [inputs] + [stage.width] * depth
    return nn.Sequential(*(_BLOCKS[stage.block](architecture, stage, width) for width in widths[:-1]))

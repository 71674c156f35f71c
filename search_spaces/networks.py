"""The literature's networks as points of the architecture space, at sizes that a CPU trains in minutes.

The publications' own widths are for GPUs and photographs; what is kept of each is its idea.
"""

from __future__ import annotations

from typing import Any

from beamwright.registry import Entry, Registry
from beamwright.search_spaces.architecture import Architecture, Block, Downsample, Stage
from beamwright.search_spaces.recipe import Recipe
from beamwright.search_spaces.space import Candidate, SpaceLimits

__all__ = ["NETWORKS", "default_recipe", "named"]

_WIDTH = 16


def _network(name: str, summary: str, source: str) -> Entry:
    attribute = name.replace("++", "_plus_plus")
    return Entry(name, summary, f"{__name__}:{attribute}", source)


NETWORKS = Registry(
    "network",
    _network(
        "autoencoder",
        "encoder and decoder without skips: everything passes the bottleneck",
        "Hinton & Salakhutdinov, Science 313 (2006) 504; convolutional: Masci et al., ICANN 2011",
    ),
    _network(
        "fcn",
        "scores of every scale upsampled and added, no decoder",
        "Long, Shelhamer & Darrell, CVPR 2015, arXiv:1411.4038",
    ),
    _network(
        "segnet",
        "decoder that unpools by the encoder's pooling indices",
        "Badrinarayanan, Kendall & Cipolla, TPAMI 2017, arXiv:1511.00561",
    ),
    _network(
        "unet",
        "encoder and decoder of plain convolutions, skips concatenated",
        "Ronneberger, Fischer & Brox, MICCAI 2015, arXiv:1505.04597",
    ),
    _network(
        "unet_resize",
        "U-Net that upsamples by repetition and convolution: no checkerboard, and it learns faster",
        "Odena, Dumoulin & Olah, Distill (2016), doi:10.23915/distill.00003",
    ),
    _network(
        "resunet",
        "U-Net of residual blocks with strided convolutions",
        "Zhang, Liu & Wang, IEEE GRSL 2018, arXiv:1711.10684",
    ),
    _network(
        "fc_densenet",
        "U-Net of densely connected blocks",
        "Jégou et al., CVPRW 2017, arXiv:1611.09326",
    ),
    _network(
        "unet++",
        "U-Net whose skips are nested decoders",
        "Zhou et al., DLMIA 2018, arXiv:1807.10165",
    ),
    _network(
        "deeplab",
        "residual encoder that ends in dilated convolutions and a spatial pyramid, light decoder",
        "Chen et al. (DeepLabv3+), ECCV 2018, arXiv:1802.02611",
    ),
    _network(
        "dncnn",
        "plain convolutions at full resolution that predict the noise",
        "Zhang et al., TIP 2017, arXiv:1608.03981",
    ),
    _network(
        "ffdnet",
        "DnCNN at half resolution, four times faster",
        "Zhang, Zuo & Zhang, TIP 2018, arXiv:1710.04026",
    ),
    _network(
        "drunet",
        "residual U-Net without normalisation, skips added",
        "Zhang et al., TPAMI 2021, arXiv:2008.13751",
    ),
)


def named(name: str, *, limits: SpaceLimits) -> Candidate:
    """Return a network of the literature with the default recipe, sized for the limits.

    Raises
    ------
    UnknownNameError
        If there is no network of this name.
    """
    architecture = NETWORKS.load(name)(limits)
    return Candidate(architecture=architecture, recipe=default_recipe(limits), name=name)


def default_recipe(limits: SpaceLimits) -> Recipe:
    """Return the textbook recipe, with the nearest patch size and the first loss that the limits allow."""
    default = Recipe()
    patch = min(limits.patch_sizes, key=lambda size: abs(size - default.patch_size))
    loss = default.loss if default.loss in limits.losses else limits.losses[0]
    return default.model_copy(update={"patch_size": patch, "loss": loss})


def autoencoder(limits: SpaceLimits) -> Architecture:
    """Return the convolutional autoencoder."""
    return _encoder_decoder(limits, "plain", depth=1, skips="none", upsample="transpose", norm="batch")


def fcn(limits: SpaceLimits) -> Architecture:
    """Return FCN, its scores as features and fused at every scale."""
    return _encoder_decoder(limits, "plain", skips="add", decoder_depth=0, upsample="linear")


def segnet(limits: SpaceLimits) -> Architecture:
    """Return SegNet."""
    return _encoder_decoder(limits, "plain", skips="indices", norm="batch")


def unet(limits: SpaceLimits) -> Architecture:
    """Return U-Net, with the batch normalisation that its implementations have since gained."""
    return _encoder_decoder(limits, "plain", norm="batch", upsample="transpose")


def unet_resize(limits: SpaceLimits) -> Architecture:
    """Return U-Net with resize-convolutions."""
    return _encoder_decoder(limits, "plain", norm="batch", upsample="nearest")


def resunet(limits: SpaceLimits) -> Architecture:
    """Return ResUNet."""
    return _encoder_decoder(limits, "residual", downsample="stride", depth=1, norm="batch", upsample="linear")


def fc_densenet(limits: SpaceLimits) -> Architecture:
    """Return FC-DenseNet; a transition after each block keeps the widths at bay."""
    return _encoder_decoder(limits, "dense", norm="batch", upsample="transpose")


def unet_plus_plus(limits: SpaceLimits) -> Architecture:
    """Return U-Net++ without deep supervision."""
    return _encoder_decoder(limits, "plain", skips="nested", norm="batch", upsample="linear")


def deeplab(limits: SpaceLimits) -> Architecture:
    """Return DeepLabv3+; its branch of image pooling only where networks need not be local."""
    return _encoder_decoder(
        limits,
        "residual",
        levels=3,
        downsample="stride",
        depth=1,
        dilation=2,
        bottleneck="aspp" if limits.local_only else "aspp_global",
        upsample="linear",
        norm="batch",
    )


def dncnn(limits: SpaceLimits) -> Architecture:
    """Return DnCNN with fewer and narrower layers."""
    stage = Stage(block="plain", width=24, depth=8)
    return _architecture(limits, (stage,), skips="none", norm="batch", residual=_same_channels(limits))


def ffdnet(limits: SpaceLimits) -> Architecture:
    """Return FFDNet without its map of noise levels, and with DnCNN's residual."""
    stage = Stage(block="plain", width=32, depth=6, downsample="stride")
    return _architecture(limits, (stage,), skips="none", upsample="subpixel", residual=_same_channels(limits))


def drunet(limits: SpaceLimits) -> Architecture:
    """Return DRUNet without its map of noise levels, with one block a scale, and predicting the noise.

    It pools and interpolates where the publication has strided convolutions: these need longer training.
    """
    residual = _same_channels(limits)
    return _encoder_decoder(limits, "residual", depth=1, skips="add", upsample="nearest", residual=residual)


def _encoder_decoder(
    limits: SpaceLimits,
    block: Block,
    *,
    levels: int = 4,
    downsample: Downsample = "max",
    depth: int = 2,
    dilation: int = 1,
    **fields: Any,
) -> Architecture:
    """Return an architecture whose width doubles from level to level; only the last level is dilated."""
    levels = min(levels, limits.max_levels, min(limits.patch_sizes).bit_length() - 2)
    stages = tuple(
        Stage(
            block=block,
            width=_WIDTH * 2**level,
            depth=depth,
            downsample=downsample if level else "none",
            dilation=dilation if level == levels - 1 > 0 else 1,
        )
        for level in range(max(levels, 1))
    )
    return _architecture(limits, stages, **{"decoder_depth": depth, **fields})


def _same_channels(limits: SpaceLimits) -> bool:
    """Tell whether a residual has something to be added to."""
    return bool(limits.prefill) or limits.in_channels == limits.out_channels


def _architecture(limits: SpaceLimits, stages: tuple[Stage, ...], **fields: Any) -> Architecture:
    given = {name: getattr(limits, name) for name in ("ndim", "in_channels", "out_channels", "prefill")}
    return Architecture(stages=stages, **given, **fields)

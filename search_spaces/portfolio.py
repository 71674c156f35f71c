"""Known-good candidates to start a search from."""

from __future__ import annotations

from beamwright.search_spaces.networks import named
from beamwright.search_spaces.space import Candidate, SpaceLimits

__all__ = ["denoise_portfolio", "inpaint_portfolio"]

_SWIFT = {"learning_rate": 3e-3, "schedule": "one_cycle", "grad_clip": 1.0, "ema": 0.99}
"""What a few hundred steps are best spent on: a high rate that ends low, and an average that calms it."""
_WIDEST_PATCH = 96
"""Larger patches show no more of what is between two measured pixels [px]."""


def denoise_portfolio(limits: SpaceLimits) -> tuple[Candidate, ...]:
    """Return the textbook U-Net, then denoisers that learn in a few hundred steps, the best first.

    The order is that of comparisons at equal processor time, on atom lattices at ten electrons a pixel and
    on pairs of frames of a replica grating.
    """
    textbook = named("unet", limits=limits)
    swift = textbook.recipe.model_copy(update=_SWIFT)
    tuned = [named(name, limits=limits) for name in ("drunet", "unet_resize", "dncnn")]
    return (
        textbook,
        *(candidate.model_copy(update={"recipe": swift}) for candidate in tuned),
        named("deeplab", limits=limits),
    )


def inpaint_portfolio(limits: SpaceLimits) -> tuple[Candidate, ...]:
    """Return networks that see far, the textbook U-Net first; all of them start from the filled image."""
    textbook = named("unet", limits=limits)
    tuned = [named(name, limits=limits) for name in ("drunet", "unet_resize", "deeplab")]
    patch = max((size for size in limits.patch_sizes if size <= _WIDEST_PATCH), default=limits.patch_sizes[0])
    swift = textbook.recipe.model_copy(update={**_SWIFT, "patch_size": patch, "loss": limits.losses[0]})
    return (textbook, *(candidate.model_copy(update={"recipe": swift}) for candidate in tuned))

"""Known-good candidates to start a search from."""

from __future__ import annotations

from beamwright.search_spaces.networks import named
from beamwright.search_spaces.space import Candidate, SpaceLimits

__all__ = ["denoise_portfolio"]

_SWIFT = {"learning_rate": 3e-3, "schedule": "one_cycle", "grad_clip": 1.0, "ema": 0.99}
"""What a few hundred steps are best spent on: a high rate that ends low, and an average that calms it."""


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

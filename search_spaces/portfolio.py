"""Known-good candidates to start a search from."""

from __future__ import annotations

from beamwright.search_spaces.networks import named
from beamwright.search_spaces.space import Candidate, SpaceLimits

__all__ = ["denoise_portfolio"]


def denoise_portfolio(limits: SpaceLimits) -> tuple[Candidate, ...]:
    return (named("unet", limits=limits),)

"""The space of networks that complete images of few measured pixels."""

from __future__ import annotations

from beamwright.search_spaces.denoise import DenoiseSpace
from beamwright.search_spaces.parameters import Choice, Parameter
from beamwright.search_spaces.portfolio import inpaint_portfolio
from beamwright.search_spaces.space import Candidate, SpaceLimits

__all__ = ["InpaintSpace", "inpaint_space"]


def inpaint_space(limits: SpaceLimits) -> InpaintSpace:
    """Return the space of inpainting networks within the limits.

    Raises
    ------
    SpaceError
        If a fixed parameter does not exist or its value is outside the range.
    """
    return InpaintSpace(limits)


class InpaintSpace(DenoiseSpace):
    """The denoisers' space, looking further.

    At 4 % coverage the nearest measured pixels are three or more away, so that dilations go up to 8.
    Noise is part of the task's own data, not of the recipe.
    """

    def _table(self, limits: SpaceLimits) -> dict[str, Parameter]:
        wider: dict[str, Parameter] = {"dilation": Choice((2, 1, 4, 8)), "augment_noise": Choice((0.0,))}
        return super()._table(limits) | wider

    def _known_good(self, limits: SpaceLimits) -> tuple[Candidate, ...]:
        return inpaint_portfolio(limits)

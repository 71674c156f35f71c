"""Colours of the pictures: one calm dark palette, and colour maps for images."""

from __future__ import annotations

import functools

import numpy as np

__all__ = [
    "ACCENT",
    "BACKGROUND",
    "FAINT",
    "GOOD",
    "MUTED",
    "PANEL",
    "SERIES",
    "TEXT",
    "WARN",
    "Colour",
    "blend",
    "colour_map",
]

Colour = tuple[int, int, int]

BACKGROUND: Colour = (17, 21, 27)
PANEL: Colour = (27, 33, 42)
FAINT: Colour = (56, 65, 79)
MUTED: Colour = (142, 153, 168)
TEXT: Colour = (224, 229, 236)
ACCENT: Colour = (247, 178, 74)
GOOD: Colour = (82, 199, 163)
WARN: Colour = (242, 112, 104)
SERIES: tuple[Colour, ...] = (ACCENT, (106, 170, 252), GOOD, (198, 152, 250), WARN, (232, 214, 120))
"""Of lines that are shown together, told apart by the colour-blind too."""


def blend(colour: Colour, below: Colour, share: float) -> Colour:
    """Return a colour laid over another: 1 for the first, 0 for the second."""
    red, green, blue = (
        round(share * over + (1 - share) * under) for over, under in zip(colour, below, strict=True)
    )
    return red, green, blue


@functools.lru_cache(maxsize=16)
def colour_map(name: str) -> np.ndarray:
    """Return the 256 colours of one of matplotlib's colour maps, ``(256, 3)`` uint8."""
    if name == "gray":
        return np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    import matplotlib

    table = matplotlib.colormaps[name](np.arange(256), bytes=True)
    return np.ascontiguousarray(table[:, :3])

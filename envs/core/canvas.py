"""A picture that panels are drawn on: boxes, lines and text, always of the same size.

Lines and areas are drawn at twice the size and reduced at the end, which makes them smooth; text is
written afterwards, at its own size, which keeps it sharp.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from beamwright.envs.core.palette import BACKGROUND, MUTED, PANEL, TEXT, Colour

__all__ = ["Box", "Canvas", "Point", "extent", "number", "text_width", "widened"]

Point = tuple[float, float]  # (x, y) [px] of the finished picture, from the top left
_FINE = 2


class Box(NamedTuple):
    """A part of the picture [px], from the top left."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def inside(self, margin: float) -> Box:
        """Return the box without a margin on all sides."""
        return Box(self.left + margin, self.top + margin, self.width - 2 * margin, self.height - 2 * margin)

    def rows(self, *shares: float, gap: float = 10) -> list[Box]:
        """Return boxes below each other, with heights in the ratio of the shares."""
        unit = (self.height - gap * (len(shares) - 1)) / sum(shares)
        tops = self.top + np.cumsum([0, *(share * unit + gap for share in shares[:-1])])
        return [
            Box(self.left, float(top), self.width, share * unit)
            for top, share in zip(tops, shares, strict=True)
        ]

    def columns(self, *shares: float, gap: float = 10) -> list[Box]:
        """Return boxes beside each other, with widths in the ratio of the shares."""
        turned = Box(self.top, self.left, self.height, self.width).rows(*shares, gap=gap)
        return [Box(box.top, box.left, box.height, box.width) for box in turned]


class Canvas:
    """A picture in the making.

    Parameters
    ----------
    width, height
        Size of the finished picture [px]; even numbers, which videos need.
    title
        Written at the top left.
    note
        Written at the top right: where the episode stands.
    """

    def __init__(self, width: int = 960, height: int = 560, *, title: str = "", note: str = "") -> None:
        self.size = width, height
        self._image = Image.new("RGB", (width * _FINE, height * _FINE), BACKGROUND)
        self._draw = ImageDraw.Draw(self._image)
        self._texts: list[tuple[Point, str, Colour, int, bool, str]] = []
        self.text((14, 18), title, size=16, bold=True, anchor="lm")
        self.text((width - 14, 18), note, size=13, colour=MUTED, anchor="rm")

    @property
    def body(self) -> Box:
        """The part below the title."""
        width, height = self.size
        return Box(10, 36, width - 20, height - 46)

    def panel(self, box: Box, title: str = "", note: str = "") -> Box:
        """Draw the ground of a panel with its title and a note; return the part that is left to draw on."""
        self.rectangle(box, PANEL, radius=6)
        if not title and not note:
            return box.inside(8)
        self.text((box.left + 10, box.top + 14), title, size=13, bold=True, anchor="lm")
        self.text((box.right - 10, box.top + 14), note, size=12, colour=MUTED, anchor="rm")
        return Box(box.left + 8, box.top + 27, box.width - 16, box.height - 35)

    def rectangle(
        self, box: Box, fill: Colour | None, *, outline: Colour | None = None, radius: float = 0
    ) -> None:
        """Draw a rectangle, filled or as an outline."""
        corners = [_fine(box.left), _fine(box.top), _fine(box.right) - 1, _fine(box.bottom) - 1]
        if corners[2] >= corners[0] and corners[3] >= corners[1]:
            self._draw.rounded_rectangle(corners, _FINE * radius, fill=fill, outline=outline, width=_FINE)

    def line(self, points: Sequence[Point], colour: Colour, *, width: float = 1.5) -> None:
        """Draw a line through points."""
        if len(points) > 1:
            fine = [(_FINE * x, _FINE * y) for x, y in points]
            self._draw.line(fine, fill=colour, width=max(1, round(_FINE * width)), joint="curve")

    def disc(
        self, centre: Point, radius: float, fill: Colour | None, *, outline: Colour | None = None
    ) -> None:
        """Draw a disc or, without a filling, a ring."""
        x, y, fine = _FINE * centre[0], _FINE * centre[1], _FINE * radius
        self._draw.ellipse([x - fine, y - fine, x + fine, y + fine], fill=fill, outline=outline, width=3)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill an area."""
        self._draw.polygon([(_FINE * x, _FINE * y) for x, y in points], fill=fill)

    def paste(self, pixels: np.ndarray, box: Box) -> None:
        """Draw pixels ``(H, W, 3)`` uint8 over a box; the larger ones keep their edges."""
        size = max(1, _fine(box.width)), max(1, _fine(box.height))
        larger = pixels.shape[0] <= size[1]
        method = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
        self._image.paste(Image.fromarray(pixels).resize(size, method), (_fine(box.left), _fine(box.top)))

    def text(
        self,
        place: Point,
        text: str,
        *,
        size: int = 12,
        colour: Colour = TEXT,
        bold: bool = False,
        anchor: Literal["lm", "mm", "rm", "lt", "rt", "lb", "rb", "mb", "mt"] = "lm",
    ) -> None:
        """Write a line of text.

        Parameters
        ----------
        place
            Where, and `anchor` of which of its points: left, middle or right, then top, middle or bottom.
        text
            What to write.
        size
            Height of the letters [px].
        colour
            Of the letters.
        bold
            Whether to write thickly.
        anchor
            See `place`.
        """
        if text:
            self._texts.append((place, text, colour, size, bold, anchor))

    def picture(self) -> np.ndarray:
        """Return the finished picture, ``(height, width, 3)`` uint8."""
        image = self._image.reduce(_FINE)
        draw = ImageDraw.Draw(image)
        for place, text, colour, size, bold, anchor in self._texts:
            draw.text(
                place,
                text,
                fill=colour,
                font=_font(size, bold),
                anchor=anchor.replace("t", "a").replace("b", "d"),
            )
        return np.array(image)


def number(value: float, unit: str = "") -> str:
    """Return a quantity in three digits: ``-12.3 nm``, ``1.25M e-``."""
    size, text = abs(value), f"{value:.3g}"
    if size >= 1e4:
        divisor, letter = next(step for step in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if size >= step[0])
        text = f"{value / divisor:.3g}{letter}"
    elif size >= 1000:
        text = f"{value:.0f}"
    text = "0" if text == "-0" else text.replace("-", "\N{MINUS SIGN}")
    return f"{text} {unit}".rstrip()


def extent(values: np.ndarray) -> tuple[float, float]:
    """Return the smallest and the largest of some values, apart even where they are the same."""
    known = values[np.isfinite(values)]
    return widened(float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def widened(low: float, high: float) -> tuple[float, float]:
    """Return limits that are apart, by a thousandth of their size at least."""
    least = 1e-3 * max(abs(low), abs(high)) or 1.0
    return (low, high) if high - low >= least else (low - least / 2, low + least / 2)


def text_width(text: str, size: int = 12, *, bold: bool = False) -> float:
    """Return how wide a text will be [px]."""
    return float(_font(size, bold).getlength(text))


def _fine(length: float) -> int:
    return round(_FINE * length)


@functools.lru_cache(maxsize=16)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    import matplotlib  # brings a font that has Greek letters and the signs of units

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts/ttf", name)), size - 1)

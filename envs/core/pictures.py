"""Panels that show images: with a colour bar, a scale bar, and what lies over them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from beamwright.envs.core.canvas import Box, Canvas, Point, extent, number, text_width, widened
from beamwright.envs.core.palette import ACCENT, BACKGROUND, FAINT, MUTED, TEXT, Colour, blend, colour_map

__all__ = ["ImagePanel"]

_FOOTER = 18  # [px] below the image, for its colour bar


class ImagePanel:
    """An image in a panel. Points that are drawn over it are (y, x) in its own pixels.

    Parameters
    ----------
    canvas
        What to draw on.
    box
        The place of the whole panel.
    image
        ``(H, W)`` values, NaN where there are none, or ``(H, W, 3)`` uint8 colours.
    title
        What it is.
    note
        What is to be known about it, such as its error.
    colours
        A colour map of matplotlib.
    limits
        Values of the first and the last colour; by default those of the image.
    unit
        Of the values.
    pixel_size
        For a scale bar [nm].
    """

    def __init__(
        self,
        canvas: Canvas,
        box: Box,
        image: Any,
        *,
        title: str = "",
        note: str = "",
        colours: str = "gray",
        limits: tuple[float, float] | None = None,
        unit: str = "",
        pixel_size: float | None = None,
    ) -> None:
        self._canvas = canvas
        array = np.asarray(image)
        inner = canvas.panel(box, title, note)
        valued = array.ndim == 2
        self._shape = array.shape[:2]
        self._place = _fitted(inner, self._shape, _FOOTER if valued else 0)
        if valued:
            limits = widened(*limits) if limits else extent(array)
            canvas.paste(_coloured(array, colours, limits), self._place)
            self._colour_bar(colours, limits, unit)
        else:
            canvas.paste(array, self._place)
        if pixel_size is not None:
            self._scale_bar(pixel_size)

    def path(self, points: Any, *, colour: Colour = ACCENT, fade: float = 0.35, width: float = 2.0) -> None:
        """Draw a path ``(N, 2)``, from faint at its beginning to bright at its end."""
        places = self._places(points)
        if len(places) < 2:
            return
        self._canvas.line(places, BACKGROUND, width=width + 1.5)
        pieces = min(24, len(places) - 1)
        edges = np.linspace(0, len(places) - 1, pieces + 1).round().astype(int)
        for piece, (start, end) in enumerate(itertools.pairwise(edges)):
            share = fade + (1 - fade) * (piece + 1) / pieces
            self._canvas.line(places[start : end + 1], blend(colour, BACKGROUND, share), width=width)

    def points(self, points: Any, *, colour: Colour = ACCENT, radius: float = 2.0) -> None:
        """Draw points ``(N, 2)`` as discs."""
        for place in self._places(points):
            self._canvas.disc(place, radius, colour)

    def marker(self, point: Any, *, colour: Colour = ACCENT, radius: float = 5.0) -> None:
        """Draw a ring with a dark edge around a point ``(2,)``: where the beam is."""
        (place,) = self._places([point])
        self._canvas.disc(place, radius + 1.5, None, outline=BACKGROUND)
        self._canvas.disc(place, radius, None, outline=colour)
        self._canvas.disc(place, 1.5, colour)

    def arrow(self, start: Any, end: Any, *, colour: Colour = ACCENT, width: float = 2.0) -> None:
        """Draw an arrow from one point to another, both ``(2,)``."""
        (x0, y0), (x1, y1) = self._places([start, end])
        length = math.hypot(x1 - x0, y1 - y0)
        if length < 1:
            return
        along, size = ((x1 - x0) / length, (y1 - y0) / length), min(8.0, length)
        base = x1 - size * along[0], y1 - size * along[1]
        side = 0.45 * size * along[1], -0.45 * size * along[0]
        self._canvas.line([(x0, y0), base], BACKGROUND, width=width + 1.5)
        self._canvas.line([(x0, y0), base], colour, width=width)
        corners = [(x1, y1), (base[0] + side[0], base[1] + side[1]), (base[0] - side[0], base[1] - side[1])]
        self._canvas.polygon(corners, colour)

    def rectangle(
        self, top: float, left: float, height: float, width: float, *, colour: Colour = ACCENT
    ) -> None:
        """Draw the outline of a part of the image, in its pixels."""
        (x0, y0), (x1, y1) = self._places([(top - 0.5, left - 0.5), (top + height - 0.5, left + width - 0.5)])
        self._canvas.rectangle(Box(x0, y0, x1 - x0, y1 - y0), None, outline=colour)

    def _places(self, points: Any) -> list[Point]:
        """Return where points (y, x) lie in the picture; whole numbers are middles of pixels."""
        array = np.asarray(points, dtype=float).reshape(-1, 2)
        scale = self._place.height / self._shape[0], self._place.width / self._shape[1]
        x = self._place.left + (array[:, 1] + 0.5) * scale[1]
        y = self._place.top + (array[:, 0] + 0.5) * scale[0]
        x = x.clip(self._place.left, self._place.right)
        y = y.clip(self._place.top, self._place.bottom)
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def _colour_bar(self, colours: str, limits: tuple[float, float], unit: str) -> None:
        place, canvas = self._place, self._canvas
        negligible = 1e-3 * (limits[1] - limits[0])
        low, high = number(limits[0] if abs(limits[0]) > negligible else 0), number(limits[1], unit)
        middle = place.bottom + _FOOTER / 2 + 2
        canvas.text((place.left, middle), low, size=11, colour=MUTED)
        canvas.text((place.right, middle), high, size=11, colour=MUTED, anchor="rm")
        start, end = place.left + text_width(low, 11) + 6, place.right - text_width(high, 11) - 6
        if end - start > 20:
            canvas.paste(colour_map(colours)[None], Box(start, middle - 3, end - start, 6))

    def _scale_bar(self, pixel_size: float) -> None:
        """Draw a bar of a round length at the lower left, on a dark ground that any image bears."""
        place, canvas = self._place, self._canvas
        field = pixel_size * self._shape[1]  # [nm]
        length = _round_length(0.35 * field)
        width = length / field * place.width
        left, bottom = place.left + 6, place.bottom - 6
        canvas.rectangle(Box(left, bottom - 21, max(width, 34) + 12, 21), BACKGROUND, radius=3)
        canvas.rectangle(Box(left + 6, bottom - 6, width, 2.5), TEXT)
        label = number(length, "nm") if length < 1000 else number(length / 1000, "µm")
        canvas.text((left + 6, bottom - 13), label, size=11)


def _fitted(inner: Box, shape: Sequence[int], footer: float) -> Box:
    scale = min(inner.width / shape[1], (inner.height - footer) / shape[0])
    width, height = round(scale * shape[1]), round(scale * shape[0])
    left = round(inner.left + (inner.width - width) / 2)
    top = round(inner.top + (inner.height - footer - height) / 2)
    return Box(left, top, width, height)


def _coloured(array: np.ndarray, colours: str, limits: tuple[float, float]) -> np.ndarray:
    low, high = limits
    share = (array.astype(float) - low) / (high - low)
    known = np.isfinite(share)
    index = (np.where(known, share, 0).clip(0, 1) * 255).astype(np.uint8)
    pixels = colour_map(colours)[index]
    pixels[~known] = FAINT
    return pixels


def _round_length(length: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at most a length."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= length * (1 + 1e-9))

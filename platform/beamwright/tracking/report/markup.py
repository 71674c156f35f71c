"""Pieces of HTML; every text that comes in is escaped here, and only here."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from PIL import Image

from beamwright.tracking.report.base import as_payload

if TYPE_CHECKING:
    import numpy as np
    import plotly.graph_objects as go
    from numpy.typing import NDArray

__all__ = ["image", "note", "paragraph", "plot", "preformatted", "section", "table", "tile"]


def section(title: str, name: str, *parts: str) -> str:
    """Return a section with a heading that can be linked to."""
    return f'<section id="{name}">\n<h2>{escape(title)}</h2>\n' + "\n".join(parts) + "\n</section>"


def paragraph(text: str, style: str = "") -> str:
    """Return a paragraph."""
    return f'<p class="{style}">{escape(text)}</p>' if style else f"<p>{escape(text)}</p>"


def note(text: str, style: str = "") -> str:
    """Return a remark that stands out."""
    return f'<p class="note {style}">{escape(text)}</p>'


def tile(value: str, caption: str) -> str:
    """Return a figure with what it means."""
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(caption)}</span></div>'


def preformatted(text: str) -> str:
    """Return text as it is."""
    return f"<pre>{escape(text)}</pre>"


def table(
    heads: Sequence[str],
    rows: Iterable[tuple[str, Sequence[str]]],
    *,
    words: Iterable[int] = (),
    long: int = -1,
) -> str:
    """Return a table.

    Parameters
    ----------
    heads
        Headings of the columns.
    rows
        Class of each row, and its cells.
    words
        Columns of words, set to the left.
    long
        A column of sentences, which may wrap.
    """
    style = dict.fromkeys(words, ' class="word"') | {long: ' class="long"'}
    head = "".join(
        f"<th{' class=word' if index in style else ''}>{escape(text)}</th>"
        for index, text in enumerate(heads)
    )
    body = "\n".join(
        f'<tr class="{kind}">'
        + "".join(f"<td{style.get(index, '')}>{escape(text)}</td>" for index, text in enumerate(cells))
        + "</tr>"
        for kind, cells in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def plot(figure: go.Figure | None, *, crowd: bool = False, wide: bool = False) -> str:
    """Return a figure, which the page's script draws.

    Parameters
    ----------
    crowd
        Let the line under the pointer stand out.
    wide
        Scroll rather than squeeze on a narrow screen.
    """
    if figure is None:
        return ""
    crowded = " data-crowd" if crowd else ""
    height = int(figure.layout.height)
    drawn = (
        f'<div class="plot"{crowded} style="height:{height}px">'
        f'<script type="application/json">{as_payload(figure)}</script></div>'
    )
    return f'<div class="scroll wide">{drawn}</div>' if wide else drawn


def image(pixels: NDArray[np.uint8], description: str) -> str:
    """Return an 8-bit image (H, W), inside the page."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    content = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/png;base64,{content}" alt="{escape(description)}">'

"""Puts the report together."""

from __future__ import annotations

from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from beamwright import __version__
from beamwright.tracking.files import write_text
from beamwright.tracking.report import markup, results, sections
from beamwright.tracking.report.view import load_view

if TYPE_CHECKING:
    from beamwright.tracking.run import RunFolder

__all__ = ["write_report"]

_SECTIONS = (
    ("Leaderboard", results.leaderboard),
    ("Test split", results.test),
    ("Images", results.images),
    ("History", sections.history),
    ("Cost", sections.cost),
    ("Hyperparameters", sections.hyperparameters),
    ("Curves", sections.curves),
    ("Early stopping", sections.early_stopping),
    ("Data", results.data),
    ("Failures", sections.failures),
    ("Reproduce", results.reproduce),
)
# Nothing is fetched, whatever a name in the run contains; the page's own scripts are inline.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:"
)


def write_report(run: RunFolder) -> Path:
    """Write ``report.html``: one page that needs no network, about a run in whatever state it is.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    RunError
        If a file of the run is damaged.
    """
    view = load_view(run)
    parts = [results.headline(view), _links(), *(make(view) for _, make in _SECTIONS)]
    path = run.path / "report.html"
    write_text(path, _page(run.name, "\n".join(parts)))
    return path


def _page(title: str, body: str) -> str:
    from plotly.offline import get_plotlyjs

    written = f"Written by beamwright {__version__} on {datetime.now():%Y-%m-%d at %H:%M}."
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{markup.escape(title)}</title>
<link rel="icon" href="data:,">
<style>{_asset("report.css")}</style>
<script>{get_plotlyjs()}</script>
</head>
<body>
{body}
<footer>{markup.escape(written)}</footer>
<script>{_asset("report.js")}</script>
</body>
</html>
"""


def _links() -> str:
    links = "".join(f'<a href="#{make.__name__}">{name}</a>' for name, make in _SECTIONS)
    return f"<nav>{links}</nav>"


def _asset(name: str) -> str:
    return files("beamwright.tracking.report").joinpath(name).read_text(encoding="utf-8")

"""Bundles that come with the package, by their names."""

from __future__ import annotations

from pathlib import Path

from beamwright.errors import BundleError, did_you_mean

__all__ = ["SHIPPED", "find_bundle"]

SHIPPED = {path.stem: path for path in sorted((Path(__file__).parents[1] / "bundles").glob("*.zip"))}
"""``inpaint-96``: completes sparse scans of 96 x 96 px; trained by ``examples/inpaint-scan.yaml``."""


def find_bundle(name: str | Path) -> Path:
    """Return the path of a bundle: `name` itself if there is such a folder or file, else a shipped one.

    Raises
    ------
    BundleError
        If there is neither.
    """
    path = Path(name)
    if path.exists():
        return path
    if str(name) in SHIPPED:
        return SHIPPED[str(name)]
    raise BundleError(
        f'There is no bundle "{name}"; give the folder or the .zip that an export wrote, or the name of one '
        f"that is shipped: {', '.join(SHIPPED)}.{did_you_mean(str(name), SHIPPED)}"
    )

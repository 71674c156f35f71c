"""Numbers as people read them."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["compact", "duration", "figure", "file_size", "setting"]

_DASH = "–"  # noqa: RUF001  an en dash stands for "not measured"


def figure(value: float | None, digits: int = 2) -> str:
    """Return a measured figure with fixed decimals, so that columns align."""
    return _DASH if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def compact(value: float | None) -> str:
    """Return a count with three digits: ``950``, ``12.3 k``, ``1.20 M``."""
    if value is None:
        return _DASH
    for limit, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:.3g}{suffix}"
    return f"{value:.3g}"


def file_size(size: float | None) -> str:
    """Return a size in bytes as ``214 kB`` or ``1.3 MB``."""
    return _DASH if size is None else compact(size) + ("B" if size >= 1e3 else " B")


def duration(seconds: float | None) -> str:
    """Return a time as ``8.2 s``, ``3.4 min`` or ``1.2 h``."""
    if seconds is None:
        return _DASH
    for limit, unit in ((3600, "h"), (60, "min")):
        if seconds >= limit:
            return f"{seconds / limit:.1f} {unit}"
    return f"{seconds:.1f} s"


def setting(value: Any) -> str:
    """Return the value of a parameter: four digits of a number, ``yes`` or ``no`` of a switch."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(setting(item) for item in value)
    return _DASH if value is None else str(value)

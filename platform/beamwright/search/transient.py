"""What Ray may pickle but never needs back."""

from __future__ import annotations

from typing import Any

__all__ = ["Transient"]


class Transient:
    """An object that is pickled empty.

    Ray pickles all it is given, so that it could restore it. A run is resumed from its own folder, without
    a pickle, so nothing need be kept of what holds open files and terminals.
    """

    def __getstate__(self) -> dict[str, Any]:
        return {}

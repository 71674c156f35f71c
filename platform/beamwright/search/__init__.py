"""The search: Ray Tune drives the trials, Optuna suggests them, the run folder keeps them."""

from __future__ import annotations

from typing import Any

from beamwright.search.samplers import SAMPLERS
from beamwright.search.schedulers import SCHEDULERS

__all__ = ["SAMPLERS", "SCHEDULERS", "resume_search", "run_search"]


def __getattr__(name: str) -> Any:
    """Import ray, torch and optuna when a search is wanted, not when names are listed."""
    if name in ("resume_search", "run_search"):
        from beamwright.search import driver

        return getattr(driver, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

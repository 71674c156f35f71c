"""Networks and recipes as data, the spaces they come from, and the builder of modules."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from beamwright.search_spaces.architecture import Architecture, Stage
from beamwright.search_spaces.networks import NETWORKS, named
from beamwright.search_spaces.receptive import receptive_radius
from beamwright.search_spaces.recipe import Recipe
from beamwright.search_spaces.space import SPACES, Candidate, Space, SpaceLimits

if TYPE_CHECKING:
    from beamwright.search_spaces.builder import build
    from beamwright.search_spaces.cost import Cost, estimate_cost

__all__ = [
    "NETWORKS",
    "SPACES",
    "Architecture",
    "Candidate",
    "Cost",
    "Recipe",
    "Space",
    "SpaceLimits",
    "Stage",
    "build",
    "estimate_cost",
    "named",
    "receptive_radius",
]

# Listing names must not wait for torch.
_LAZY = {"build": "builder", "Cost": "cost", "estimate_cost": "cost"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)

"""Named settings of the scanning environments: what each says beyond the defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["PRESETS", "TILE_PRESETS"]

_LOCALISED = ("particle_cluster", "atom_cluster", "textured_flake")
_STATIONARY = ("lattice_with_defects", "membrane_texture", "porous")
_NOISE_FREE = {"poisson": False}
_FAULTS = {
    "readout": [0.0, 2.0],
    "lag": [0.0, 15.0],
    "line_jitter": [0.0, 0.1],
    "hum": [0.0, 0.15],
    "drift": {"low": 0.0, "high": 200.0, "held_out": (150.0, 200.0)},
    "diffusion": [0.0, 10.0],
    "damage_dose": {"low": 3e3, "high": 1e5, "log": True, "held_out": (3e3, 6e3)},
    "damage_residue": 0.3,
    "contamination": [0.0, 0.05],
    "blur": [0.1, 0.3],
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "ede-2020": {
        "shape": (96, 96),
        "specimen": {"classes": (*_LOCALISED, "particles_anywhere", *_STATIONARY), "pool": 512},
        "effects": _NOISE_FREE,
        "budget": {"coverage": 400 / 96**2},
        # sqrt(2) px apart, points of a segment lie in pixels of their own; float32 must not round it down
        "action": {"kind": "continuous", "points": 20, "spacing": math.sqrt(2) * (1 + 1e-5)},
        "reward": {"mode": "final", "edge": 0.05},
        "max_steps": 20,
    },
    "localised": {
        "shape": (96, 96),
        "specimen": {"classes": _LOCALISED, "pool": 512},
        "effects": _NOISE_FREE,
        "budget": {"coverage": 400 / 96**2},
    },
    "inpainted": {
        "shape": (96, 96),
        "specimen": {"classes": _LOCALISED, "pool": 512},
        "effects": _NOISE_FREE,
        "budget": {"coverage": 400 / 96**2},
        "reconstructor": {"kind": "bundle", "bundle": "inpaint-96"},
    },
    "stationary": {
        "shape": (96, 96),
        "specimen": {"classes": _STATIONARY, "pool": 512},
        "effects": _NOISE_FREE,
        "budget": {"coverage": 400 / 96**2},
    },
    "held-out": {
        "specimen": {
            "classes": (*_LOCALISED, "lattice_with_defects", "porous"),
            "held_out_classes": ("nanoparticles", "wulff_crystal", "membrane_texture"),
            "pool": 512,
        },
        "effects": {"readout": {"low": 0.0, "high": 3.0, "held_out": (2.0, 3.0)}},
    },
    "noisy": {
        "specimen": {"classes": ("particle_cluster", "textured_flake", "particles_anywhere"), "pool": 512},
        "pixel_size": 0.5,
        "current": 1.0,
        "effects": _FAULTS,
        "budget": {"coverage": 0.15},
        "action": {"dwell": (2.0, 20.0), "stop": True},
        "reward": {"price": 0.5},
    },
    "choices": {
        "action": {"points": (5, 24), "dwell": (5.0, 40.0), "stop": True},
        "reward": {"price": 0.5},
        "budget": {"coverage": 0.2},
    },
    "continuous": {
        "action": {"kind": "continuous", "points": (5, 24), "stop": True},
        "reward": {"price": 0.5},
    },
    "fast-vector": {"observation": {"kind": "vector"}, "effects": _NOISE_FREE},
    "images": {},
    "small": {
        "shape": (32, 32),
        "specimen": {"pool": 64},
        "action": {"points": 8, "headings": 16},
        "budget": {"coverage": 0.12},
    },
}
"""Of ``beamwright/SparseScan-v0``."""

TILE_PRESETS: Mapping[str, Mapping[str, Any]] = {
    "localised": {"specimen": {"classes": _LOCALISED, "pool": 512}},
    "stationary": {"specimen": {"classes": _STATIONARY, "pool": 512}},
    "row-blocks": {"tiles": {"shape": (4, 64)}, "survey": {"pattern": "raster", "coverage": 0.0625}},
    "noisy": {
        "specimen": {"classes": ("particle_cluster", "textured_flake", "particles_anywhere"), "pool": 512},
        "pixel_size": 0.5,
        "current": 1.0,
        "effects": {**_FAULTS, "flyback": [5.0, 50.0]},
        "tiles": {"stop": True},
        "reward": {"price": 0.5},
    },
    "fast-vector": {"observation": {"kind": "vector"}, "effects": _NOISE_FREE},
}
"""Of ``beamwright/SparseScanTiles-v0``."""

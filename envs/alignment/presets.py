"""Named configurations of the alignment environments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["IDEAL", "STEM_PRESETS", "TEM_PRESETS"]

Preset = Mapping[str, Any]

IDEAL: Preset = {"gain": 0.0, "coupling": 0.0, "play": 0.0, "operators": 1, "wander": 0.0}
"""A response that does what it is told."""

# The setting in which figures of optimisers and estimators were compared.
_LATTICE: Preset = {
    "counts": 9.9,
    "response": IDEAL,
    "drift": 0.0,
    "criterion": "strehl",
    "exposures": 10,
}
_THIRD_ORDER: Preset = {
    "C23a": (-300.0, 300.0),
    "C23b": (-300.0, 300.0),
    "C30": (-10_000.0, 10_000.0),
}
_SECOND_ORDER: Preset = {
    "C10": (-20.0, 20.0),
    "C12a": (-10.0, 10.0),
    "C12b": (-10.0, 10.0),
    "C21a": (-300.0, 300.0),
    "C21b": (-300.0, 300.0),
}

STEM_PRESETS: Mapping[str, Preset] = {
    "lattice": _LATTICE,
    "rect": {**_LATTICE, "specimen": {"classes": ["rect"]}},
    "honeycomb": {**_LATTICE, "specimen": {"classes": ["honeycomb"]}},
    "held-out": {**_LATTICE, "split": "test"},
    "commensurate": {
        **_LATTICE,
        "specimen": {"classes": ["rect"], "options": {"rect": {"commensurate": True}}},
    },
    "background": {**_LATTICE, "background": 0.6},
    "drift": {**_LATTICE, "drift": 0.75},
    "low-dose": {**_LATTICE, "counts": 1.0},
    "unmodelled": {**_LATTICE, "unmodelled": 0.25},
    "hysteresis": {**_LATTICE, "response": {**IDEAL, "play": 0.5, "operators": 4}},
    "coupled": {**_LATTICE, "response": {**IDEAL, "gain": 0.2, "coupling": 0.2}},
    "third-order": {
        "knobs": [*_SECOND_ORDER, *_THIRD_ORDER],
        "offsets": {**_SECOND_ORDER, **_THIRD_ORDER},
        "exposures": 20,
    },
    "tilt": {
        "knobs": ["C10", "C12a", "C12b", "tilt_y", "tilt_x"],
        "offsets": {"C10": (-20.0, 20.0), "C12a": (-10.0, 10.0), "C12b": (-10.0, 10.0), "C30": 1e6}
        | {"tilt_y": (-2.0, 2.0), "tilt_x": (-2.0, 2.0)},
        "aperture": 10.0,
        "sampling": 0.06,
        "target": {"C10": -50.0, "C30": 1e6},
        "diagnostic": [{"C10": 40.0, "tilt_x": 3.0}, {"C10": -40.0, "tilt_y": 3.0}],
    },
    "randomised": {
        "counts": {"low": 1.0, "high": 100.0, "log": True, "held_out": [3.0, 6.0]},
        "background": [0.0, 0.6],
        "drift": [0.0, 0.75],
        "unmodelled": [0.0, 0.25],
        "response": {
            "gain": 0.2,
            "coupling": 0.2,
            "rotation": 5.0,
            "play": [0.0, 0.5],
            "operators": 4,
            "settle": [0.0, 0.05],
            "wander": [0.0, 0.05],
        },
        "exposures": 20,
    },
    "planning": {"choose": ["defocus", "dwell"], "stop": True, "exposures": 20},
    "images": {"observation": "images"},
    "single": {"observation": "images", "diagnostic": [{}], "choose": ["defocus"], "exposures": 20},
    "vector": {"observation": "vector", "diagnostic": [{}], "choose": ["defocus"], "exposures": 60},
    "ronchigram": {
        "probe": "ronchigram",
        "observation": "images",
        "diagnostic": [{}],
        "choose": ["defocus"],
        "sampling": 0.04,
        "specimen": {
            "classes": ["amorphous_film"],
            "options": {"amorphous_film": {"thickness": [10.0, 20.0]}},
        },
        "counts": 200.0,
        "detected": 1.0,
        "offsets": {
            "C10": (-100.0, 100.0),
            "C12a": (-30.0, 30.0),
            "C12b": (-30.0, 30.0),
            "C21a": (-1000.0, 1000.0),
            "C21b": (-1000.0, 1000.0),
        },
        "setting_limit": 120.0,
        "exposures": 30,
    },
}
"""Configurations of `AlignSTEMEnv` by name."""

TEM_PRESETS: Mapping[str, Preset] = {
    "tableau": {"response": IDEAL},
    "images": {"observation": "images"},
    "vector": {"observation": "vector", "diagnostic": [{}], "choose": ["tilt"], "exposures": 60},
    "corrected": {
        "aperture": 20.0,
        "sampling": 0.06,
        "knobs": ["C10", "C12a", "C12b", "C21a", "C21b"],
        "offsets": {
            "C10": (-80.0, 20.0),
            "C12a": (-15.0, 15.0),
            "C12b": (-15.0, 15.0),
            "C21a": (-1000.0, 1000.0),
            "C21b": (-1000.0, 1000.0),
            "C30": (-5000.0, 5000.0),
        },
        "target": {"C10": -30.0},
        "diagnostic": [{}, *({name: tilt} for name in ("tilt_y", "tilt_x") for tilt in (12.0, -12.0))],
    },
    "low-dose": {"counts": 10.0},
    "coupled": {"response": {"gain": 0.2, "coupling": 0.2}},
    "hysteresis": {"response": {"play": 0.5, "operators": 4}},
    "randomised": {
        "counts": {"low": 10.0, "high": 1000.0, "log": True, "held_out": [30.0, 60.0]},
        "drift": [0.0, 1.0],
        "response": {
            "gain": 0.2,
            "coupling": 0.2,
            "rotation": 5.0,
            "play": [0.0, 0.5],
            "operators": 4,
            "settle": [0.0, 0.05],
            "wander": [0.0, 0.05],
        },
    },
    "planning": {"choose": ["tilt", "dwell"], "diagnostic": [{}], "stop": True, "exposures": 30},
}
"""Configurations of `AlignTEMEnv` by name."""

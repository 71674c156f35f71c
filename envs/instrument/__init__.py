"""Microscopes to fly, behind one protocol: the simulator, recorded images, Nion Swift's simulator."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from beamwright.envs.instrument.protocol import DETECTORS, Exposure, Frame, Limit, Microscope, Spent

if TYPE_CHECKING:
    from beamwright.envs.instrument.nion import NionMicroscope
    from beamwright.envs.instrument.recording import Recording
    from beamwright.envs.instrument.replay import ReplayMicroscope
    from beamwright.envs.instrument.simulated import SimulatedMicroscope, SimulatorConfig

__all__ = [
    "DETECTORS",
    "Exposure",
    "Frame",
    "Limit",
    "Microscope",
    "NionMicroscope",
    "Recording",
    "ReplayMicroscope",
    "SimulatedMicroscope",
    "SimulatorConfig",
    "Spent",
]

_HOMES = {
    "NionMicroscope": "nion",
    "Recording": "recording",
    "ReplayMicroscope": "replay",
    "SimulatedMicroscope": "simulated",
    "SimulatorConfig": "simulated",
}


def __getattr__(name: str) -> Any:
    """Import a backend when it is first asked for: the simulator brings torch, the others need none."""
    if name not in _HOMES:
        raise AttributeError(f'module "{__name__}" has no attribute "{name}"')
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

"""How an acquisition begins: in place and in focus, with everything about to move."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from beamwright.envs.core.config import draw
from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.corrector import CorrectorState, draw_corrector, rest
from beamwright.envs.microscope.drift import Drift, draw_drift
from beamwright.envs.track_drift.config import TrackDriftConfig

__all__ = ["AXES", "draw_motion", "draw_noise", "draw_steering"]

AXES = ("shift_y", "shift_x", "C10")
"""What drifts and is corrected."""


def draw_motion(config: TrackDriftConfig, streams: Streams) -> Drift:
    """Return the drift of the specimen along y and x and that of the focus [nm]."""
    specimen = draw_drift(
        streams,
        speed=draw(config.speed, streams, split=config.split),
        diffusion=draw(config.diffusion, streams, split=config.split),
        settling=draw(config.settling, streams, split=config.split),
    )
    way = 1 - 2.0 * streams.integers(low=0, high=2)  # (B,)
    focus_speed = draw(config.focus_speed, streams, split=config.split) * way
    focus_diffusion = draw(config.focus_diffusion, streams, split=config.split)
    along = specimen.diffusion
    return replace(
        specimen,
        position=torch.zeros(streams.count, 3, device=streams.device),
        velocity=torch.cat([specimen.velocity, focus_speed[:, None]], dim=1),
        diffusion=torch.stack([along, along, focus_diffusion], dim=1),
    )


def draw_steering(config: TrackDriftConfig, streams: Streams) -> CorrectorState:
    """Return shifts and focus at zero, in units of their tolerances."""
    response = config.steering
    corrector = draw_corrector(
        streams,
        AXES,
        gain=response.gain,
        coupling=response.coupling,
        rotation=math.radians(response.rotation),
        play=draw(response.play, streams, split=config.split),
        settle=draw(response.settle, streams, split=config.split),
    )
    return rest(corrector, torch.zeros(streams.count, len(AXES), device=streams.device))


def draw_noise(config: TrackDriftConfig, streams: Streams) -> Tensor:
    """Return standard deviations of measured offsets, ``(B, 3)`` [nm]."""
    position = draw(config.position_noise, streams, split=config.split)
    focus = draw(config.focus_noise, streams, split=config.split)
    return torch.stack([position, position, focus], dim=1)

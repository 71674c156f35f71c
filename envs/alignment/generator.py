"""How an episode begins: a specimen, a misalignment, and a response that nobody knows."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.config import TILTS, AlignConfig
from beamwright.envs.core.config import Range, draw
from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.corrector import CorrectorState, draw_corrector, rest
from beamwright.envs.microscope.drift import Drift, draw_drift

__all__ = ["draw_corrector_state", "draw_fixed", "draw_specimen_drift"]


def draw_fixed(column: Column, streams: Streams) -> Tensor:
    """Return tilts [mrad] and coefficients [nm] that no knob touches, ``(B, 2 + N)``.

    Coefficients to third order that the configuration does not name are normally distributed, by its
    ``unmodelled`` radians over the aperture.
    """
    config = column.config
    names = [name for name in (*TILTS, *column.names) if name not in config.knobs]
    values = {name: _misalignment(config, name, streams) for name in names if name in config.offsets}
    if config.unmodelled:
        spread = draw(config.unmodelled, streams, split=config.split)  # (B,)
        unnamed = [name for name in names if name not in (*config.offsets, *TILTS)]
        numbers = streams.normal(len(unnamed))  # (B, U)
        values |= {name: spread * numbers[:, i] / column.radians[name] for i, name in enumerate(unnamed)}
    zero = torch.zeros(streams.count, device=streams.device)
    return torch.stack([values.get(name, zero) for name in (*TILTS, *column.names)], dim=1)


def draw_corrector_state(column: Column, streams: Streams) -> CorrectorState:
    """Return knobs at zero, and what they are to put right [rad]."""
    config, response = column.config, column.config.response
    offset = torch.stack([_misalignment(config, name, streams) for name in config.knobs], dim=1)  # (B, K)
    values = {name: getattr(response, name) for name in ("play", "settle", "wander", "trend")}
    corrector = draw_corrector(
        streams,
        config.knobs,
        gain=response.gain,
        coupling=response.coupling,
        rotation=torch.full((streams.count,), response.rotation, device=streams.device).deg2rad(),
        operators=response.operators,
        **{name: draw(value, streams, split=config.split) for name, value in values.items()},
    )
    return rest(corrector, offset * column.unit)


def draw_specimen_drift(config: AlignConfig, streams: Streams) -> Drift:
    """Return a drift in a random direction."""
    return draw_drift(
        streams,
        speed=draw(config.drift, streams, split=config.split),
        diffusion=draw(config.diffusion, streams, split=config.split),
    )


def _misalignment(config: AlignConfig, name: str, streams: Streams) -> Tensor:
    varied: float | Range = config.offsets.get(name, 0.0)
    return draw(varied, streams, split=config.split)

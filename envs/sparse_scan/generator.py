"""How an episode begins: a specimen, the faults of the day, a budget, and perhaps a survey."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from beamwright.envs.core import Range, Streams, draw
from beamwright.envs.instrument.protocol import Microscope
from beamwright.envs.microscope.budget import Budget
from beamwright.envs.microscope.drift import Drift, draw_drift
from beamwright.envs.microscope.points import to_lengths
from beamwright.envs.microscope.scanning import Beam
from beamwright.envs.microscope.specimens import specimen_pool
from beamwright.envs.sparse_scan.config import ScanConfig
from beamwright.envs.sparse_scan.effects import highest
from beamwright.envs.sparse_scan.hidden import choose_view, look, with_atoms
from beamwright.envs.sparse_scan.physics import electrons_per_point
from beamwright.envs.sparse_scan.types import KNOTS, Atoms, ScanState
from beamwright.errors import MicroscopeError

__all__ = ["Generator", "episode_limit"]

_DRAWN = (
    "efficiency",
    "gain",
    "readout",
    "afterglow",
    "lag",
    "flyback",
    "line_jitter",
    "hum",
    "damage_dose",
    "contamination",
    "knock_on_dose",
)
_NEUTRAL = {"efficiency": 1.0, "gain": 1.0, "damage_dose": None, "knock_on_dose": None}


class Generator:
    """Begins episodes.

    Parameters
    ----------
    config
        The configuration.
    shortest
        Shortest dwell of an action [us], in which coverage is counted.
    steps
        Actions that an episode can have at most.
    start
        Where the beam begins: ``centre`` or ``random``.
    tiles
        Number of tiles; None where the beam moves in segments.
    scope
        A microscope that is flown instead of the simulated one.
    device
        Of the simulation.
    """

    def __init__(
        self,
        config: ScanConfig,
        *,
        shortest: float,
        steps: int,
        start: str,
        tiles: int | None,
        scope: Microscope | None,
        device: torch.device,
    ) -> None:
        self._config, self._shortest, self._steps = config, shortest, steps
        self._start, self._tiles, self._scope, self._device = start, tiles, scope, device
        self._pool = (
            specimen_pool(
                config.specimen,
                shape=config.shape,
                pixel_size=config.pixel_size,
                split=config.split,
                device=str(device),
            )
            if scope is None
            else None
        )
        self._sampling = math.nan if scope is None else _pixel_size(config, scope)  # [nm]
        self.kinds: tuple[str, ...] = () if self._pool is None else self._pool.kinds

    def begin(self, streams: Streams) -> ScanState:
        """Return states in which nothing was measured; what is made of the measurements is still missing."""
        config, count = self._config, streams.count
        specimen, kind, pixel_size, atoms = self._specimen(streams)
        position = self._position(streams)
        effects = self._effects(streams)
        zeros = torch.zeros(count, *config.shape, device=self._device)
        nothing = torch.zeros(count, device=self._device)
        damaged = "damage_dose" in effects or "contamination" in effects
        return ScanState(
            specimen=specimen,
            pixel_size=pixel_size,
            kind=kind,
            counts=zeros,
            dose=zeros,
            exposed=zeros if damaged else None,
            atoms=atoms,
            reconstruction=zeros,
            predicted=None,
            error=nothing,
            judged=nothing,
            position=position,
            heading=nothing,
            beam=Beam.at(to_lengths(position[:, None], pixel_size)[:, 0]),
            drift=self._drift(streams),
            glow=nothing if "afterglow" in effects else None,
            effects=effects,
            budget=self._budget(streams),
            points=nothing.long(),
            steps=nothing.long(),
            visited=None if self._tiles is None else zeros.new_zeros(count, self._tiles, dtype=torch.bool),
            trail=zeros.new_full((count, self._steps, KNOTS, 2), math.nan) if self._tiles is None else None,
            history=zeros.new_full((count, self._steps + 1), math.nan),
        )

    def _specimen(self, streams: Streams) -> tuple[Tensor, Tensor, Tensor, Atoms | None]:
        """Return the signal, class and pixel size of specimens, and their atoms where these may leave."""
        config, count = self._config, streams.count
        if self._pool is None:
            unknown = torch.full((count, *config.shape), math.nan, device=self._device)
            kind = torch.full((count,), -1, device=self._device)
            return unknown, kind, torch.full((count,), self._sampling, device=self._device), None
        drawn = self._pool.draw(streams)
        view = choose_view(drawn, config, streams)
        signal = look(drawn, view)
        atoms = None if config.effects.knock_on_dose is None else with_atoms(drawn, view, signal)
        return signal, drawn.kind, drawn.pixel_size, atoms

    def _position(self, streams: Streams) -> Tensor:
        height, width = self._config.shape
        if self._start == "centre" or self._tiles is not None:
            centre = torch.tensor([height // 2, width // 2], dtype=torch.float32, device=self._device)
            return centre.expand(streams.count, 2)
        return streams.uniform(2) * torch.tensor([height - 1.0, width - 1.0], device=self._device)

    def _effects(self, streams: Streams) -> dict[str, Tensor]:
        """Draw what is on; the keys depend on the configuration alone."""
        config = self._config
        on = {name: getattr(config.effects, name) for name in _DRAWN}
        on = {name: value for name, value in on.items() if _is_on(value, _NEUTRAL.get(name, 0.0))}
        drawn = {name: draw(value, streams, split=config.split) for name, value in on.items()}
        if "hum" in drawn:
            drawn["hum_angle"], drawn["hum_phase"] = streams.uniform(2, high=2 * math.pi).unbind(-1)
        return drawn

    def _drift(self, streams: Streams) -> Drift | None:
        effects, split = self._config.effects, self._config.split
        if self._scope is not None or not (_is_on(effects.drift) or _is_on(effects.diffusion)):
            return None
        speed, diffusion = (draw(value, streams, split=split) for value in (effects.drift, effects.diffusion))
        return draw_drift(streams, speed=speed, diffusion=diffusion)

    def _budget(self, streams: Streams) -> Budget:
        config, limits = self._config, self._config.budget
        electrons, seconds = (
            math.inf if value is None else draw(value, streams, split=config.split).double()
            for value in (limits.electrons, limits.seconds)
        )
        if limits.coverage is not None:
            share = draw(limits.coverage, streams, split=config.split).double()
            points = (share * (config.shape[0] * config.shape[1])).round()
            electrons = points * electrons_per_point(config, self._shortest).to(points.device)
        return Budget.of(electrons, seconds, streams.count, device=self._device)


def _is_on(value: float | Range | None, neutral: float | None = 0.0) -> bool:
    return value != neutral


def _pixel_size(config: ScanConfig, scope: Microscope) -> float:
    """Return the pixel size with which a field lies in that of a microscope.

    Raises
    ------
    MicroscopeError
        If it does not fit.
    """
    largest = min(reach / size for reach, size in zip(scope.field, config.shape, strict=True))
    size = config.pixel_size or largest
    if size > largest * (1 + 1e-9):
        raise MicroscopeError(
            f"A field of {config.shape[0]} x {config.shape[1]} pixels of {size:g} nm is larger than that "
            f"of {scope.name}, {scope.field[0]:g} x {scope.field[1]:g} nm; set pixel_size to at most "
            f"{largest:g}."
        )
    return size


def episode_limit(config: ScanConfig, *, shortest: float, cheapest: float) -> int:
    """Return the actions after which an episode is truncated.

    Parameters
    ----------
    config
        The configuration.
    shortest
        Dwell time in which coverage is counted [us].
    cheapest
        Dwell time of the cheapest whole action [us].
    """
    if config.max_steps is not None:
        return config.max_steps
    limits, pixels = config.budget, config.shape[0] * config.shape[1]
    times = []  # [us]
    if limits.seconds is not None:
        times.append(highest(limits.seconds) * 1e6)
    if limits.electrons is not None:
        times.append(highest(limits.electrons) / float(electrons_per_point(config, 1.0)))
    if limits.coverage is not None:
        times.append(highest(limits.coverage) * pixels * shortest)
    return max(1, math.ceil(2 * min(times) / cheapest))

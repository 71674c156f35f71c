"""What a fit has to find out: the misalignment, and what else the configuration says may vary."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.quasirandom import SobolEngine

from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.config import TILTS, AlignConfig
from beamwright.envs.core.config import Range

__all__ = ["Parameters", "Settings", "parameters_of"]

_WIDE = 1.0
"""Prior of a known misalignment [rad]: it is only known as well as the configuration is."""


@dataclass(frozen=True)
class Settings:
    """What was done in E exposures of B episodes.

    Parameters
    ----------
    knobs
        Settings, temporary changes included, ``(B, E, K)`` [rad].
    others
        Tilts [mrad] and coefficients [nm] that were changed without a knob, ``(B, E, 2 + N)``.
    times
        Since the first exposure, ``(B, E)`` [s].
    """

    knobs: Tensor
    others: Tensor
    times: Tensor

    def repeated(self, count: int) -> Settings:
        """Return each episode so many times in a row."""
        return Settings(*(part.repeat_interleave(count, 0) for part in (self.knobs, self.others, self.times)))

    def rows(self, start: int, stop: int) -> Settings:
        """Return a part of the episodes."""
        return Settings(self.knobs[start:stop], self.others[start:stop], self.times[start:stop])


@dataclass(frozen=True)
class Parameters:
    """The P parameters of a fit, in this order, and what is known of them beforehand.

    * the misalignment of the K knobs [rad];
    * the U other aberrations that vary from column to column [rad];
    * what the response of the knobs differs from what it should be, K x K, row by row, if it does;
    * the velocity of the specimen along y and x, if it drifts [nm/s].

    Parameters
    ----------
    column
        Whose knobs they are.
    others
        Names of the U other aberrations.
    response, velocity
        Whether these are parameters.
    middle, spread
        Expectation and standard deviation, ``(P,)``.
    uniform
        Whether a parameter is evenly distributed over ``middle +- sqrt(3) spread``, else normally, ``(P,)``.
    """

    column: Column
    others: tuple[str, ...]
    response: bool
    velocity: bool
    middle: Tensor
    spread: Tensor
    uniform: Tensor

    @property
    def knobs(self) -> int:
        """Number of knobs, K."""
        return len(self.column.config.knobs)

    @property
    def local(self) -> int:
        """Number of quantities that an exposure shows beside the place of the specimen, ``K + U``."""
        return self.knobs + len(self.others)

    def draw(self, count: int) -> Tensor:
        """Return points spread evenly over what may be, ``(count, P)``; the response is as it should be."""
        free = self.middle.shape[0] - self.knobs**2 * self.response
        unit = SobolEngine(free, scramble=True, seed=0).draw(count).to(self.middle.device)
        if self.response:
            middle = torch.full((count, self.knobs**2), 0.5, device=unit.device)
            unit = torch.cat([unit[:, : self.local], middle, unit[:, self.local :]], dim=1)
        unit = unit.clamp(1e-4, 1 - 1e-4)
        normal = math.sqrt(2) * torch.erfinv(2 * unit - 1)
        return self.middle + self.spread * torch.where(self.uniform, math.sqrt(12) * (unit - 0.5), normal)

    def quantities(self, values: Tensor, settings: Settings) -> Tensor:
        """Return what knobs and other aberrations came to in each exposure, ``(B, E, K + U)`` [rad]."""
        knobs = values[:, None, : self.knobs] + torch.einsum("bij,bej->bei", self.matrix(values), settings.knobs)
        others = values[:, None, self.knobs : self.local].expand(-1, knobs.shape[1], -1)
        return torch.cat([knobs, others], dim=-1)

    def shifts(self, values: Tensor, settings: Settings) -> Tensor:
        """Return how far the specimen has drifted, ``(B, E, 2)`` [nm]."""
        if not self.velocity:
            return settings.times[..., None] * values.new_zeros(2)
        return settings.times[..., None] * values[:, None, -2:]

    def matrix(self, values: Tensor) -> Tensor:
        """Return the response of the knobs, ``(B, K, K)``."""
        ideal = torch.eye(self.knobs, device=values.device).expand(len(values), -1, -1)
        if not self.response:
            return ideal
        return ideal + values[:, self.local : self.local + self.knobs**2].unflatten(1, (self.knobs, self.knobs))

    def slopes(self, by_quantity: Tensor, by_shift: Tensor, settings: Settings) -> Tensor:
        """Return derivatives by parameters, from those by quantities and shifts.

        Parameters
        ----------
        by_quantity
            ``(B, E, K + U, M)``.
        by_shift
            Along y and x, ``(B, E, 2, M)`` [1/nm].
        settings
            Of the exposures.

        Returns
        -------
        Tensor
            ``(B, E, P, M)``.
        """
        parts = [by_quantity]
        if self.response:
            knobs = by_quantity[:, :, : self.knobs, None]  # (B, E, K, 1, M)
            parts.append((knobs * settings.knobs[:, :, None, :, None]).flatten(2, 3))
        if self.velocity:
            parts.append(by_shift * settings.times[..., None, None])
        return torch.cat(parts, dim=2)

    def corrections(self, values: Tensor, setting: Tensor) -> Tensor:
        """Return how the knobs have to be turned, ``(B, K)`` [rad].

        Parameters
        ----------
        values
            ``(B, P)``.
        setting
            Where the knobs stand, ``(B, K)`` [rad].
        """
        matrix = self.matrix(values)
        now = values[:, : self.knobs] + torch.einsum("bij,bj->bi", matrix, setting)
        return torch.linalg.solve(matrix, self.wanted - now)

    @property
    def wanted(self) -> Tensor:
        """What the knobs' quantities are in an aligned column, ``(K,)`` [rad]."""
        column = self.column
        return column.unit * torch.tensor(
            [column.config.target.get(name, 0.0) for name in column.config.knobs], device=column.device
        )


def parameters_of(column: Column) -> Parameters:
    """Return the parameters that a fit of this column has."""
    config = column.config
    knobs = [_known(config, name, column.radians[name]) for name in config.knobs]
    others = _others(column)
    rest = [_known(config, name, column.radians[name]) for name in others]
    response, size = config.response, len(config.knobs)
    has_response = bool(response.gain or response.coupling or response.rotation)
    matrix = [(0.0, _response(config, i == j), False) for i in range(size) for j in range(size)] * has_response
    speed = _largest(config.drift)
    velocity = [(0.0, speed / math.sqrt(2), False)] * (2 if speed else 0)
    table = [*knobs, *rest, *matrix, *velocity]
    middle, spread, uniform = (torch.tensor(part, device=column.device) for part in zip(*table, strict=True))
    return Parameters(column, others, has_response, bool(speed), middle, spread, uniform)


def _others(column: Column) -> tuple[str, ...]:
    """Return the aberrations that vary and are no knobs, tilts apart."""
    config = column.config
    free = [name for name in column.names if name not in config.knobs]
    return tuple(
        name
        for name in free
        if isinstance(config.offsets.get(name), Range) or (config.unmodelled and name not in config.offsets)
    )


def _known(config: AlignConfig, name: str, unit: float) -> tuple[float, float, bool]:
    """Return expectation, standard deviation, and whether the distribution is even [rad]."""
    varied = config.offsets.get(name)
    if isinstance(varied, Range):
        return (varied.low + varied.high) / 2 * unit, (varied.high - varied.low) / math.sqrt(12) * unit, True
    if varied is None and name not in config.knobs and name not in TILTS:
        return 0.0, _largest(config.unmodelled), False
    return (varied or 0.0) * unit, _WIDE, False


def _response(config: AlignConfig, own: bool) -> float:
    """Return the standard deviation of an entry of the response."""
    if own:
        return max(config.response.gain, 1e-3) / math.sqrt(3)
    turn = math.sin(math.radians(min(config.response.rotation, 45.0)))
    return max(math.hypot(config.response.coupling, turn), 1e-3) / math.sqrt(3)


def _largest(varied: float | Range) -> float:
    return varied.high if isinstance(varied, Range) else varied

"""What exposures are expected to show: transfer functions of an aberrated column, and their derivatives."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from beamwright.agents.baselines.align_parameters import Parameters, Settings
from beamwright.envs.alignment import AlignSTEMConfig, AlignTEMConfig
from beamwright.envs.alignment.config import TILTS, AlignConfig
from beamwright.envs.alignment.shifting import displaced
from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.probe import probe_transfer
from beamwright.envs.microscope.transfer import phase_transfer
from beamwright.errors import MicroscopeError

__all__ = ["ExposureModel"]

_STEP = 0.02
"""Of the finite differences: far below the radian over which a transfer function changes, far above what float32
resolves [rad]."""
_MOST = 2048
"""Transfer functions that are computed at once."""


class ExposureModel:
    """Transfer functions of exposures: each exposure is the same unknown specimen times one of them, plus noise.

    Parameters
    ----------
    parameters
        What they depend on.

    Raises
    ------
    MicroscopeError
        If the exposures are Ronchigrams, which are not linear in the specimen.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.parameters, column = parameters, parameters.column
        config: AlignConfig = column.config
        if isinstance(config, AlignSTEMConfig) and config.probe != "image":
            raise MicroscopeError(
                f"A fit of transfer functions needs images, and probe is {config.probe!r}; set probe to image, or "
                "search for a figure of merit (nelder-mead, coordinates)."
            )
        self.column = column
        self.grid = Grid((config.size, config.size), config.sampling)
        self._phase, self._moves = isinstance(config, AlignTEMConfig), config.tilts() or parameters.velocity
        names = (*TILTS, *column.names)
        fixed = [0.0 if name in config.knobs or name in parameters.others else config.nominal(name) for name in names]
        self._fixed = torch.tensor(fixed, device=column.device)  # (2 + N,)
        self._scatter = torch.zeros(len(parameters.others), len(names), device=column.device)
        for row, name in enumerate(parameters.others):
            self._scatter[row, names.index(name)] = 1 / column.radians[name]
        y, x = self.grid.frequencies(column.device, half=True)
        waves = torch.stack(torch.broadcast_tensors(y, x)).float() * (-2 * math.pi)
        self.ramps = waves.flatten(1)
        """Phase of a shift by one nanometre along y and x, ``(2, M)`` [rad/nm], with all M modes of ``rfft2``."""

    def transfers(self, values: Tensor, settings: Settings) -> Tensor:
        """Return transfer functions, ``(B, E, M)`` complex.

        Parameters
        ----------
        values
            ``(B, P)``.
        settings
            Of the E exposures of B episodes.
        """
        quantities = self.parameters.quantities(values, settings)  # (B, E, L)
        moved = self.parameters.shifts(values, settings)
        return self._pieces(quantities, settings.others, moved)

    def with_slopes(self, values: Tensor, settings: Settings, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return transfer functions at some modes, and their derivatives by the parameters.

        Parameters
        ----------
        values
            ``(B, P)``.
        settings
            Of the E exposures of B episodes.
        index
            The modes, ``(B, m)``.

        Returns
        -------
        tuple of Tensor
            ``(B, E, m)`` and ``(B, E, P, m)``, complex.
        """
        quantities = self.parameters.quantities(values, settings)[:, :, None]  # (B, E, 1, L)
        count = quantities.shape[-1]
        steps = torch.zeros(count + 1, count, device=values.device)
        steps[1:] = _STEP * torch.eye(count, device=values.device)
        shape = (*quantities.shape[:2], count + 1)
        others, moved = (
            part[:, :, None].expand(*shape, -1).flatten(1, 2)
            for part in (settings.others, self.parameters.shifts(values, settings))
        )
        found = self._pieces((quantities + steps).flatten(1, 2), others, moved, index).unflatten(1, shape[1:])
        here, slopes = found[:, :, 0], (found[:, :, 1:] - found[:, :, :1]) / _STEP  # (B, E, m), (B, E, L, m)
        ramps = self.ramps[:, index].movedim(0, 1)[:, None]  # (B, 1, 2, m)
        by_shift = here[:, :, None] * torch.complex(torch.zeros_like(ramps), ramps)
        return here, self.parameters.slopes(slopes, by_shift, settings)

    def _pieces(self, quantities: Tensor, others: Tensor, moved: Tensor, index: Tensor | None = None) -> Tensor:
        """Return transfer functions of ``(B, E, ...)`` exposures, some episodes at a time, ``(B, E, M or m)``."""
        at_once = max(1, _MOST // quantities.shape[1])
        pieces = []
        for start in range(0, len(quantities), at_once):
            rows = slice(start, start + at_once)
            found = self._transfers(*(part[rows].flatten(0, 1) for part in (quantities, others, moved)))
            found = found.flatten(1).unflatten(0, (-1, quantities.shape[1]))
            if index is not None:
                found = found.gather(2, index[rows, None].expand(-1, quantities.shape[1], -1))
            pieces.append(found)
        return torch.cat(pieces)

    def _transfers(self, quantities: Tensor, others: Tensor, moved: Tensor) -> Tensor:
        """Return transfer functions of N exposures, ``(N, H, W // 2 + 1)``."""
        column, knobs = self.column, self.parameters.knobs
        fixed = self._fixed + others + quantities[:, knobs:] @ self._scatter
        aberrations, shift = column.aberrations(fixed, quantities[:, :knobs])
        transfer = phase_transfer if self._phase else probe_transfer
        seen = transfer(aberrations, column.names, column.optics, self.grid)
        return displaced(seen, shift + moved, self.grid) if self._moves else seen



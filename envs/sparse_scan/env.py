"""The two scanning environments; the docstrings of the single ones are their manuals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import torch

from beamwright.envs.core import MicroscopeEnv, MicroscopeVectorEnv, Simulation, scatter_rows, take_rows
from beamwright.envs.instrument.protocol import Microscope
from beamwright.envs.sparse_scan.config import SparseScanConfig, SparseScanTilesConfig
from beamwright.envs.sparse_scan.presets import PRESETS, TILE_PRESETS
from beamwright.envs.sparse_scan.simulation import (
    ScanSimulation,
    SparseScanSimulation,
    SparseScanTilesSimulation,
)
from beamwright.errors import MicroscopeError, did_you_mean

__all__ = ["SparseScanEnv", "SparseScanTilesEnv", "SparseScanTilesVectorEnv", "SparseScanVectorEnv"]


class _ScanEnv(MicroscopeEnv):
    """A single scanning environment: it can fly a microscope, and a path before the first action."""

    def __init__(
        self,
        *,
        preset: str | None = None,
        render_mode: str | None = None,
        microscope: Microscope | None = None,
        **overrides: Any,
    ) -> None:
        self._microscope = microscope
        super().__init__(preset=preset, render_mode=render_mode, **overrides)

    def _simulate(self) -> Simulation[Any]:
        simulation: Simulation[Any] = type(self).simulation(self.config, scope=self._microscope)
        return simulation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Parameters
        ----------
        seed
            Of the random stream; without one it goes on where it is.
        options
            ``path``: points ``(N, 2)`` [px] that the beam measures first, (y, x), at the shortest dwell and
            on the same budget; the first segment then begins where it ends.

        Raises
        ------
        MicroscopeError
            If there is another option, or if the path leaves the field.
        """
        path = _path(options, known=("path",))
        seen = super().reset(seed=seed)
        if path is None:
            return seen
        with torch.no_grad():
            simulation = cast(ScanSimulation, self.simulation)
            self.state = simulation.follow(self.state, path, self._running())
        return self._seen()


class _ScanVectorEnv(MicroscopeVectorEnv):
    """Many scanning environments in one simulator."""

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every environment, or in those of a mask.

        Parameters
        ----------
        seed
            ``s`` for ``s, s + 1, ...``, or one for each environment; without one its stream goes on.
        options
            ``reset_mask``: booleans ``(B,)``, which environments to begin anew. ``path``: as in the single
            environment, the same for all that begin.

        Raises
        ------
        MicroscopeError
            If there is another option, or if the path leaves the field.
        """
        path = _path(options, known=("path", "reset_mask"))
        mask = self._mask(options)
        seen = super().reset(seed=seed, options=options)
        if path is None:
            return seen
        index, streams = np.flatnonzero(mask), self._running()
        rows = torch.from_numpy(index).to(self.simulation.device)
        with torch.no_grad():
            simulation, taken = cast(ScanSimulation, self.simulation), streams.take(rows)
            part = simulation.follow(take_rows(self.state, rows), path, taken)
            streams.put(rows, taken)
            self.state = scatter_rows(self.state, rows, part)
        return self._seen(mask)


class SparseScanEnv(_ScanEnv):
    """Where shall the beam go next? A hidden specimen is measured along a path of straight segments.

    **Purpose.** Electrons harm and time is short, so only a few per cent of a field can be measured, and
    the rest is reconstructed. Where a specimen is localised in an empty field, choosing the path by what
    was found so far beats every fixed path; where it is the same everywhere, it cannot, and a good agent
    falls back to a fixed one.

    **Action space.** With ``action.kind: headings`` a ``Discrete(A)``: action ``(d * lengths + l) *
    headings + h`` measures a segment with heading ``2 pi h / headings`` (0 along x, a quarter towards y,
    downwards), the l-th length and the d-th dwell. Lengths and dwells are one each, unless
    ``action.points`` or ``action.dwell`` is a range: then there are ``action.levels`` on a logarithmic
    scale. With ``action.stop`` the last action ends the scan. With ``action.kind: continuous`` a ``Box(-1,
    1)``: direction (y, x), whatever its length; then, as far as enabled, length, dwell (on a logarithmic
    scale), and a wish to stop (above 0). Segments that would leave the field are masked; one that is flown
    all the same is cut at the edge, where at least one point is measured.

    **Observation space.** With ``observation.kind: maps`` a ``Dict``:

    ===============  ==================  =====================================================================
    key              shape               what
    ===============  ==================  =====================================================================
    ``maps``         (C, H, W) float32   those of ``observation.maps``: measured signal (0 where there is
                                         none), mask, dose in visits at the shortest dwell, reconstruction,
                                         and the root of the predicted squared error; squares of
                                         ``observation.pool`` pixels are averaged
    ``numbers``      (10,) float32       those of `NUMBERS`: position of the beam and direction of the last
                                         segment in [-1, 1], shares of electrons, seconds and steps that are
                                         left, visits per pixel, mean signal, RMS of the predicted error
    ``scores``       (A,) float32        mean predicted squared error under each action (in continuous mode,
                                         each heading), blurred, relative to the best: argmax is greedy
    ``action_mask``  (A,) int8           1 for actions that stay inside; only for discrete actions
    ===============  ==================  =====================================================================

    The signal is what the counts say of the specimen, 1 for its brightest place: counts / (gain *
    efficiency * electrons). With ``observation.kind: vector`` all is one ``Box``: numbers, scores, mask,
    and each map averaged to ``observation.grid`` rows and columns;
    ``env.unwrapped.simulation.observer.layout`` says where. ``error`` and ``scores`` are left out where the
    reconstructor predicts no error.

    **Reward.** With e the mean squared error of the reconstruction: the drop of ln(e + floor)
    (``reward.mode: log_mse``), the drop of e (``mse``), or -e at the end (``final``, as in [1]_).
    ``reward.price`` is the worth of the whole budget; the share that a step spends of it is subtracted, so
    that stopping pays when the error no longer falls fast enough. This telescopes, hence slicing a path
    into more steps gains nothing; ``reward.per_cost`` divides each drop by its electrons instead, for
    bandits and one-step methods. ``reward.edge`` punishes segments that would leave the field.

    **Start.** A specimen of the pool, turned or mirrored; faults, drift and budget are drawn from their
    ranges. The beam is in the centre (``action.start: random``: anywhere). A ``survey``, if configured, or
    the ``path`` of ``reset(options={"path": points})`` is measured first; a path that leaves the field is
    an error.

    **End.** Terminated when the electrons or the seconds are spent or the agent stops; truncated after
    ``max_steps``. The last segment is cut where the budget ends.

    **Info.** ``error`` and ``psnr`` [dB] of the reconstruction, ``kind`` (index into
    ``simulation.generator.kinds``), ``coverage`` (share of pixels visited), ``points``, ``electrons``,
    ``seconds`` [s], ``steps``. The first three are hidden truth.

    **The scan.** Points lie ``action.spacing`` apart. The deflectors lag, hum and jitter, and the specimen
    drifts on the scan's own clock, so that the image warps; counts are put where the beam was meant to be.
    Dose where it really was removes mass and deposits carbon, and with ``effects.knock_on_dose`` atoms
    leave, each (a column as one) with the probability 1 - exp(-dose / knock_on_dose) of every exposure, in
    the classes that have atoms: clusters of atoms, crystals and lattices. The error is measured against
    the fresh specimen, as the probe shows it. Every effect is off at zero (damage and knock-on at null) and
    drawn per episode where it is a range (`EffectsConfig`).

    **Imaging.** The signal is that of dark field (``imaging: haadf``), or with ``secondary_electron`` that
    of a surface whose relief is the dark-field signal, an eighth of the shorter edge of the field high at
    the brightest place: edges and ridges are bright. Such a signal knows no mass loss and no contamination.

    Parameters
    ----------
    preset
        ``ede-2020``: 96x96, 20 segments of 20 points, sqrt(2) px apart: 400 pixels, 4.34 %, as in [1]_;
        noise-free, continuous directions, reward at the end. ``localised``, ``stationary``: the same
        coverage in segments of 20 px with 32 headings, on specimens where adapting pays, and where it
        cannot. ``inpainted``: ``localised`` with the trained reconstructor ``inpaint-96``.
        ``held-out``: classes and readout noise that training never sees, in the split ``test``.
        ``noisy``: few electrons, lag, hum, jitter, drift, damage and contamination, choice of dwell,
        and stop. ``choices``: discrete lengths and dwells, and stop. ``continuous``: direction, length
        and stop. ``fast-vector``: vector observations without noise. ``images``: the defaults.
        ``small``: 32x32, for tests.
    render_mode
        ``rgb_array``, ``human`` or None.
    microscope
        Fly its ``scan``, at its beam current, instead of the simulation (`beamwright.envs.instrument`). The
        specimen is then unknown: ``error`` and ``psnr`` are NaN, ``kind`` is -1, and the reward uses the
        predicted error. ``effects.efficiency`` must say which share of the electrons the brightest place
        sends to the detector, for it turns counts into signal.
    **overrides
        Fields of `SparseScanConfig`: ``shape``, ``effects={"lag": 5.0}``, ``split="test"`` and so on.

    Raises
    ------
    MicroscopeError
        If the configuration breaks a rule, or the field does not fit in that of the microscope.

    References
    ----------
    .. [1] J. M. Ede, Adaptive partial scanning transmission electron microscopy with reinforcement learning,
       arXiv:2004.02786.
    """

    simulation, config, presets = SparseScanSimulation, SparseScanConfig, PRESETS


class SparseScanVectorEnv(_ScanVectorEnv):
    """Many of `SparseScanEnv` in one simulator; the manual is there."""

    simulation, config, presets = SparseScanSimulation, SparseScanConfig, PRESETS


class SparseScanTilesEnv(_ScanEnv):
    """Which part deserves the electrons? After a coarse survey of low dose, tiles are scanned one by one.

    **Purpose.** The discrete sibling of `SparseScanEnv`, for instruments that scan rectangles and not
    paths, and for agents that choose among places instead of moving: the beam jumps.

    **Action space.** ``Discrete(T)``: the tile to scan, counted row by row from the upper left; tiles have
    ``tiles.shape`` rows and columns, and with as many columns as the field they are blocks of rows. With
    ``tiles.stop`` the last action ends the scan. Tiles that were scanned before are masked (none is, once
    all were); one that is chosen all the same is scanned again.

    **Observation space.** As in `SparseScanEnv`; ``scores`` are the mean predicted squared error of each
    tile, relative to the largest, 0 for tiles that are masked. In ``numbers`` the position is the last
    pixel that was scanned.

    **Reward.** As in `SparseScanEnv`; ``reward.edge`` punishes the choice of a tile that is masked.

    **Start.** A ``survey`` of the whole field, by default every fiftieth pixel on a grid, is measured on
    the same budget.

    **End.** Terminated when the budget is spent or the agent stops; the last tile is cut where the budget
    ends. Truncated after ``max_steps``.

    **The scan.** A tile is scanned line by line, at a pause of ``effects.flyback`` before each line, or to
    and fro (``tiles.serpentine``). All else is as in `SparseScanEnv`, ``info`` too.

    Parameters
    ----------
    preset
        ``localised``, ``stationary``: specimens where adapting pays, and where it cannot.
        ``row-blocks``: blocks of four rows instead of tiles, after a raster of every sixteenth line.
        ``noisy``: few electrons, lag, flyback, hum, jitter, drift, damage and contamination, and stop.
        ``fast-vector``: vector observations without noise.
    render_mode, microscope
        As in `SparseScanEnv`.
    **overrides
        Fields of `SparseScanTilesConfig`.

    Raises
    ------
    MicroscopeError
        If the configuration breaks a rule, or the field does not fit in that of the microscope.
    """

    simulation, config, presets = SparseScanTilesSimulation, SparseScanTilesConfig, TILE_PRESETS


class SparseScanTilesVectorEnv(_ScanVectorEnv):
    """Many of `SparseScanTilesEnv` in one simulator; the manual is there."""

    simulation, config, presets = SparseScanTilesSimulation, SparseScanTilesConfig, TILE_PRESETS


def _path(options: Mapping[str, Any] | None, *, known: tuple[str, ...]) -> np.ndarray | None:
    """Return the path that options ask for, if any, after a look at the options."""
    options = options or {}
    for name in options:
        if name not in known:
            raise MicroscopeError(
                f'reset() knows no option "{name}".{did_you_mean(name, known)} Known: {", ".join(known)}.'
            )
    if options.get("path") is None:
        return None
    path = np.asarray(options["path"], dtype=np.float32)
    if path.ndim != 2 or path.shape[1] != 2 or not len(path):
        raise MicroscopeError(
            f"A path is a list of points (y, x) [px], of shape (N, 2), not {path.shape}; give at least one."
        )
    return path

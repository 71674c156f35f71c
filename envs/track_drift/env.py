"""The drift-tracking environment; the class docstring is its manual."""

from __future__ import annotations

import functools
from typing import Any, cast

from beamwright.envs.core import MicroscopeEnv, MicroscopeVectorEnv
from beamwright.envs.instrument import Microscope
from beamwright.envs.track_drift.config import PRESETS, TrackDriftConfig
from beamwright.envs.track_drift.flown import FlownField
from beamwright.envs.track_drift.simulation import TrackSimulation

__all__ = ["TrackDriftEnv", "TrackDriftVectorEnv"]


class TrackDriftEnv(MicroscopeEnv):
    """Hold a field of view in place and in focus during a long acquisition, while everything drifts.

    After a stage has moved, the specimen creeps for minutes, ever more slowly, and never rests; the focus
    follows the temperature. Maps of spectra, tilt series and long averages need both held. Here an agent
    corrects position and focus before every frame, and says when a frame is worth a *reference exposure*:
    two short images, under and over focus, that tell where the field is, but cost time and dose.

    Physics: the specimen's velocity, in a random direction, dies away exponentially; position and focus also
    do random walks. Corrections are a little wrong, coupled and turned against the image. Patches are
    incoherent images with Poisson counts, which the defocused probe blurs; nothing moves within one.

    Action space
    ------------
    ``Box``: change of the shift along y and x [nm], within ``move_limit``, and of the focus [nm], within
    ``focus_limit``; with ``ask: true`` also whether to take a reference exposure after this frame, in
    [-1, 1]: above 0. A shift of ``+d`` moves the image by ``+d``: the best action is the negative offset.

    Observation space
    -----------------
    With ``observation: offsets`` a ``Box``, float32, with places in ``env.simulation.view.places``:

    * ``settings``: corrections so far, along y, along x and of the focus [nm];
    * ``age``: frames since the last reference exposure;
    * ``left``: share of the frames that are to come;
    * ``measured``: the offsets that it showed along y, along x and of the focus, with noise of the standard
      deviations ``position_noise`` and ``focus_noise`` [nm]. Those were the offsets then, not now.

    With ``observation: images`` a ``Dict`` of ``picture`` (3, H, W), counts: the reference patch, taken
    before anything drifted, and the last exposures under and over focus; and ``vector``, as above without
    ``measured``.

    Reward
    ------
    For each frame, less the mean over its time of ``|position error|^2 / position_tolerance^2 +
    focus error^2 / focus_tolerance^2``, at most ``error_limit``; less ``cost`` where there was a reference
    exposure. A specimen that is lost forfeits ``error_limit`` for each frame that would still have come.

    Start and end
    -------------
    An episode begins in place, in focus, with a reference exposure just taken. It is terminated when the
    specimen has left the margin around the patch, and truncated after ``steps`` frames.

    Info
    ----
    ``position_error`` [nm], ``offsets`` (true, along y, x and of the focus [nm]), ``strehl`` and
    ``phase_error`` [rad] of the defocus, ``within_limits`` (position within its tolerance and focus within a
    quarter wave), ``exposures`` and ``electrons`` of references, ``seconds``, and ``aberrations`` (C10 [nm]).

    Arguments
    ---------
    ``preset``, ``render_mode``, and the fields of `TrackDriftConfig`. ``microscope``: a `Microscope` to fly
    instead of the simulation, with ``observation: images``; it acquires a frame in each step, its truth is
    not known, so infos are not-a-number and rewards only costs.

    Presets
    -------
    * ``linear``: steady drift, corrected exactly: what a Kalman filter is made for.
    * ``walk``: random walks without a direction, with a held-out range.
    * ``backlash``: corrections that do nothing after they reverse, up to two tolerances.
    * ``images``, ``low-dose``: reference patches instead of measured offsets, at 10 and 1 counts a pixel.
    * ``costly``: references ten times as dear; ``always``: one in every step, for nothing.

    References
    ----------
    R. E. Kalman, Journal of Basic Engineering 82 (1960) 35-45: the best linear tracker.
    """

    simulation, config, presets = TrackSimulation, TrackDriftConfig, PRESETS

    def __init__(
        self,
        *,
        preset: str | None = None,
        render_mode: str | None = None,
        microscope: Microscope | None = None,
        **overrides: Any,
    ) -> None:
        self.microscope = microscope
        super().__init__(preset=preset, render_mode=render_mode, **overrides)

    def _simulate(self) -> TrackSimulation:
        config = cast(TrackDriftConfig, self.config)
        if self.microscope is None:
            return TrackSimulation(config)
        return TrackSimulation(config, functools.partial(FlownField, microscope=self.microscope))


class TrackDriftVectorEnv(MicroscopeVectorEnv):
    """Many of `TrackDriftEnv` in one simulator."""

    simulation, config, presets = TrackSimulation, TrackDriftConfig, PRESETS

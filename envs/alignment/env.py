"""The alignment environments; the class docstrings are their manuals."""

from __future__ import annotations

import functools
from typing import Any

from beamwright.envs.alignment.config import AlignConfig
from beamwright.envs.alignment.flown import FlownBench
from beamwright.envs.alignment.presets import STEM_PRESETS, TEM_PRESETS
from beamwright.envs.alignment.simulation import AlignSimulation
from beamwright.envs.alignment.variants import AlignSTEMConfig, AlignTEMConfig
from beamwright.envs.core import MicroscopeEnv, MicroscopeVectorEnv
from beamwright.envs.instrument import Microscope

__all__ = ["AlignSTEMEnv", "AlignSTEMVectorEnv", "AlignTEMEnv", "AlignTEMVectorEnv"]


class _AlignEnv(MicroscopeEnv):
    """What both single environments share: a microscope may take the place of the simulation."""

    simulation = AlignSimulation

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

    def _simulate(self) -> AlignSimulation:
        config: AlignConfig = self.config
        if self.microscope is None:
            return AlignSimulation(config)
        return AlignSimulation(config, functools.partial(FlownBench, microscope=self.microscope))


class AlignSTEMEnv(_AlignEnv):
    """Align a probe-forming column: focus, stigmators, coma, and more, from few noisy exposures.

    An operator of an aberration-corrected scanning microscope turns knobs until the probe is sharp. Here an
    agent does, through a response that it does not know (knobs are a little wrong and coupled, have
    hysteresis, settle and drift), with a budget of exposures. In each step it corrects and then exposes,
    by default a *diagnostic pair*: two images for which focus and coma are changed on purpose, since one
    image of an unknown specimen cannot tell the sign of an aberration, and neither can two symmetric ones.

    Physics: a specimen is imaged incoherently by a probe with aberrations to third order or higher (or its
    Ronchigram is taken), with Poisson counts, background, and drift from one exposure to the next. Within
    an exposure nothing moves. With ``margin: 0`` the field repeats itself.

    Action space
    ------------
    ``Box``, in this order:

    * one correction for each of the K knobs [rad], within ``step_limit``: the change of the phase at the edge
      of the aperture, so that all knobs weigh alike; a ``tilt`` counts by the coma ``3 C30 tilt`` it makes;
    * with ``choose: [defocus]`` the change of the focus during the exposures [rad], within ``defocus_limit``;
    * with ``choose: [dwell]`` the dwell as a power of two, within ``dwell_limit``;
    * with ``choose: [tilt]`` the tilt of the beam during the exposures along y and x [mrad];
    * with ``stop: true`` whether to end the episode, in [-1, 1]: above 0 the corrections are made, nothing is
      exposed, and the episode ends.

    Observation space
    -----------------
    ``Dict`` of ``picture`` and ``vector``; with ``observation: vector`` the vector alone.

    ``picture``, float32, is one of

    * ``cross_spectrum`` (5, H, W/2 + 1): of a pair, in the order of ``rfft2``; with ``D1``, ``D2`` the
      transforms, s the total counts and ``t = |D1|^2 + |D2|^2 + 8 s`` the channels are ``(|D1|^2 - s) / t``,
      ``(|D2|^2 - s) / t``, real and imaginary part of ``D1 conj(D2) / t``, and
      ``log((|D1|^2 + |D2|^2) / 2s + 0.3) / 5``: in the first four the specimen cancels;
    * ``spectrum`` (E, H, W/2 + 1): ``log(|D|^2 / s + 0.3) / 5`` of each exposure;
    * ``images`` (E, H, W): counts.

    ``vector``, float32, is, with places in ``env.simulation.view.places``:

    * ``settings``: the K settings as commanded, which an unknown response stands behind [rad];
    * ``choice``: what the last action chose of its exposures;
    * ``left``: share of the exposures that are left;
    * ``figures``, with ``observation: vector``: for each exposure the logarithm of power over shot noise in
      rings of spatial frequency, each cut into directions;
    * ``belief``, with an ``estimator``: mean and logarithm of the standard deviation of what each knob has
      to put right [rad].

    Reward
    ------
    Decrease of ``log sqrt(error^2 + error_floor^2)``, the error being the phase's root mean square over the
    aperture [rad]; less ``cost`` per exposure of normal dwell; plus ``success_reward`` for ending aligned.

    Start and end
    -------------
    An episode begins with knobs at zero, a specimen and a misalignment drawn from ``offsets``, and exposures
    of it. It is terminated when the column has been aligned (``criterion``: every knob's aberration within
    a quarter wave, or the Strehl ratio above ``strehl``) for ``hold`` steps in a row, or, with ``stop:
    true``, when the agent says so; and with the correction that follows the last exposures. So 10 exposures
    in pairs allow 5 corrections, the last of which is judged without being seen. It is never truncated.

    Info
    ----
    ``strehl``, ``phase_error`` [rad], ``within_limits`` (quarter waves), ``success``, ``exposures``,
    ``electrons`` (on the specimen), ``seconds``, ``aberrations`` (the truth, in the order of
    ``env.simulation.column.names`` [nm]) and ``misalignment`` (what each knob has to put right [rad]).

    Arguments
    ---------
    ``preset``, ``render_mode``, and the fields of `AlignSTEMConfig`, among them ``knobs``, ``offsets``,
    ``response``, ``specimen``, ``diagnostic``, ``observation``, ``estimator`` and ``split`` (``test`` shows
    the specimens and ranges that training holds out). ``microscope``: a `Microscope` to fly instead of the
    simulation; its truth is not known, so infos are not-a-number and rewards only costs.

    Presets
    -------
    * ``lattice``: random lattices with an ideal response and 9.9 counts a pixel, the setting in which
      optimisers and estimators were compared; success is a Strehl ratio of 0.8.
    * What breaks estimators there, one at a time: ``rect`` and ``honeycomb`` lattices, both as ``held-out``,
      ``commensurate`` ones, ``background`` of 60 %, ``drift`` of 3 pixels from one exposure to the next,
      ``low-dose`` (1 count a pixel), ``unmodelled`` aberrations of 0.25 rad, ``hysteresis``, and ``coupled``
      knobs (20 %). ``randomised`` has all of these at once, with held-out ranges.
    * Other knobs: ``third-order`` (C23 and C30 too), ``tilt`` (an uncorrected column, coma by beam tilt).
    * Other exposures: ``images`` of the pair, ``single`` ones with a chosen focus, ``vector`` with figures of
      sharpness, ``ronchigram`` of an amorphous film.
    * ``planning``: the agent chooses focus and dwell of its exposures and when to stop.

    Figures
    -------
    In ``lattice`` episodes begin at a median Strehl ratio of 0.05. What is known of the setting that it
    follows, as share of episodes at 0.8 or more: Nelder-Mead 35 %, Bayesian optimisation 50 % and CMA-ES 5 %
    after 60 exposures; an estimator on the cross-spectrum 96 % on ``rect`` lattices after 10.

    References
    ----------
    M. Haider, S. Uhlemann and J. Zach, Ultramicroscopy 81 (2000) 163-175: quarter-wave limits.
    A. J. Pattison et al., npj Computational Materials (2025): Bayesian optimisation of image sharpness.
    J. Kaiser et al., Scientific Reports 14 (2024) 15733: learned optimisers for tuning an accelerator.
    """

    config, presets = AlignSTEMConfig, STEM_PRESETS


class AlignSTEMVectorEnv(MicroscopeVectorEnv):
    """Many of `AlignSTEMEnv` in one simulator."""

    simulation, config, presets = AlignSimulation, AlignSTEMConfig, STEM_PRESETS


class AlignTEMEnv(_AlignEnv):
    """Align an imaging column from Thon rings: focus, astigmatism, and coma by the tilt of the beam.

    The power spectrum of an amorphous film shows dark rings where the contrast transfer is zero: their
    radii tell the defocus, their shape the astigmatism. Coma does not show, as the rings are even; but a
    tilted beam turns coma into astigmatism and defocus, so a *tableau* of tilted exposures tells it. In each
    step the agent corrects, then exposes such a tableau: by default one untilted image and four with the
    beam tilted by 6 mrad, towards and away along y and x.

    Physics: linear phase contrast of a weak object through all aberrations, with envelopes of temporal and
    spatial coherence; the aberration function is expanded exactly about the tilted beam, including the
    shift of the image. Spherical aberration C30 and a tilt t make coma ``3 C30 t``, astigmatism ``C30 t^2``
    and defocus, so that coma is corrected by the tilt of the beam. Counts are Poisson.

    Action space
    ------------
    As that of `AlignSTEMEnv`; the default knobs are C10, C12a, C12b, tilt_y and tilt_x.

    Observation space
    -----------------
    As that of `AlignSTEMEnv`; the default ``picture`` is ``spectrum`` (E, H, W/2 + 1), in which Thon rings
    are dark, in the order of ``rfft2`` and of ``diagnostic``.

    Reward, start, end and info
    ---------------------------
    As those of `AlignSTEMEnv`. Aligned is relative to ``target``: a focus of -100 nm, at which rings show,
    and the spherical aberration that this column cannot correct. The limits are those of phases within
    ``aperture``, here the angle to which images are to be interpretable.

    Arguments
    ---------
    As those of `AlignSTEMEnv`, with the fields of `AlignTEMConfig`.

    Presets
    -------
    * ``tableau``: an ideal response.
    * ``corrected``: a column with C30 corrected and knobs for coma; tilts are only diagnostic.
    * ``images``: the images of the tableau; ``vector``: single exposures at a chosen tilt, figures only.
    * ``low-dose``, ``coupled``, ``hysteresis``, ``randomised``: what makes it harder.
    * ``planning``: single exposures; the agent chooses their tilt and dwell, and when to stop.

    References
    ----------
    F. Zemlin, K. Weiss, P. Schiske, W. Kunath and K.-H. Herrmann, Ultramicroscopy 3 (1978) 49-60.
    F. Thon, Zeitschrift fuer Naturforschung A 21 (1966) 476-478.
    """

    config, presets = AlignTEMConfig, TEM_PRESETS


class AlignTEMVectorEnv(MicroscopeVectorEnv):
    """Many of `AlignTEMEnv` in one simulator."""

    simulation, config, presets = AlignSimulation, AlignTEMConfig, TEM_PRESETS

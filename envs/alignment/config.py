"""What both alignment environments can be told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from beamwright.envs.alignment.estimator import Estimator
from beamwright.envs.alignment.limits import check_limits
from beamwright.envs.alignment.nesting import over_defaults
from beamwright.envs.alignment.tilt import closed_under_tilt
from beamwright.envs.core.config import EnvConfig, Frozen, Range, Varied
from beamwright.envs.microscope.aberrations import ABERRATIONS
from beamwright.envs.microscope.specimens import SpecimenConfig
from beamwright.errors import did_you_mean

__all__ = ["TILTS", "AlignConfig", "Choice", "Diagnostic", "Offsets", "Picture", "ResponseConfig"]

TILTS = ("tilt_y", "tilt_x")
"""The knobs that are not coefficients, but angles of the beam [mrad]."""
_KNOWN = (*(one.name for one in ABERRATIONS), *TILTS)

Picture = Literal["cross_spectrum", "spectrum", "images"]
Choice = Literal["defocus", "dwell", "tilt"]
Offsets = dict[str, Varied]
Diagnostic = dict[str, float]


class ResponseConfig(Frozen):
    """How knobs answer: what the agent does not know and has to live with."""

    gain: float = Field(0.0, ge=0, lt=1)
    """Largest error of a knob's own effect, as a share."""
    coupling: float = Field(0.0, ge=0, lt=1)
    """Largest effect of a knob on what another one is for, as a share."""
    rotation: float = Field(0.0, ge=0, le=180)
    """Largest angle between the axes of the knobs and those of the optics [degrees]."""
    play: Varied = 0.0
    """Half-width of the hysteresis: how far a knob turns with less effect after it reverses [rad]."""
    operators: int = Field(1, ge=1, le=16)
    """1 is the backlash of a mechanism, which rests within its play; more are a magnet's hysteresis."""
    settle: Varied = 0.0
    """Time constant with which a knob follows [s]."""
    wander: Varied = 0.0
    """Random walk of what each knob adjusts: standard deviation after one second [rad]."""
    trend: Varied = 0.0
    """Largest steady drift of what each knob adjusts [rad/s]."""

    @model_validator(mode="after")
    def _check(self) -> ResponseConfig:
        check_limits(self, "play", "settle", "wander", "trend")
        return self


class AlignConfig(EnvConfig):
    """What both alignment environments can be told."""

    voltage: float = 200.0
    """Accelerating voltage [kV]."""
    aperture: float = 25.0
    """Semi-angle within which the phase is to be flat [mrad]."""
    focal_spread: float = 0.0
    """Standard deviation of the defocus by the energy spread [nm]."""
    knobs: tuple[str, ...] = ("C10", "C12a", "C12b", "C21a", "C21b")
    """What the agent turns: aberration coefficients, ``tilt_y`` and ``tilt_x``."""
    offsets: Offsets = Field(default_factory=dict)
    """Misalignment at the start: aberrations [nm] and tilt of the beam [mrad], by name."""
    target: dict[str, float] = Field(default_factory=dict)
    """What aligned means, where it is not zero, by coefficient [nm]."""
    unmodelled: Varied = 0.0
    """Standard deviation of each coefficient to third order that `offsets` do not name [rad]."""
    response: ResponseConfig = ResponseConfig()
    """How knobs answer."""
    step_limit: float = Field(16.0, gt=0)
    """Largest correction of a knob in one step [rad]."""
    setting_limit: float = Field(60.0, gt=0)
    """Largest setting of a knob, either way [rad]; beyond, it stays where it is."""

    size: int = Field(64, ge=16, le=1024)
    """Rows and columns of an image [px]."""
    sampling: float = Field(0.025, gt=0)
    """Size of a pixel on the specimen [nm]."""
    margin: int = Field(0, ge=0)
    """Specimen beyond each edge of an image [px]; with 0 the field repeats itself."""
    specimen: SpecimenConfig = SpecimenConfig()
    """What is imaged; who names its classes starts from the defaults of specimens, not from those here."""
    counts: Varied = 10.0
    """Mean counts in a pixel of an exposure, background included [e-]."""
    detected: float = Field(0.1, gt=0, le=1)
    """Share of the electrons on the specimen that are counted."""
    background: Varied = 0.0
    """Share of the counts that does not come from the specimen."""
    exposure_time: float = Field(0.05, gt=0)
    """Time of an exposure of normal dwell [s]."""
    dead_time: float = Field(0.05, gt=0)
    """Time before each exposure, in which knobs settle [s]."""
    drift: Varied = 0.0
    """Speed of the specimen's steady drift, in a random direction [nm/s]."""
    diffusion: Varied = 0.0
    """Of the random walk of the specimen [nm^2/s]."""

    diagnostic: tuple[Diagnostic, ...] = ({},)
    """The exposures of a step: temporary changes of knobs, coefficients [nm] or tilt [mrad], by name."""
    choose: tuple[Choice, ...] = ()
    """What the action chooses of the step's exposures beside the corrections."""
    defocus_limit: float = Field(8.0, gt=0)
    """Largest chosen change of the focus during the exposures [rad]."""
    dwell_limit: float = Field(2.0, gt=0)
    """Largest chosen change of the dwell, in powers of two."""
    tilt_limit: float = Field(10.0, gt=0)
    """Largest chosen tilt of the beam along each axis during the exposures [mrad]."""

    observation: Literal["cross_spectrum", "spectrum", "images", "vector"] = "images"
    """What of the exposures is observed; ``vector`` is figures of sharpness."""
    rings: int = Field(4, ge=1)
    """Rings of spatial frequencies for the figures of sharpness."""
    directions: int = Field(4, ge=1)
    """Directions for the figures of sharpness."""
    estimator: Any = None
    """Path of an exported bundle, or an object with ``estimate``; its belief joins the observation."""
    estimator_sees: Picture = "cross_spectrum"
    """What the estimator is shown of the exposures."""

    exposures: int = Field(10, ge=1)
    """Exposures of an episode, the first ones included."""
    cost: float = Field(0.02, ge=0)
    """Reward that an exposure of normal dwell costs."""
    error_floor: float = Field(0.1, gt=0)
    """Phase error that counts as none; reward is the decrease of log sqrt(error^2 + floor^2) [rad]."""
    success_reward: float = Field(1.0, ge=0)
    """Reward for ending aligned."""
    criterion: Literal["quarter_wave", "strehl"] = "quarter_wave"
    """When the column is aligned: every knob's aberration below a quarter wave, or the Strehl ratio high."""
    strehl: float = Field(0.8, gt=0, lt=1)
    """Least Strehl ratio of the criterion ``strehl``."""
    hold: int = Field(2, ge=1)
    """Steps for which the column must be aligned."""
    stop: bool = False
    """The action says when to end; being aligned then ends nothing."""

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, values: Any) -> Any:
        """Lay what is said of the specimen and of the response over the defaults of this environment."""
        return over_defaults(cls, values, "specimen", "response")

    @field_validator("estimator")
    @classmethod
    def _estimator(cls, value: Any) -> Any:
        if value is None or isinstance(value, (str, Estimator)):
            return value
        raise ValueError("must be the path of a bundle, or an object with a method estimate(observation)")

    @field_validator("knobs")
    @classmethod
    def _knobs(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        _check_names(names)
        if not names or len(set(names)) != len(names):
            raise ValueError("must name one knob at least, and none twice")
        return names

    @field_validator("offsets", "target")
    @classmethod
    def _named(cls, values: dict[str, Any]) -> dict[str, Any]:
        _check_names(values)
        return values

    @field_validator("diagnostic")
    @classmethod
    def _exposures(cls, exposures: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
        if not exposures:
            raise ValueError("needs one exposure at least; [{}] is one without changes")
        for changes in exposures:
            _check_names(changes)
        return exposures

    @model_validator(mode="after")
    def _check(self) -> AlignConfig:
        check_limits(self, "unmodelled", "drift", "diffusion")
        check_limits(self, "counts", above=True)
        check_limits(self, "background", high=1.0)
        per_step = len(self.diagnostic)
        pictures = {self.observation} | ({self.estimator_sees} if self.estimator else set())
        if "cross_spectrum" in pictures and per_step != 2:
            raise ValueError(f"a cross_spectrum is of two exposures a step, and diagnostic has {per_step}")
        if self.exposures < per_step:
            raise ValueError(f"exposures = {self.exposures} do not last for one step of {per_step}")
        if self.observation == "vector" and self.margin:
            raise ValueError("figures of sharpness are of a field that repeats itself: set margin to 0")
        if self._needs_coma() and not self.nominal("C30"):
            raise ValueError(
                "a tilt of the beam is measured by its coma, 3 C30 tilt: give offsets a C30 other than 0"
            )
        return self

    def coefficients(self) -> tuple[str, ...]:
        """Return the names of all aberrations that the column has."""
        names = [name for name in (*self.knobs, *self.offsets, *self.target) if name not in TILTS]
        names += [name for exposure in self.diagnostic for name in exposure if name not in TILTS]
        third = [one.name for one in ABERRATIONS if one.n <= 3] if self.unmodelled else []
        return closed_under_tilt((*names, *third, *(("C10",) if "defocus" in self.choose else ())))

    def nominal(self, name: str) -> float:
        """Return the middle of what a coefficient may be at the start [nm]."""
        varied = self.offsets.get(name, 0.0)
        return (varied.low + varied.high) / 2 if isinstance(varied, Range) else varied

    def tilts(self) -> bool:
        """Tell whether the beam is ever tilted."""
        used = (*self.knobs, *self.offsets, *(name for exposure in self.diagnostic for name in exposure))
        return bool(set(TILTS) & set(used)) or "tilt" in self.choose

    def _needs_coma(self) -> bool:
        return bool(set(TILTS) & set(self.knobs))


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if name not in _KNOWN:
            raise ValueError(f'there is no "{name}"{did_you_mean(name, _KNOWN)}; known: {", ".join(_KNOWN)}')

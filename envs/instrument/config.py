"""What the simulated microscope can be told: its optics, its faults, and what lies in it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, field_validator, model_validator

from beamwright.envs.core.config import EnvConfig, Frozen, Range, Varied
from beamwright.envs.instrument.protocol import Limit
from beamwright.envs.microscope.aberrations import find
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.specimens import SpecimenConfig

__all__ = ["KnobConfig", "SimulatorConfig"]

_REACH = {"C10": 1e3, "C12": 5e2, "C21": 1e4, "C23": 1e4, "C30": 1e6}
_CONTROLS = {
    name + part: reach for name, reach in _REACH.items() for part in ("ab" if name[2] > "0" else [""])
}


def _offset(reach: float) -> Range:
    return Range(low=-reach, high=reach)


def _not_negative(value: float | Range) -> float | Range:
    lowest = value.low if isinstance(value, Range) else value
    if lowest < 0:
        raise ValueError(f"must not be negative, as {lowest:g} is; 0 switches it off")
    return value


_Size = Annotated[Varied, AfterValidator(_not_negative)]


class KnobConfig(Frozen):
    """How aberrations and shifts answer to what is commanded, which nobody at the microscope knows.

    Sizes are shares of a quarter wave of phase at the edge of the aperture.
    """

    gain: float = Field(0.05, ge=0, lt=1)
    """Largest error of a knob's own effect, as a share."""
    coupling: float = Field(0.05, ge=0, lt=1)
    """Largest effect of a knob on what another one is for, as a share of its own."""
    rotation: float = Field(0.0, ge=0, le=180)
    """Largest angle between the axes of the knobs and those of the optics [degrees]."""
    play: _Size = 0.1
    """Half-width of the hysteresis [quarter waves]."""
    operators: int = Field(4, ge=1, le=16)
    """1 is the backlash of a mechanism; more are the hysteresis of a magnet."""
    settle: _Size = 0.0
    """Time constant with which a knob follows [s]."""
    wander: _Size = 0.01
    """Random walk: standard deviation after one second [quarter waves]."""
    trend: _Size = 0.0
    """Largest steady drift [quarter waves/s]."""


class SimulatorConfig(EnvConfig):
    """What `SimulatedMicroscope` can be told; what is a range is drawn with its seed."""

    voltage: float = 200.0
    """Accelerating voltage [kV]."""
    aperture: float = 25.0
    """Semi-angle of the probe [mrad]."""
    source_size: float = 0.0
    """Standard deviation of the demagnified source [nm]."""
    focal_spread: float = 0.0
    """Standard deviation of the defocus by the energy spread [nm]."""

    size: int = Field(192, ge=8, le=4096)
    """Edge of the field that the beam reaches [px]."""
    margin: int = Field(32, ge=0, le=2048)
    """Specimen beyond each edge of the field [px]; beyond that it repeats itself."""
    sampling: float = Field(0.025, gt=0)
    """Pixels in which the specimen is held, not those of the images [nm]."""
    specimen: SpecimenConfig = SpecimenConfig(classes=("random_lattice",), pool=16)
    """What is imaged."""

    controls: dict[str, float] = Field(_CONTROLS)
    """Aberrations that can be set, and how far either way [nm]."""
    offsets: dict[str, Varied] = {  # noqa: RUF012
        "C10": _offset(20.0),
        "C12a": _offset(10.0),
        "C12b": _offset(10.0),
        "C21a": _offset(300.0),
        "C21b": _offset(300.0),
    }
    """Aberrations that there are while all settings are at zero [nm]."""
    knobs: KnobConfig = KnobConfig()
    """How they answer."""
    shift_limit: float = Field(2.0, gt=0)
    """Largest shift of the image along each axis [nm]."""
    current: float = 50.0
    """Beam current at the beginning [pA]."""
    current_limits: tuple[float, float] = (1.0, 500.0)
    """Between which it can be set [pA]."""

    speed: _Size = 0.05
    """Steady drift of the specimen, in a random direction [nm/s]."""
    diffusion: _Size = 1e-4
    """Of its random walk [nm^2/s]."""
    lag: _Size = 1.0
    """Time constant with which the deflectors follow [us]."""
    line_jitter: _Size = 0.0
    """Standard deviation of the offset of each line along its direction [nm]."""
    hum: _Size = 0.0
    """Amplitude of the deflection by the mains [nm]."""

    scattered: float = Field(0.1, gt=0, le=1)
    """Share of the beam that the most scattering place sends to the HAADF detector."""
    opacity: float = Field(0.3, gt=0)
    """Scattering mean free paths that this place is thick, for the bright field."""
    efficiency: float = Field(1.0, gt=0, le=1)
    """Share of the electrons on a detector that it detects; counts are made up for it."""
    readout: float = Field(0.0, ge=0)
    """Standard deviation of the noise of reading a pixel [counts]."""
    dead_time: float = Field(0.01, ge=0)
    """Time before each exposure and each scan, in which knobs settle [s]."""

    @field_validator("controls", "offsets")
    @classmethod
    def _named(cls, values: dict[str, Varied]) -> dict[str, Varied]:
        for name in values:
            find(name)
        return values

    @model_validator(mode="after")
    def _check(self) -> SimulatorConfig:
        for name, reach in self.controls.items():
            if reach <= 0:
                raise ValueError(
                    f"controls must reach further than {reach:g} nm for {name}; leave out what is fixed"
                )
        return self

    def optics(self) -> Optics:
        """Return what the column is set to, apart from its aberrations."""
        return Optics(self.voltage, self.aperture, self.source_size, self.focal_spread)

    def limits(self) -> dict[str, Limit]:
        """Return the controls and their bounds."""
        shift, (low, high) = Limit(-self.shift_limit, self.shift_limit, "nm"), self.current_limits
        aberrations = {name: Limit(-reach, reach, "nm") for name, reach in self.controls.items()}
        return {**aberrations, "shift_y": shift, "shift_x": shift, "current": Limit(low, high, "pA")}

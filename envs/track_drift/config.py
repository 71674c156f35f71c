"""What the drift-tracking environment can be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from beamwright.envs.alignment.limits import check_limits
from beamwright.envs.alignment.nesting import over_defaults
from beamwright.envs.core.config import EnvConfig, Frozen, Range, Varied
from beamwright.envs.microscope.specimens import SpecimenConfig

__all__ = ["PRESETS", "SteeringConfig", "TrackDriftConfig"]


class SteeringConfig(Frozen):
    """How shifts and focus answer, which the agent does not know."""

    gain: float = Field(0.05, ge=0, lt=1)
    """Largest error of the size of a correction, as a share."""
    coupling: float = Field(0.05, ge=0, lt=1)
    """Largest effect of one correction on the other quantities, as a share of their tolerances."""
    rotation: float = Field(2.0, ge=0, le=180)
    """Largest angle between the axes of the shifts and those of the image [degrees]."""
    play: Varied = 0.0
    """Half-width of the backlash, as a share of the tolerances."""
    settle: Varied = 0.0
    """Time constant with which a correction is followed [s]."""

    @model_validator(mode="after")
    def _check(self) -> SteeringConfig:
        check_limits(self, "play", "settle")
        return self


class TrackDriftConfig(EnvConfig):
    """What `TrackDriftEnv` can be told.

    The defaults are a stage that was just moved: the specimen creeps ever more slowly, wanders a little,
    and the focus follows the temperature.
    """

    voltage: float = 200.0
    """Accelerating voltage [kV]."""
    aperture: float = 10.0
    """Semi-angle of the probe [mrad]."""
    size: int = Field(64, ge=16, le=512)
    """Rows and columns of a reference patch [px]."""
    sampling: float = Field(0.05, gt=0)
    """Size of a pixel [nm]."""
    margin: int = Field(16, ge=1)
    """Specimen beyond each edge of the patch [px]; farther away it is lost."""
    specimen: SpecimenConfig = SpecimenConfig(
        classes=("random_atoms", "atom_cluster"), held_out_classes=("wulff_crystal",)
    )
    """What is imaged."""

    speed: Varied = Range(low=0.02, high=0.4)
    """Speed of the specimen at the start, in a random direction [nm/s]."""
    settling: Varied = Range(low=10.0, high=60.0)
    """Time constant with which that speed dies away [s]."""
    diffusion: Varied = 2e-4
    """Of the random walk of the specimen [nm^2/s]."""
    focus_speed: Varied = Range(low=0.0, high=0.8)
    """Speed of the focus, either way [nm/s]."""
    focus_diffusion: Varied = 0.1
    """Of the random walk of the focus [nm^2/s]."""
    steering: SteeringConfig = SteeringConfig()
    """How corrections answer."""

    steps: int = Field(100, ge=1)
    """Frames of the acquisition."""
    frame_time: float = Field(1.0, gt=0)
    """Time of a frame [s]."""
    dead_time: float = Field(0.05, gt=0)
    """Time between a correction and the frame [s]."""
    reference_time: float = Field(0.2, gt=0)
    """Time of a reference exposure, which is a pair under and over focus [s]."""
    ask: bool = True
    """The action says whether to take a reference exposure; otherwise every step has one."""
    cost: float = Field(0.1, ge=0)
    """Reward that a reference exposure costs."""
    move_limit: float = Field(0.5, gt=0)
    """Largest shift in one step along each axis [nm]."""
    focus_limit: float = Field(20.0, gt=0)
    """Largest change of the focus in one step [nm]."""
    position_tolerance: float = Field(0.05, gt=0)
    """Error of the position that costs a reward of 1 per step [nm]."""
    focus_tolerance: float = Field(5.0, gt=0)
    """Error of the focus that costs a reward of 1 per step [nm]."""
    error_limit: float = Field(10.0, gt=0)
    """Most that the errors of one step can cost, and what each step after the specimen is lost costs."""

    observation: Literal["offsets", "images"] = "offsets"
    """``offsets`` as measured with noise, or ``images``: reference patch, and now under and over focus."""
    position_noise: Varied = 0.02
    """Standard deviation of a measured position along each axis [nm]."""
    focus_noise: Varied = 2.0
    """Standard deviation of a measured focus [nm]."""
    counts: Varied = 10.0
    """Mean counts in a pixel of a reference exposure [e-]."""
    reference_dose: float = Field(10.0, ge=1)
    """Counts of the reference patch, in units of `counts`."""
    detected: float = Field(0.1, gt=0, le=1)
    """Share of the electrons on the specimen that are counted."""
    defocus: float = Field(30.0, gt=0)
    """How far under and over focus a reference exposure is [nm]."""

    @model_validator(mode="before")
    @classmethod
    def _over_defaults(cls, values: Any) -> Any:
        """Lay what is said of the specimen and of the steering over the defaults of this environment."""
        return over_defaults(cls, values, "specimen", "steering")

    @model_validator(mode="after")
    def _check(self) -> TrackDriftConfig:
        check_limits(
            self, "speed", "diffusion", "focus_speed", "focus_diffusion", "position_noise", "focus_noise"
        )
        check_limits(self, "settling", "counts", above=True)
        if self.move_limit > self.reach:
            raise ValueError(
                f"move_limit = {self.move_limit:g} nm can lose the specimen in one step: the margin is "
                f"{self.reach:g} nm"
            )
        return self

    @property
    def reach(self) -> float:
        """Error of the position along an axis at which the specimen is lost [nm]."""
        return self.margin * self.sampling

    @property
    def diagnostic(self) -> tuple[float, float]:
        """Changes of the focus for the exposures of a measurement [nm]."""
        return -self.defocus, self.defocus

    @property
    def electrons_per_count(self) -> float:
        """Electrons on the specimen in a measurement for each count in a pixel."""
        return len(self.diagnostic) * self.size**2 / self.detected


_STILL: Mapping[str, Any] = {"gain": 0.0, "coupling": 0.0, "rotation": 0.0}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "linear": {
        "settling": 1e6,
        "diffusion": 0.0,
        "focus_diffusion": 0.0,
        "steering": _STILL,
    },
    "walk": {
        "speed": 0.0,
        "focus_speed": 0.0,
        "diffusion": {"low": 1e-4, "high": 1e-2, "log": True, "held_out": [5e-4, 2e-3]},
    },
    "backlash": {"steering": {"play": [0.0, 2.0]}},
    "images": {"observation": "images"},
    "low-dose": {"observation": "images", "counts": 1.0},
    "costly": {"cost": 1.0},
    "always": {"ask": False, "cost": 0.0},
}
"""Configurations of `TrackDriftEnv` by name."""

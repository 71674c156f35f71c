"""The two columns that are aligned, as configurations with their defaults."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from beamwright.envs.alignment.config import AlignConfig, Diagnostic, Offsets, ResponseConfig
from beamwright.envs.core.config import Range, Varied
from beamwright.envs.microscope.specimens import SpecimenConfig

__all__ = ["AlignSTEMConfig", "AlignTEMConfig"]


def _offset(low: float, high: float) -> Range:
    return Range(low=low, high=high)


class AlignSTEMConfig(AlignConfig):
    """What `AlignSTEMEnv` can be told.

    The defaults are a corrected microscope as one finds it: five knobs that talk to each other a little
    and have backlash, a specimen that drifts, and pairs of exposures of which the cross-spectrum is seen.
    """

    probe: Literal["image", "ronchigram"] = "image"
    """What is exposed: an image of the scanned specimen, or the far field of the standing probe."""
    source_size: float = 0.0
    """Standard deviation of the demagnified source [nm]."""
    offsets: Offsets = {  # noqa: RUF012
        "C10": _offset(-20.0, 20.0),
        "C12a": _offset(-10.0, 10.0),
        "C12b": _offset(-10.0, 10.0),
        "C21a": _offset(-300.0, 300.0),
        "C21b": _offset(-300.0, 300.0),
    }
    specimen: SpecimenConfig = SpecimenConfig(
        classes=("random_lattice",), held_out_classes=("rect", "honeycomb")
    )
    diagnostic: tuple[Diagnostic, ...] = ({"C10": 6.0, "C21a": 150.0}, {"C10": -6.0, "C21b": 150.0})
    observation: Literal["cross_spectrum", "spectrum", "images", "vector"] = "cross_spectrum"
    response: ResponseConfig = ResponseConfig(gain=0.05, coupling=0.05, play=0.1, operators=4, wander=0.02)
    drift: Varied = Range(low=0.0, high=0.1)
    detected: float = Field(0.1, gt=0, le=1)

    @model_validator(mode="after")
    def _check_probe(self) -> AlignSTEMConfig:
        if self.probe == "ronchigram" and self.observation in ("cross_spectrum", "spectrum"):
            raise ValueError(f"a {self.observation} is of images; observe a ronchigram as images or vector")
        if self.probe == "ronchigram" and self.margin:
            raise ValueError("a ronchigram has no margin: set margin to 0")
        return self


class AlignTEMConfig(AlignConfig):
    """What `AlignTEMEnv` can be told.

    The defaults are an uncorrected microscope with an amorphous film: focus, stigmators, and a beam whose
    tilt makes coma; a step is a tableau of one untilted and four tilted exposures.
    """

    aperture: float = 12.0
    focal_spread: float = 3.0
    convergence: float = Field(0.1, ge=0)
    """Standard deviation of the illumination angles [mrad]."""
    knobs: tuple[str, ...] = ("C10", "C12a", "C12b", "tilt_y", "tilt_x")
    offsets: Offsets = {  # noqa: RUF012
        "C10": _offset(-250.0, 50.0),
        "C12a": _offset(-50.0, 50.0),
        "C12b": _offset(-50.0, 50.0),
        "C30": 1.2e6,
        "tilt_y": _offset(-2.0, 2.0),
        "tilt_x": _offset(-2.0, 2.0),
    }
    target: dict[str, float] = {"C10": -100.0, "C30": 1.2e6}  # noqa: RUF012
    step_limit: float = Field(32.0, gt=0)
    setting_limit: float = Field(100.0, gt=0)
    sampling: float = Field(0.1, gt=0)
    specimen: SpecimenConfig = SpecimenConfig(classes=("amorphous_film",))
    counts: Varied = 100.0
    detected: float = Field(1.0, gt=0, le=1)
    response: ResponseConfig = ResponseConfig(gain=0.05, coupling=0.05, play=0.1, operators=4, wander=0.02)
    diagnostic: tuple[Diagnostic, ...] = (
        {},
        {"tilt_y": 6.0},
        {"tilt_y": -6.0},
        {"tilt_x": 6.0},
        {"tilt_x": -6.0},
    )
    observation: Literal["cross_spectrum", "spectrum", "images", "vector"] = "spectrum"
    rings: int = Field(12, ge=1)
    directions: int = Field(8, ge=1)
    exposures: int = Field(40, ge=1)

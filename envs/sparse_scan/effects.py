"""Configuration of the scan's faults: what an ideal scan has none of."""

from __future__ import annotations

from pydantic import Field, model_validator

from beamwright.envs.core import Frozen, Range, Varied

__all__ = ["EffectsConfig", "highest", "lowest"]


class EffectsConfig(Frozen):
    """How the scan departs from an ideal one; a number of zero switches a part off, a range varies it."""

    poisson: bool = True
    """Whether electrons come by chance."""
    efficiency: Varied = 1.0
    """Share of the electrons that the brightest place sends to the detector, and that it detects."""
    gain: Varied = 1.0
    """Counts per detected electron; known to the operator, so that it matters beside readout noise."""
    readout: Varied = 0.0
    """Standard deviation of the detector's noise at each point [counts]."""
    afterglow: Varied = 0.0
    """Share of the detector's light that comes late."""
    afterglow_time: float = Field(20.0, gt=0)
    """Time constant with which it comes [us]."""
    lag: Varied = 0.0
    """Time constant with which the deflectors follow [us]."""
    flyback: Varied = 0.0
    """Pause before each line of a survey or tile, beam blanked [us]."""
    line_jitter: Varied = 0.0
    """Standard deviation of the start of each line or segment along its direction [nm]."""
    hum: Varied = 0.0
    """Amplitude of the deflection by the mains [nm]; its phase and direction are random."""
    hum_frequency: float = Field(50.0, gt=0)
    """Frequency of the mains [Hz]."""
    drift: Varied = 0.0
    """Speed of the specimen, in a random direction [nm/s]."""
    diffusion: Varied = 0.0
    """Random walk of the specimen [nm^2/s]; its variance grows by twice this per second and axis."""
    damage_dose: Varied | None = None
    """Dose after which 1/e of the mass that can be lost is left [e-/nm^2]; null for a specimen that lasts."""
    damage_residue: float = Field(0.0, ge=0, le=1)
    """Share of the signal that no dose removes."""
    knock_on_dose: Varied | None = None
    """Dose that an atom survives on average [e-/nm^2], the inverse of the cross-section; null for atoms that
    stay. A column leaves as a whole; classes of specimens without atoms have none to lose."""
    contamination: Varied = 0.0
    """Signal that carbon adds where much dose went."""
    contamination_dose: float = Field(1e4, gt=0)
    """Dose after which 1/e of the carbon is still to come [e-/nm^2]."""
    blur: Varied = 0.0
    """Standard deviation of the probe [nm]; what is to be reconstructed is the image that it shows."""

    @model_validator(mode="after")
    def _check(self) -> EffectsConfig:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, (float, Range)) and lowest(value) < 0:
                raise ValueError(f"{name} = {lowest(value):g} must not be negative; 0 switches it off")
        for name in ("efficiency", "gain", "damage_dose", "knock_on_dose"):
            value = getattr(self, name)
            if value is not None and lowest(value) == 0:
                raise ValueError(f"{name} must be above 0")
        if not self.poisson and highest(self.afterglow) > 0:
            raise ValueError(
                "afterglow needs poisson: true, for it is the light of electrons that come one by one"
            )
        for name in ("efficiency", "afterglow"):
            if highest(getattr(self, name)) > 1:
                raise ValueError(f"{name} = {highest(getattr(self, name)):g} is a share, at most 1")
        return self


def lowest(value: float | Range) -> float:
    """Return the smallest value of a number or range."""
    return value.low if isinstance(value, Range) else value


def highest(value: float | Range) -> float:
    """Return the largest value of a number or range."""
    return value.high if isinstance(value, Range) else value

"""Configuration of the scanning environments: what is scanned, with what beam, how well, for what reward."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from beamwright.envs.core import EnvConfig
from beamwright.envs.microscope.specimens import SpecimenConfig
from beamwright.envs.sparse_scan.effects import EffectsConfig, highest
from beamwright.envs.sparse_scan.sections import (
    ActionConfig,
    BudgetConfig,
    ObservationConfig,
    ReconstructorConfig,
    RewardConfig,
    SurveyConfig,
    TilesConfig,
)

__all__ = ["ScanConfig", "SparseScanConfig", "SparseScanTilesConfig"]


class ScanConfig(EnvConfig):
    """What the environments that scan have in common."""

    shape: tuple[int, int] = (64, 64)
    """Rows and columns of the field [px]."""
    pixel_size: float | None = Field(None, gt=0)
    """Edge of a pixel [nm]; null for the natural one of each class of specimens."""
    current: float = Field(20.0, gt=0)
    """Beam current [pA]."""
    specimen: SpecimenConfig = SpecimenConfig()
    """What is under the beam."""
    imaging: Literal["haadf", "secondary_electron"] = "haadf"
    """What is counted: electrons scattered to high angles, or secondary ones of the specimen as a surface."""
    effects: EffectsConfig = EffectsConfig()
    """How the scan departs from an ideal one."""
    budget: BudgetConfig = BudgetConfig(coverage=0.1)
    """What may be spent."""
    survey: SurveyConfig | None = None
    """What is scanned before the first action; null for nothing."""
    reconstructor: ReconstructorConfig = ReconstructorConfig()
    """What makes an image of the points measured so far."""
    observation: ObservationConfig = ObservationConfig()
    """What the agent sees."""
    reward: RewardConfig = RewardConfig()
    """What it is rewarded for."""
    max_steps: int | None = Field(None, ge=1)
    """Actions after which an episode is truncated; by default twice as many as the budget usually lasts."""

    @model_validator(mode="after")
    def _check(self) -> ScanConfig:
        if min(self.shape) < 16:
            raise ValueError(f"shape = {list(self.shape)} must be at least 16 x 16 px")
        for name, divisor in (("pool", self.observation.pool), ("grid", self.observation.grid)):
            used = (name == "grid" and self.observation.kind == "vector") or name == "pool"
            if used and any(size % divisor for size in self.shape):
                raise ValueError(f"observation.{name} = {divisor} must divide shape = {list(self.shape)}")
        fades = self.effects.damage_dose is not None or highest(self.effects.contamination) > 0
        if self.imaging == "secondary_electron" and fades:
            raise ValueError(
                "imaging: secondary_electron knows no mass loss and no contamination, which are laws of "
                "scattering; set effects.damage_dose to null and effects.contamination to 0"
            )
        return self


class SparseScanConfig(ScanConfig):
    """Configuration of ``beamwright/SparseScan-v0``."""

    action: ActionConfig = ActionConfig()
    """How the agent moves the beam."""

    @model_validator(mode="after")
    def _check_segments(self) -> SparseScanConfig:
        reach = (min(self.shape) - 1) / 2
        most = math.floor(reach / self.action.spacing)
        if self.action.point_range[1] > most:
            raise ValueError(
                f"action.points = {self.action.point_range[1]} at a spacing of {self.action.spacing:g} px do "
                "not fit between the centre and an edge of the field, so that no heading might stay inside; "
                f"use at most {most}"
            )
        return self


class SparseScanTilesConfig(ScanConfig):
    """Configuration of ``beamwright/SparseScanTiles-v0``."""

    tiles: TilesConfig = TilesConfig()
    """How the field is divided."""
    survey: SurveyConfig | None = SurveyConfig()
    """The coarse survey before the first tile; null for none."""
    budget: BudgetConfig = BudgetConfig(coverage=0.3)
    """What may be spent."""

    @model_validator(mode="after")
    def _check_tiles(self) -> SparseScanTilesConfig:
        for size, tile in zip(self.shape, self.tiles.shape, strict=True):
            if tile < 1 or size % tile or (size == tile and self.tiles.shape == self.shape):
                raise ValueError(
                    f"tiles.shape = {list(self.tiles.shape)} must divide shape = {list(self.shape)} into "
                    "several tiles"
                )
        return self

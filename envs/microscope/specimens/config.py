"""Which specimens an environment shows: the part of its configuration that every environment shares."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from beamwright.envs.core.config import Frozen, Split

__all__ = ["SpecimenConfig"]


class SpecimenConfig(Frozen):
    """Classes of specimens, and how many are held ready."""

    classes: tuple[str, ...] = Field(("particle_cluster",), min_length=1)
    """Names of generators, see `SPECIMENS`."""
    shares: tuple[float, ...] | None = None
    """Share of each class in the order of `classes`; equal where left out."""
    held_out_classes: tuple[str, ...] = ()
    """Classes that the split ``test`` shows instead, in equal shares, and training never sees."""
    folder: str | None = None
    """Folder, file or pattern of recorded images, for the class ``images``."""
    pool: int = Field(256, ge=1, le=2**20)
    """Specimens that are made at construction; each reset draws one of them, turned or mirrored."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Seed of the pool; no two seeds, and no two splits, have a specimen in common."""
    background: float = Field(0.0, ge=0, lt=1)
    """Uniform pedestal under the signal, as a share of the full scale."""
    options: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Arguments for generators, by class, such as ``{"hexagonal": {"vacancies": [0.0, 0.1]}}``."""

    @model_validator(mode="after")
    def _check(self) -> SpecimenConfig:
        if self.shares is not None and (len(self.shares) != len(self.classes) or min(self.shares) <= 0):
            raise ValueError(
                f"shares must be one positive number for each of the {len(self.classes)} classes"
            )
        twice = sorted({name for name in self.classes if self.classes.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]} is named twice; use shares to show more of it")
        both = sorted(set(self.classes) & set(self.held_out_classes))
        if both:
            raise ValueError(f"held_out_classes must not be trained on, but {both[0]} is among the classes")
        unused = sorted(set(self.options) - set(self.classes) - set(self.held_out_classes))
        if unused:
            raise ValueError(f"options are for {unused[0]}, which is not among the classes")
        return self

    def of_split(self, split: Split) -> dict[str, float]:
        """Return the classes that a split shows with their shares, which add up to 1."""
        if split == "test" and self.held_out_classes:
            return dict.fromkeys(self.held_out_classes, 1 / len(self.held_out_classes))
        shares = self.shares or (1.0,) * len(self.classes)
        return {name: share / sum(shares) for name, share in zip(self.classes, shares, strict=True)}

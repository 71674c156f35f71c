"""Configurations of environments: frozen records, presets, and ranges that vary from episode to episode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Tag, ValidationError, model_validator
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.errors import MicroscopeError, did_you_mean
from beamwright.faults import explain_faults

__all__ = ["EnvConfig", "Frozen", "Range", "Split", "Varied", "draw", "load_config"]

Split = Literal["train", "test"]
Config = TypeVar("Config", bound="EnvConfig")


class Frozen(BaseModel):
    """A record that cannot change, knows its keys, and takes no infinities."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class Range(Frozen):
    """Values from which every episode draws its own; a list ``[low, high]`` is enough to write one."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    held_out: tuple[float, float] | None = None
    """A part that episodes for training never see, and that those for testing are drawn from."""
    log: bool = False
    """Spread evenly over the orders of magnitude, not over the values."""

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            if len(value) != 2:
                raise ValueError("must be two values, [low, high]")
            return {"low": value[0], "high": value[1]}
        return value

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not self.low < self.high:
            raise ValueError(
                f"low = {self.low:g} must be below high = {self.high:g}; write one number instead"
            )
        if self.log and self.low <= 0:
            raise ValueError(f"low = {self.low:g} must be above zero for log: true")
        if self.held_out is not None:
            start, end = self.held_out
            if not self.low <= start < end <= self.high:
                raise ValueError(
                    f"held_out = [{start:g}, {end:g}] must lie within [{self.low:g}, {self.high:g}]"
                )
            if (start, end) == (self.low, self.high):
                raise ValueError("held_out must leave something to train on")
        return self

    def at(self, fraction: Tensor, *, split: Split) -> Tensor:
        """Return the values at fractions in [0, 1) of the part that the split may see."""
        low, high = self._scaled(self.low), self._scaled(self.high)
        start, end = (high, high) if self.held_out is None else map(self._scaled, self.held_out)
        if split == "test" and self.held_out is not None:
            scaled = start + fraction * (end - start)
        else:
            scaled = low + fraction * (high - low - (end - start))
            scaled = torch.where(scaled < start, scaled, scaled + (end - start))
        return scaled.exp() if self.log else scaled

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log else value


def _branch(value: Any) -> str:
    return "[range]" if isinstance(value, (list, tuple, dict, Range)) else "[number]"


Varied = Annotated[
    Annotated[float, Tag("[number]")] | Annotated[Range, Tag("[range]")], Discriminator(_branch)
]
"""A number, or a `Range` from which every episode draws its own."""


def draw(varied: float | Range, streams: Streams, *, split: Split) -> Tensor:
    """Return one value per stream, ``(B,)``.

    Parameters
    ----------
    varied
        A number, which all episodes share and which takes nothing from the streams, or a range.
    streams
        Of the episodes that begin.
    split
        ``train`` avoids what a range holds out, ``test`` is drawn from it (where there is any).
    """
    if isinstance(varied, Range):
        return varied.at(streams.uniform(), split=split)
    return torch.full((streams.count,), float(varied), device=streams.device)


class EnvConfig(Frozen):
    """What every environment can be told; each adds its own."""

    split: Split = "train"
    """Which specimens and which parts of the ranges episodes come from."""
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """What the simulator computes on; ``auto`` prefers a CUDA card."""

    def torch_device(self) -> torch.device:
        """Return the device, ``auto`` resolved."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device(self.device)

    def to_yaml(self) -> str:
        """Return the complete configuration, defaults included, from which it can be made again."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_config(
    model: type[Config],
    presets: Mapping[str, Mapping[str, Any]],
    preset: str | None,
    overrides: Mapping[str, Any],
) -> Config:
    """Return the configuration of a preset with some values changed.

    Parameters
    ----------
    model
        The record of the environment.
    presets
        What each preset says beyond the defaults.
    preset
        One of their names, or none for the defaults.
    overrides
        Fields of the record; mappings within mappings change only what they name.

    Raises
    ------
    MicroscopeError
        If there is no such preset or field, or if a value breaks a rule; all faults at once.
    """
    if preset is not None and preset not in presets:
        known = f"Known: {', '.join(presets)}." if presets else "This environment has none."
        raise MicroscopeError(f'There is no preset "{preset}".{did_you_mean(preset, presets)} {known}')
    content = merge({} if preset is None else presets[preset], overrides)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise MicroscopeError(explain_faults(error, model, "The configuration of the environment")) from None


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return one mapping laid over another, mapping by mapping."""
    merged = dict(below)
    for key, value in above.items():
        value = value.model_dump() if isinstance(value, BaseModel) else value
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged

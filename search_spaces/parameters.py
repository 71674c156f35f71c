"""Parameters of a space: their ranges, and how a trial, a table or the user sets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from beamwright.errors import SpaceError, did_you_mean
from beamwright.search_spaces.space import Value

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

__all__ = ["Choice", "Parameter", "Range", "Suggestions", "check_fixed"]


@dataclass(frozen=True)
class Choice:
    """One of several values; the first is the default."""

    values: tuple[Value, ...]

    @property
    def default(self) -> Value:
        """What a projection takes where it has no value."""
        return self.values[0]

    def __contains__(self, value: object) -> bool:
        # True equals 1, and a choice must not be left by a value of another type.
        return any(
            value == known and isinstance(value, bool) == isinstance(known, bool) for known in self.values
        )

    def __str__(self) -> str:
        return "one of " + ", ".join(map(str, self.values))

    def suggest(self, trial: BaseTrial, name: str) -> Value:
        """Ask a trial for a value."""
        return cast(Value, trial.suggest_categorical(name, self.values))


@dataclass(frozen=True)
class Range:
    """Numbers between two limits, both included: integers if the limits are."""

    low: float
    high: float
    default: float
    step: int | None = None
    log: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self._integers else (int, float)):
            return False
        return self.low <= value <= self.high and (not self.step or (value - self.low) % self.step == 0)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (f" in steps of {self.step}" if self.step else "")

    @property
    def _integers(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)

    def suggest(self, trial: BaseTrial, name: str) -> Value:
        """Ask a trial for a value."""
        if self._integers:
            return trial.suggest_int(name, int(self.low), int(self.high), step=self.step or 1, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)


Parameter = Choice | Range


@dataclass(frozen=True)
class Suggestions:
    """Where the values of parameters come from: the user's fixed ones, else the trial or the given ones.

    Parameters
    ----------
    table
        Every parameter of the space.
    fixed
        Values that nothing else may set.
    trial
        Suggests what is not fixed.
    given
        Stands in for the trial in a projection.
    """

    table: Mapping[str, Parameter]
    fixed: Mapping[str, Value]
    trial: BaseTrial | None = None
    given: Mapping[str, Value] | None = None
    used: dict[str, Value] = field(default_factory=dict)
    """What was asked for, the fixed parameters apart."""

    def __call__(self, name: str) -> Any:
        """Return the value of a parameter."""
        parameter = self.table[name]
        if name in self.fixed:
            return self.fixed[name]
        if self.trial is not None:
            self.used[name] = parameter.suggest(self.trial, name)
        else:
            self.used[name] = (self.given or {}).get(name, parameter.default)
        return self.used[name]


def check_fixed(fixed: Mapping[str, Value], table: Mapping[str, Parameter]) -> None:
    """Refuse fixed values that the space does not have.

    Raises
    ------
    SpaceError
        If a name is unknown or a value is outside its range.
    """
    for name, value in fixed.items():
        if name not in table:
            raise SpaceError(
                f'The space has no parameter "{name}" to fix.{did_you_mean(name, table)} '
                f"Known: {', '.join(table)}."
            )
        if value not in table[name]:
            raise SpaceError(f"{name} = {value!r} cannot be fixed: it must be {table[name]}.")

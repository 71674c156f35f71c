"""Parameters that are one number for all environments of a batch, or one for each."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, TypeVar

import torch
from torch import Tensor

from beamwright.errors import MicroscopeError

__all__ = ["Value", "batched", "check_range", "expand", "is_off"]

Value = float | Tensor
"""A number that all environments share, or ``(B,)``: one for each."""

Record = TypeVar("Record")


def expand(value: Value, dims: int) -> Value:
    """Return a value that broadcasts against tensors with the batch axis and so many more."""
    return value.reshape(-1, *[1] * dims) if isinstance(value, Tensor) and value.ndim else value


def is_off(value: Value) -> bool:
    """Tell whether an effect is switched off for all; a tensor is never asked, which would wait for a GPU."""
    return not isinstance(value, Tensor) and value == 0


def batched(record: Record, count: int, *, device: str | torch.device = "cpu") -> Record:
    """Return a record of parameters with every number as a tensor ``(count,)``: fit to be part of a state.

    Parameters
    ----------
    record
        A dataclass with fields of type `Value`.
    count
        Environments in the batch, B.
    device
        Where the tensors shall be.
    """
    fields = [field.name for field in dataclasses.fields(record)]  # type: ignore[arg-type]
    numbers: dict[str, Any] = {name: getattr(record, name) for name in fields}
    tensors = {
        name: torch.full((count,), float(value), device=device)
        for name, value in numbers.items()
        if not isinstance(value, Tensor)
    }
    return dataclasses.replace(record, **tensors)  # type: ignore[type-var]


def check_range(
    value: Value,
    what: str,
    unit: str = "",
    *,
    low: float = 0.0,
    high: float = math.inf,
    above: bool = False,
    cure: str = "",
) -> None:
    """Refuse a number outside ``[low, high]``; tensors, drawn from ranges that were checked, pass.

    Parameters
    ----------
    value
        The parameter.
    what, unit
        Its name and unit in the message.
    low, high
        The limits.
    above
        Whether `low` itself is refused.
    cure
        The end of the message: what to do instead.

    Raises
    ------
    MicroscopeError
        If the number is outside, or not a number.
    """
    if isinstance(value, Tensor) or (low <= value <= high and not (above and value == low)):
        return
    lower = f"above {low:g}" if above else f"at least {low:g}"
    upper = "" if high == math.inf else f" and at most {high:g}"
    unit = f" {unit}" if unit else ""
    raise MicroscopeError(f"The {what} must be {lower}{upper}{unit}, not {value:g}{cure and f'; {cure}'}.")

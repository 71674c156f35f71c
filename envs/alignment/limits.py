"""Limits of what varies from episode to episode: those of a number hold for both ends of a range."""

from __future__ import annotations

import math

from pydantic import BaseModel

from beamwright.envs.core.config import Range

__all__ = ["check_limits"]


def check_limits(record: BaseModel, *names: str, above: bool = False, high: float = math.inf) -> None:
    """Refuse a record with values below zero, or above a limit.

    Parameters
    ----------
    record
        The record.
    *names
        Its fields to be checked, numbers or ranges.
    above
        Whether zero itself is refused.
    high
        The upper limit.

    Raises
    ------
    ValueError
        If a value is outside.
    """
    for name in names:
        varied = getattr(record, name)
        least, most = (varied.low, varied.high) if isinstance(varied, Range) else (varied, varied)
        if least < 0 or (above and least == 0) or most > high:
            lower = "above 0" if above else "at least 0"
            upper = "" if high == math.inf else f" and at most {high:g}"
            raise ValueError(f"{name} must be {lower}{upper}, not {most if most > high else least:g}")

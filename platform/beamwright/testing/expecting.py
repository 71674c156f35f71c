"""How a suite says what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

__all__ = ["attempt", "difference", "expect"]


def expect(holds: object, message: str) -> None:
    """Fail with a message for the author, also where Python runs without assertions.

    Raises
    ------
    AssertionError
        If it does not hold.
    """
    if not holds:
        raise AssertionError(message)


@contextmanager
def attempt(what: str) -> Iterator[None]:
    """Turn an exception inside the block into an `AssertionError` that says what was tried."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{what} raised {type(error).__name__}: {error}") from error


def difference(one: Any, two: Any, place: str = "") -> str:
    """Return where two values differ first, such as ``fields.train[0].frames``; empty if they are equal."""
    if isinstance(one, np.ndarray) or isinstance(two, np.ndarray):
        return "" if _same_pixels(one, two) else place or "the array"
    if type(one) is not type(two):
        return place or "the type"
    if is_dataclass(one) and not isinstance(one, type):
        names = [field.name for field in fields(one)]
        parts = ((f"{place}.{name}".lstrip("."), getattr(one, name), getattr(two, name)) for name in names)
    elif isinstance(one, Mapping):
        if one.keys() != two.keys():
            return f"the keys of {place}" if place else "the keys"
        parts = ((f"{place}.{key}".lstrip("."), one[key], two[key]) for key in one)
    elif isinstance(one, Sequence) and not isinstance(one, (str, bytes)):
        if len(one) != len(two):
            return f"the length of {place}" if place else "the length"
        parts = ((f"{place}[{index}]", *pair) for index, pair in enumerate(zip(one, two, strict=True)))
    else:
        return "" if _same(one, two) else place or "the value"
    return next((found for name, a, b in parts if (found := difference(a, b, name))), "")


def _same_pixels(one: Any, two: Any) -> bool:
    if not (isinstance(one, np.ndarray) and isinstance(two, np.ndarray)):
        return False
    return one.shape == two.shape and one.dtype == two.dtype and np.array_equal(one, two, equal_nan=True)


def _same(one: Any, two: Any) -> bool:
    both_nan = isinstance(one, float) and one != one and two != two
    # Functions of a worker are other objects than those of the driver.
    return both_nan or callable(one) or bool(one == two)

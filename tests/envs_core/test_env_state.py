"""States as one thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from beamwright.envs.core import map_tensors, scatter_rows, take_rows


class Pair(NamedTuple):
    one: Tensor
    two: Tensor


@dataclass(frozen=True)
class Inner:
    values: Tensor


@dataclass(frozen=True)
class Outer:
    inner: Inner
    pair: Pair
    table: dict[str, Tensor]
    several: tuple[Tensor, ...]
    nothing: Tensor | None = None


def make(offset: float, count: int = 4) -> Outer:
    base = torch.arange(count) + offset
    return Outer(Inner(base), Pair(base + 1, base[:, None] + 2), {"a": base + 3}, (base + 4,))


def flat(tree: Any) -> list[list[float]]:
    found: list[list[float]] = []

    def note(tensor: Tensor) -> Tensor:
        found.append(tensor.flatten().tolist())
        return tensor

    map_tensors(note, tree)
    return found


def test_a_function_reaches_every_tensor() -> None:
    doubled = map_tensors(torch.add, make(0.0), make(0.0))
    assert flat(doubled) == [[2 * value for value in values] for values in flat(make(0.0))]
    assert type(doubled.pair) is Pair
    assert doubled.nothing is None


def test_rows_are_taken_and_put_into_a_new_state() -> None:
    state, part = make(0.0), make(100.0, count=2)
    changed = scatter_rows(state, torch.tensor([3, 1]), part)
    assert changed.inner.values.tolist() == [0, 101, 2, 100]
    assert state.inner.values.tolist() == [0, 1, 2, 3]
    assert flat(take_rows(changed, torch.tensor([3, 1]))) == flat(part)
    assert take_rows(state, torch.tensor([True, False, False, True])).table["a"].tolist() == [3, 6]


def test_anything_else_is_refused() -> None:
    with pytest.raises(
        TypeError, match="A state holds tensors, dataclasses, mappings and tuples of them, not int"
    ):
        map_tensors(torch.clone, {"a": 3})

"""States of simulations: frozen dataclasses of tensors, handled as one thing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor

__all__ = ["map_tensors", "scatter_rows", "take_rows"]

Tree = TypeVar("Tree")


def map_tensors(function: Callable[..., Tensor], tree: Tree, *others: Tree) -> Tree:
    """Return a state with a function applied to each of its tensors.

    Parameters
    ----------
    function
        Takes one tensor of each state, returns the tensor of the result.
    tree
        A tensor, None, or a dataclass, mapping or tuple of such.
    *others
        States of the same structure.

    Raises
    ------
    TypeError
        If the state holds anything else.
    """
    return _map(function, tree, others)


def _map(function: Callable[..., Tensor], tree: Any, others: tuple[Any, ...]) -> Any:
    if tree is None:
        return None
    if isinstance(tree, Tensor):
        return function(tree, *others)
    if isinstance(tree, dict):
        return {key: _map(function, value, tuple(o[key] for o in others)) for key, value in tree.items()}
    if isinstance(tree, tuple):
        parts = [_map(function, items[0], items[1:]) for items in zip(tree, *others, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = [field.name for field in dataclasses.fields(tree)]
        changes = {
            name: _map(function, getattr(tree, name), tuple(getattr(o, name) for o in others))
            for name in names
        }
        return dataclasses.replace(tree, **changes)
    raise TypeError(
        f"A state holds tensors, dataclasses, mappings and tuples of them, not {type(tree).__name__}."
    )


def take_rows(tree: Tree, index: Any) -> Tree:
    """Return the part of a batch of states at an index: integers or a mask of booleans, ``(N,)``."""
    return map_tensors(lambda tensor: tensor[index], tree)


def scatter_rows(tree: Tree, index: Tensor, part: Tree) -> Tree:
    """Return a batch of states with those at an index ``(N,)`` of integers replaced; the old one is kept."""
    return map_tensors(lambda tensor, rows: tensor.index_copy(0, index, rows.to(tensor.dtype)), tree, part)

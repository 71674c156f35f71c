"""From the simulator's tensors to the arrays that Gymnasium's spaces promise, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import Space, spaces
from torch import Tensor

__all__ = ["ActionReader", "ObservationWriter", "batched_info", "single_info"]


class ObservationWriter:
    """Turns batches of observations into arrays of a space's types, clipped into its limits.

    The arrays own their memory: nothing that a user does to them reaches the state.

    Parameters
    ----------
    space
        Of one environment: a Box, MultiBinary or MultiDiscrete, or a Dict of such.
    device
        Where the observations come from.

    Raises
    ------
    TypeError
        If the space is of another kind, or of a type that observations should not have.
    """

    def __init__(self, space: Space[Any], *, device: torch.device) -> None:
        leaves = space.spaces if isinstance(space, spaces.Dict) else {"": space}
        self._leaves = {name: _Leaf(leaf, device) for name, leaf in leaves.items()}

    def __call__(self, observation: Tensor | dict[str, Tensor]) -> Any:
        """Return an array ``(B, ...)``, or a dictionary of arrays in the order of the space."""
        if isinstance(observation, Tensor):
            return self._leaves[""](observation)
        return {name: leaf(observation[name]) for name, leaf in self._leaves.items()}


class _Leaf:
    def __init__(self, space: Space[Any], device: torch.device) -> None:
        if space.dtype is None or space.dtype == np.float64:
            raise TypeError(
                f"An observation is a Box (never float64), MultiBinary or MultiDiscrete, not {space}."
            )
        self._dtype = torch.from_numpy(np.zeros(0, space.dtype)).dtype
        self._limits: tuple[Any, Any] | None = None
        if isinstance(space, spaces.Box):
            self._limits = _one_or_all(space.low, device), _one_or_all(space.high, device)

    def __call__(self, tensor: Tensor) -> np.ndarray:
        fresh = tensor.clamp(*self._limits) if self._limits else tensor.clone()
        return fresh.to(self._dtype).numpy(force=True)


def _one_or_all(limit: np.ndarray, device: torch.device) -> float | Tensor:
    """Return a limit as one number where it is the same for all elements: clamping is faster so."""
    uniform = limit.size > 0 and (limit == limit.flat[0]).all()
    return float(limit.flat[0]) if uniform else torch.from_numpy(limit).to(device)


class ActionReader:
    """Turns batches of actions into tensors on the simulator's device.

    Parameters
    ----------
    space
        Of one environment: Box, Discrete, MultiDiscrete or MultiBinary.
    device
        Where the actions go.
    """

    def __init__(self, space: Space[Any], *, device: torch.device) -> None:
        self._shape, self._device = space.shape or (), device
        self._dtype = torch.int64 if np.issubdtype(space.dtype, np.integer) else torch.float32

    def __call__(self, actions: Any, count: int) -> Tensor:
        """Return `count` actions as ``(B, ...)``.

        Raises
        ------
        ValueError
            If their number or shape is another.
        """
        array = np.asarray(actions)
        if array.shape != (count, *self._shape):
            raise ValueError(
                f"Actions must have the shape {(count, *self._shape)}: one of shape {self._shape} each, for "
                f"{count} environments, not {array.shape}."
            )
        return torch.tensor(array, dtype=self._dtype, device=self._device)


def single_info(info: dict[str, Tensor]) -> dict[str, Any]:
    """Return what is known of a batch of one, without the batch: numbers and arrays."""
    values = {key: tensor.numpy(force=True)[0] for key, tensor in info.items()}
    return {key: bool(value) if isinstance(value, np.bool_) else _own(value) for key, value in values.items()}


def batched_info(info: dict[str, Tensor], known: np.ndarray) -> dict[str, Any]:
    """Return what is known of a batch as Gymnasium's vector environments give it.

    Parameters
    ----------
    info
        Of all environments, each ``(B, ...)``.
    known
        Of which environments something is to be said, ``(B,)``; the others show zeros.
    """
    infos: dict[str, Any] = {}
    for key, tensor in info.items():
        array = tensor.numpy(force=True).copy()
        array[~known] = 0
        infos[key], infos[f"_{key}"] = array, known.copy()
    return infos


def _own(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value

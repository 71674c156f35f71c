"""Many environments in one simulator, for Gymnasium."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from beamwright.envs.core.arrays import batched_info
from beamwright.envs.core.shell import FRAMES_PER_SECOND, Shell
from beamwright.envs.core.simulation import Outcome
from beamwright.envs.core.state import scatter_rows, take_rows
from beamwright.envs.core.streams import Streams
from beamwright.errors import MicroscopeError

__all__ = ["MicroscopeVectorEnv"]


class MicroscopeVectorEnv(Shell, VectorEnv[Any, Any, np.ndarray]):
    """Many environments in one batched simulator, each with a random stream of its own.

    It gives what Gymnasium's `SyncVectorEnv` of single environments gives, faster. An environment
    whose episode has ended begins the next one at the next step, whatever its action.

    Parameters
    ----------
    num_envs
        Number of environments, B.
    preset, render_mode, **overrides
        As those of the single environment; a window is only for one.

    Raises
    ------
    MicroscopeError
        If the configuration breaks a rule, or no microscope could be as it says.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": FRAMES_PER_SECOND,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        preset: str | None = None,
        render_mode: str | None = None,
        **overrides: Any,
    ) -> None:
        if num_envs < 1:
            raise MicroscopeError(f"num_envs = {num_envs} must be at least 1.")
        self._prepare(preset, render_mode, overrides)
        self.num_envs = num_envs
        self.single_observation_space = self.simulation.observation_space
        self.single_action_space = self.simulation.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._ended = np.zeros(num_envs, dtype=bool)  # (B,)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every environment, or in those of ``options={"reset_mask": mask}``.

        Parameters
        ----------
        seed
            ``s`` for ``s, s + 1, ...``, or one for each environment; without one its stream goes on.
        options
            ``reset_mask``: booleans ``(B,)``, which environments to begin anew.

        Raises
        ------
        ValueError
            If there is not one seed, or not one entry of the mask, for each environment.
        """
        seeds = self._one_each(seed)
        super().reset(seed=seeds[0])
        mask = self._mask(options)
        streams = self._reseed(seeds, mask)
        with torch.no_grad():
            self._begin(streams, mask, options)
        self._ended = self._ended & ~mask
        return self._seen(mask)

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Do one action in each environment; where an episode has ended, begin another instead.

        Raises
        ------
        ResetNeeded
            Before the first `reset`.
        ValueError
            If the actions do not have the shape of the action space.
        """
        streams = self._running()
        tensor = self._read(actions, self.num_envs)
        with torch.no_grad():
            reward, terminated, truncated = self._advance(tensor, streams)
        self._ended = terminated | truncated
        observation, info = self._seen(np.ones(self.num_envs, dtype=bool))
        return observation, reward, terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:  # type: ignore[override]
        """Return one picture of each environment."""
        if self.render_mode is None:
            return None
        self._running()
        return tuple(self.simulation.draw(self.state, index) for index in range(self.num_envs))

    def _advance(self, actions: Tensor, streams: Streams) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step where an episode runs, begin where one has ended; return reward, terminated and truncated."""
        if not self._ended.any():
            self.state, outcome = self.simulation.advance(self.state, actions, streams)
            return _to_arrays(outcome)
        reward, terminated, truncated = (np.zeros(self.num_envs, kind) for kind in (np.float64, bool, bool))
        running = ~self._ended
        if running.any():
            rows = self._rows(running)
            taken = streams.take(rows)
            part, outcome = self.simulation.advance(take_rows(self.state, rows), actions[rows], taken)
            streams.put(rows, taken)
            self.state = scatter_rows(self.state, rows, part)
            reward[running], terminated[running], truncated[running] = _to_arrays(outcome)
        self._begin(streams, self._ended, None)
        return reward, terminated, truncated

    def _begin(self, streams: Streams, mask: np.ndarray, options: Mapping[str, Any] | None) -> None:
        """Begin episodes where a mask says so; the others stay as they are."""
        if mask.all() or self.state is None:
            self.state = self._initial(streams, options)
            return
        rows = self._rows(mask)
        taken = streams.take(rows)
        part = self._initial(taken, options)
        streams.put(rows, taken)
        self.state = scatter_rows(self.state, rows, part)

    def _rows(self, mask: np.ndarray) -> Tensor:
        return torch.from_numpy(np.flatnonzero(mask)).to(self.simulation.device)

    def _seen(self, known: np.ndarray) -> tuple[Any, dict[str, Any]]:
        with torch.no_grad():
            observation = self._write(self.simulation.observe(self.state))
            return observation, batched_info(self.simulation.info(self.state), known)

    def _one_each(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, Sequence):
            if len(seed) != self.num_envs:
                raise ValueError(
                    f"There must be one seed for each of {self.num_envs} environments, not {len(seed)}."
                )
            return list(seed)
        first = operator.index(seed)
        return [first + index for index in range(self.num_envs)]

    def _mask(self, options: Mapping[str, Any] | None) -> np.ndarray:
        mask = (options or {}).get("reset_mask")
        if mask is None or self.state is None:
            return np.ones(self.num_envs, dtype=bool)
        mask = np.asarray(mask)
        if mask.shape != (self.num_envs,) or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(
                f"reset_mask must be {self.num_envs} booleans, one for each environment, at least one "
                f"true, not {mask.tolist()}."
            )
        return mask

    def _reseed(self, seeds: Sequence[int | None], mask: np.ndarray) -> Streams:
        """Return the streams, those that begin with a seed started anew."""
        if self._streams is None:
            entropy = self.np_random.integers(2**63, size=self.num_envs)
            both = zip(seeds, entropy.tolist(), strict=True)
            self._streams = self._seed([chance if seed is None else seed for seed, chance in both])
            return self._streams
        chosen = {index: seed for index, seed in enumerate(seeds) if seed is not None and mask[index]}
        if chosen:
            self._streams.put(list(chosen), self._seed(list(chosen.values())))
        return self._streams


def _to_arrays(outcome: Outcome) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        outcome.reward.double().numpy(force=True).copy(),
        outcome.terminated.numpy(force=True).copy(),
        outcome.truncated.numpy(force=True).copy(),
    )

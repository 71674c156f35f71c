"""One environment, for Gymnasium."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.error import ResetNeeded

from beamwright.envs.core.arrays import single_info
from beamwright.envs.core.shell import FRAMES_PER_SECOND, Shell
from beamwright.envs.core.window import Window

__all__ = ["MicroscopeEnv"]


class MicroscopeEnv(Shell, gymnasium.Env[Any, Any]):
    """One environment: a batch of one of its simulation.

    Parameters
    ----------
    preset
        One of the class's `presets`; by default the configuration's own values.
    render_mode
        ``rgb_array``, ``human`` (a window), or None.
    **overrides
        Fields of the configuration; mappings within mappings change only what they name.

    Raises
    ------
    MicroscopeError
        If the configuration breaks a rule, or no microscope could be as it says.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": FRAMES_PER_SECOND}  # noqa: RUF012

    def __init__(
        self, *, preset: str | None = None, render_mode: str | None = None, **overrides: Any
    ) -> None:
        self._prepare(preset, render_mode, overrides)
        self.observation_space = self.simulation.observation_space
        self.action_space = self.simulation.action_space
        self._window: Window | None = None
        self._ended = False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode.

        Parameters
        ----------
        seed
            Of the random stream; without one it goes on where it is.
        options
            None are known here; environments that know some say so.
        """
        super().reset(seed=seed)
        if seed is not None:
            self._streams = self._seed([seed])
        elif self._streams is None:
            self._streams = self._seed([int(self.np_random.integers(2**63))])
        with torch.no_grad():
            self.state = self._initial(self._streams, options)
        self._ended = False
        return self._seen()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Do one action.

        Raises
        ------
        ResetNeeded
            Before the first `reset`, and after an episode has ended.
        ValueError
            If the action has another shape than those of the action space.
        """
        streams = self._running()
        if self._ended:
            raise ResetNeeded("The episode has ended; call reset() to begin another one.")
        with torch.no_grad():
            tensor = self._read(np.asarray(action)[None], 1)
            self.state, outcome = self.simulation.advance(self.state, tensor, streams)
        terminated, truncated = bool(outcome.terminated), bool(outcome.truncated)
        self._ended = terminated or truncated
        observation, info = self._seen()
        return observation, float(outcome.reward), terminated, truncated, info

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Return a picture of the present state, or None where a window shows it."""
        if self.render_mode != "rgb_array":
            return None
        return self._picture()

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _seen(self) -> tuple[Any, dict[str, Any]]:
        if self.render_mode == "human":
            self._show()
        with torch.no_grad():
            batch = self._write(self.simulation.observe(self.state))
            info = single_info(self.simulation.info(self.state))
        if isinstance(batch, dict):
            return {name: array[0] for name, array in batch.items()}, info
        return batch[0], info

    def _picture(self) -> np.ndarray:
        self._running()
        return self.simulation.draw(self.state, 0)

    def _show(self) -> None:
        if self._window is None:
            self._window = Window(type(self).__name__, self.metadata["render_fps"])
        self._window.show(self._picture())

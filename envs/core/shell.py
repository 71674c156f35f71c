"""What the single and the vector environment share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from gymnasium.error import ResetNeeded

from beamwright.envs.core.arrays import ActionReader, ObservationWriter
from beamwright.envs.core.config import EnvConfig, load_config
from beamwright.envs.core.simulation import Simulation
from beamwright.envs.core.streams import Streams
from beamwright.errors import MicroscopeError, did_you_mean

__all__ = ["FRAMES_PER_SECOND", "Shell"]

FRAMES_PER_SECOND = 4


class Shell:
    """The simulation of an environment, its random streams and its present state.

    An environment is made of four things, which its two classes name::

        class SparseScanEnv(MicroscopeEnv):
            '''The manual.'''

            simulation, config, presets = SparseScanSimulation, SparseScanConfig, PRESETS


        class SparseScanVectorEnv(MicroscopeVectorEnv):
            '''Many of `SparseScanEnv` in one simulator; the manual is there.'''

            simulation, config, presets = SparseScanSimulation, SparseScanConfig, PRESETS
    """

    simulation: Any
    """Class of the simulation; of an object, its simulation."""
    config: Any
    """Class of the configuration; of an object, its configuration."""
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """What each named preset says beyond the defaults of the configuration."""
    metadata: dict[str, Any]

    def _prepare(self, preset: str | None, render_mode: str | None, overrides: Mapping[str, Any]) -> None:
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            raise MicroscopeError(
                f'render_mode = "{render_mode}" must be one of {", ".join(modes)}, or None.'
                f"{did_you_mean(render_mode, modes)}"
            )
        self.render_mode = render_mode
        self.config: EnvConfig = load_config(type(self).config, self.presets, preset, overrides)
        self.simulation: Simulation[Any] = self._simulate()
        device = self.simulation.device
        self._write = ObservationWriter(self.simulation.observation_space, device=device)
        self._read = ActionReader(self.simulation.action_space, device=device)
        self._streams: Streams | None = None
        self.state: Any = None
        """The state that the last observation came from; none before the first `reset`."""

    @property
    def streams(self) -> Streams:
        """Random streams of the environments, which move on as they are used; none before `reset`."""
        return self._running()

    def _simulate(self) -> Simulation[Any]:
        """Return the simulation; an environment that also flies real microscopes overrides this."""
        simulation: Simulation[Any] = type(self).simulation(self.config)
        return simulation

    def _initial(self, streams: Streams, options: Mapping[str, Any] | None) -> Any:
        """Return the states in which episodes begin; some environments know options."""
        return self.simulation.initial(streams)

    def _seed(self, seeds: Sequence[int]) -> Streams:
        return Streams.from_seeds(seeds, device=self.simulation.device)

    def _running(self) -> Streams:
        if self._streams is None or self.state is None:
            raise ResetNeeded("There is no episode yet; call reset() before step() or render().")
        return self._streams

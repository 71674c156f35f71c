"""The conformance suite of environments."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import yaml

from beamwright.testing.expecting import attempt, expect
from beamwright.testing.playing import Record, compare, play, row, sample

__all__ = ["check_environment"]

_COUNT = 3  # environments in a batch
_LONGEST_RECORD = 24  # steps that are compared
_ADVICE = (
    "symmetric and normalized|probably too (high|low)"  # natural units and counts without limit are meant
)
_TOPICS = ("action space", "observation space", "reward", "start", "end", "preset")


def check_environment(
    name: str,
    preset: str | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    seed: int = 0,
    longest: int = 500,
) -> None:
    """Hold a registered environment to everything that agents rely on.

    Gymnasium's own checks; a manual that names every preset; observations in their space through random
    play of whole episodes; one trajectory for a seed, whether played alone, by Gymnasium's loop over single
    environments, or in a batch; episodes that follow each other as declared; infos under constant keys;
    finite rewards; pictures of constant size that show something; a configuration that survives YAML;
    environments that do not feel when others are reset; a simulation that changes nothing in place.

    Parameters
    ----------
    name
        The id under which Gymnasium knows it.
    preset
        Which of its presets.
    overrides
        Fields of its configuration, to make what is checked small.
    seed
        Of everything random.
    longest
        Steps within which an episode of random play must end.

    Raises
    ------
    AssertionError
        If the environment breaks a rule; the message says which.
    """
    arguments = {**({} if preset is None else {"preset": preset}), **(overrides or {})}
    with _strictly(), attempt(f"{name} with {arguments}"):
        suite = _Suite(name, arguments, seed, longest)
        suite.check_gymnasium()
        suite.check_manual()
        suite.check_configuration()
        record = suite.check_play()
        suite.check_seeds(suite.check_batch(record))
        suite.check_partial_resets(record)
        suite.check_purity()
        suite.check_pictures()


@contextmanager
def _strictly() -> Iterator[None]:
    """Take warnings for errors, and show windows nowhere."""
    driver = os.environ.get("SDL_VIDEODRIVER")
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=f"(?s).*({_ADVICE})")
            yield
    finally:
        os.environ.pop("SDL_VIDEODRIVER")
        if driver is not None:
            os.environ["SDL_VIDEODRIVER"] = driver


class _Suite:
    def __init__(self, name: str, arguments: Mapping[str, Any], seed: int, longest: int) -> None:
        self.name, self.arguments, self.seed, self.longest = name, arguments, seed, longest

    def single(self, **more: Any) -> Any:
        import gymnasium

        return gymnasium.make(self.name, **self.arguments, **more)

    def vector(self, mode: str, **more: Any) -> Any:
        import gymnasium

        return gymnasium.make_vec(self.name, _COUNT, vectorization_mode=mode, **self.arguments, **more)

    def check_gymnasium(self) -> None:
        from gymnasium.utils.env_checker import check_env

        env = self.single().unwrapped
        with attempt("Gymnasium's check_env"):
            check_env(env)
        env.close()

    def check_manual(self) -> None:
        kind = type(self.single().unwrapped)
        manual = (kind.__doc__ or "").lower()
        for topic in (*_TOPICS, *kind.presets):
            expect(topic.lower() in manual, f'The docstring of {kind.__name__} must tell about "{topic}".')

    def check_configuration(self) -> None:
        config = self.single().unwrapped.config
        again = type(config).model_validate(yaml.safe_load(config.to_yaml()))
        expect(again == config, f"The configuration must survive YAML: {config!r} became {again!r}.")

    def check_play(self) -> Record:
        """Play whole episodes alone; return what a loop over single environments gives."""
        env, rng = self.single().unwrapped, np.random.default_rng(self.seed)
        length = 0
        for _ in range(2):
            length = max(length, self._check_episode(env, rng))
        return play(self.vector("sync"), min(length + 3, _LONGEST_RECORD), seed=self.seed)

    def _check_episode(self, env: Any, rng: np.random.Generator) -> int:
        observation, info = env.reset(seed=int(rng.integers(2**31)))
        form, keys = _form(info), list(info)
        for step in range(1, self.longest + 1):
            expect(
                env.observation_space.contains(observation),
                f"The observation of step {step - 1} lies outside the space: {_outside(env, observation)}.",
            )
            action = sample(env.action_space, _batched(observation), 1, rng)[0]
            observation, reward, terminated, truncated, info = env.step(action)
            expect(
                type(reward) is float and np.isfinite(reward), f"A reward must be a finite float: {reward!r}."
            )
            expect(
                type(terminated) is bool and type(truncated) is bool,
                f"terminated and truncated must be bool, not {type(terminated)} and {type(truncated)}.",
            )
            expect(
                list(info) == keys and _form(info) == form,
                f"Infos must keep their keys, types and shapes: {form} became {_form(info)}.",
            )
            if terminated or truncated:
                expect(
                    env.observation_space.contains(observation), "The last observation is not in the space."
                )
                return step
        raise AssertionError(f"An episode of random play must end within {self.longest} steps.")

    def check_batch(self, record: Record) -> Record:
        """Compare the batched simulator with the loop over single environments; return what it gives."""
        from gymnasium.vector import AutoresetMode
        from gymnasium.wrappers.vector import DictInfoToList

        env = self.vector("vector_entry_point")
        expect(
            env.metadata.get("autoreset_mode") is AutoresetMode.NEXT_STEP,
            'A vector environment must declare metadata["autoreset_mode"] as NEXT_STEP.',
        )
        batch = play(env, len(record.actions), seed=self.seed, actions=record.actions)
        compare(record, batch, "SyncVectorEnv and the batched environment")
        ends = [step for step in range(1, len(batch.rewards)) if batch.ended(step).any()]
        for step in ends:
            begun = batch.ended(step)
            expect(
                not batch.rewards[step][begun].any(), "The step that begins an episode must give no reward."
            )
        for observation in batch.observations:
            expect(
                env.observation_space.contains(observation), "A batch of observations is not in the space."
            )
        _, infos = DictInfoToList(env).reset(seed=self.seed)  # what RLlib reads
        expect([set(info) for info in infos] == [_keys(batch.infos[0])] * _COUNT, "Infos must be of each.")
        return batch

    def check_seeds(self, batch: Record) -> None:
        """Play again with the same seed, and with another."""
        env, steps = self.vector("vector_entry_point"), len(batch.actions)
        same = play(env, steps, seed=self.seed, actions=batch.actions)
        compare(batch, same, "two runs with the same seed", exact=True)
        other = play(env, steps, seed=self.seed + 1000, actions=batch.actions)
        try:
            compare(batch, other, "seeds", exact=True)
        except AssertionError:
            return
        raise AssertionError("Another seed must give another episode.")

    def check_partial_resets(self, record: Record) -> None:
        """Reset the first environment now and then; the others must not feel it."""
        rng = np.random.default_rng(self.seed)
        steps = len(record.actions)
        first = np.arange(_COUNT) == 0
        masks = {int(step): first for step in rng.choice(steps, size=min(3, steps), replace=False)}
        env = self.vector("vector_entry_point")
        disturbed = play(env, steps, seed=self.seed, actions=record.actions, masks=masks)
        compare(record, disturbed, "environments with and without resets beside them", rows=~first)

    def check_purity(self) -> None:
        """Compare states before and after everything that reads them."""
        env = self.vector("vector_entry_point").unwrapped
        observation, _ = env.reset(seed=self.seed)
        rng = np.random.default_rng(self.seed)
        for _ in range(2):
            actions = sample(env.single_action_space, observation, _COUNT, rng)
            self._check_reading(env, actions)
            observation, *_ = env.step(actions)
            kept = _copy(env.state)
            for array in observation.values() if isinstance(observation, dict) else [observation]:
                original = array.copy()
                array[...] = 1 - original
                _expect_same(kept, env.state, "An observation must not share memory with the state")
                array[...] = original

    def _check_reading(self, env: Any, actions: np.ndarray) -> None:
        import torch

        from beamwright.envs.core import Streams

        simulation, state, kept = env.simulation, env.state, _copy(env.state)
        streams = Streams.from_seed(self.seed, _COUNT, device=simulation.device)
        tensor = torch.as_tensor(actions, device=simulation.device)
        calls = {
            "observe": lambda: simulation.observe(state),
            "info": lambda: simulation.info(state),
            "draw": lambda: simulation.draw(state, 0),
            "advance": lambda: simulation.advance(state, tensor, streams),
        }
        for name, call in calls.items():
            with torch.no_grad():
                call()
            _expect_same(kept, state, f"simulation.{name} must not change the state in place")

    def check_pictures(self) -> None:
        env, rng = self.single(render_mode="rgb_array").unwrapped, np.random.default_rng(self.seed)
        observation, _ = env.reset(seed=self.seed)
        pictures = [env.render()]
        for _ in range(2):
            action = sample(env.action_space, _batched(observation), 1, rng)[0]
            observation, _, terminated, truncated, _ = env.step(action)
            pictures.append(env.render())
            if terminated or truncated:
                break
        for picture in pictures:
            expect(
                picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3,
                f"A picture must be (H, W, 3) uint8, not {picture.shape} {picture.dtype}.",
            )
            expect(picture.shape == pictures[0].shape, "Pictures must keep their size.")
            expect(
                not any(side % 2 for side in picture.shape[:2]), f"Videos need even sides: {picture.shape}."
            )
            expect(picture.std() > 2, "A picture must not be blank.")
        expect((pictures[0] != pictures[-1]).any(), "Pictures must show what an action did.")
        batch = self.vector("vector_entry_point", render_mode="rgb_array")
        batch.reset(seed=self.seed)
        frames = batch.render()
        expect(len(frames) == _COUNT, "A vector environment must draw one picture for each.")
        expect(
            np.mean(frames[0] != pictures[0]) < 0.02, "The batch must draw what the single environment does."
        )


def _copy(state: Any) -> Any:
    import torch

    from beamwright.envs.core import map_tensors

    return map_tensors(torch.clone, state)


def _expect_same(one: Any, two: Any, rule: str) -> None:
    import torch

    from beamwright.envs.core import map_tensors

    def same(a: Any, b: Any) -> Any:
        expect(torch.equal(a.nan_to_num(), b.nan_to_num()), f"{rule}.")
        return a

    map_tensors(same, one, two)


def _batched(observation: Any) -> Any:
    return row(observation, None) if isinstance(observation, dict) else observation[None]


def _form(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: (type(value).__name__, np.shape(value)) for key, value in info.items()}


def _keys(infos: Mapping[str, Any]) -> set[str]:
    return {key for key in infos if not key.startswith("_")}


def _outside(env: Any, observation: Any) -> str:
    parts = observation if isinstance(observation, dict) else {"it": observation}
    return ", ".join(
        f"{key} {value.dtype}{value.shape} in [{value.min()}, {value.max()}]" for key, value in parts.items()
    )

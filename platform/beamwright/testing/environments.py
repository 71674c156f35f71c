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
from beamwright.testing.pictures import check_pictures
from beamwright.testing.playing import Maker, Record, batch_of_one, play, sample
from beamwright.testing.vectors import check_batch, check_partial_resets, check_purity, check_seeds

__all__ = ["check_environment"]

_LONGEST_RECORD = 24  # steps that are compared
_TOPICS = ("action space", "observation space", "reward", "start", "end", "preset")
# Gymnasium's advice that does not hold here: natural units are meant, and counts have no limit.
_ADVICE = "(?s).*(symmetric and normalized|probably too high|probably too low)"


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
    maker = Maker(name, arguments, seed)
    with _strictly(), attempt(f"{name} with {arguments}"):
        _check_gymnasium(maker)
        _check_manual(maker)
        _check_configuration(maker)
        record = _check_play(maker, longest)
        check_seeds(maker, check_batch(maker, record))
        check_partial_resets(maker, record)
        check_purity(maker)
        check_pictures(maker)


@contextmanager
def _strictly() -> Iterator[None]:
    """Take warnings for errors, and show windows nowhere."""
    driver = os.environ.get("SDL_VIDEODRIVER")
    os.environ["SDL_VIDEODRIVER"] = "dummy"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", message=_ADVICE)
            yield
    finally:
        os.environ.pop("SDL_VIDEODRIVER")
        if driver is not None:
            os.environ["SDL_VIDEODRIVER"] = driver


def _check_gymnasium(maker: Maker) -> None:
    from gymnasium.utils.env_checker import check_env

    env = maker.single().unwrapped
    with attempt("Gymnasium's check_env"):
        check_env(env)
    env.close()


def _check_manual(maker: Maker) -> None:
    kind = type(maker.single().unwrapped)
    manual = (kind.__doc__ or "").lower()
    for topic in (*_TOPICS, *kind.presets):
        expect(topic.lower() in manual, f'The docstring of {kind.__name__} must tell about "{topic}".')


def _check_configuration(maker: Maker) -> None:
    config = maker.single().unwrapped.config
    again = type(config).model_validate(yaml.safe_load(config.to_yaml()))
    expect(again == config, f"The configuration must survive YAML: {config!r} became {again!r}.")


def _check_play(maker: Maker, longest: int) -> Record:
    """Play whole episodes alone; return what a loop over single environments gives."""
    env, rng = maker.single().unwrapped, np.random.default_rng(maker.seed)
    length = 0
    for _ in range(2):
        length = max(length, _check_episode(env, rng, longest))
    return play(maker.vector("sync"), min(length + 3, _LONGEST_RECORD), seed=maker.seed)


def _check_episode(env: Any, rng: np.random.Generator, longest: int) -> int:
    observation, info = env.reset(seed=int(rng.integers(2**31)))
    form, keys = _form(info), list(info)
    for step in range(1, longest + 1):
        expect(
            env.observation_space.contains(observation),
            f"The observation of step {step - 1} lies outside the space: {_outside(env, observation)}.",
        )
        action = sample(env.action_space, batch_of_one(observation), 1, rng)[0]
        observation, reward, terminated, truncated, info = env.step(action)
        expect(type(reward) is float and np.isfinite(reward), f"A reward must be a finite float: {reward!r}.")
        expect(
            type(terminated) is bool and type(truncated) is bool,
            f"terminated and truncated must be bool, not {type(terminated)} and {type(truncated)}.",
        )
        expect(
            list(info) == keys and _form(info) == form,
            f"Infos must keep their keys, types and shapes: {form} became {_form(info)}.",
        )
        if terminated or truncated:
            expect(env.observation_space.contains(observation), "The last observation is not in the space.")
            return step
    raise AssertionError(f"An episode of random play must end within {longest} steps.")


def _form(info: Mapping[str, Any]) -> dict[str, Any]:
    return {key: (type(value).__name__, np.shape(value)) for key, value in info.items()}


def _outside(env: Any, observation: Any) -> str:
    parts = observation if isinstance(observation, dict) else {"it": observation}
    return ", ".join(
        f"{key} {value.dtype}{value.shape} in [{value.min()}, {value.max()}]" for key, value in parts.items()
    )

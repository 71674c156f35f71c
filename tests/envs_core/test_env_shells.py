"""The two shells: Gymnasium's manners, seeds, autoreset, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from ball import BallVectorEnv
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import RecordVideo
from gymnasium.wrappers.vector import DictInfoToList
from gymnasium.wrappers.vector import RecordVideo as RecordVectorVideo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from beamwright.errors import MicroscopeError
from beamwright.testing.playing import compare, play

COUNT = 5


def both(name: str, **arguments: Any) -> tuple[Any, Any]:
    return tuple(
        gymnasium.make_vec(name, COUNT, vectorization_mode=mode, **arguments)
        for mode in ("sync", "vector_entry_point")
    )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**40),
    preset=st.sampled_from([None, "long", "far"]),
    masks=st.dictionaries(
        st.integers(0, 19), st.lists(st.booleans(), min_size=COUNT, max_size=COUNT).filter(any)
    ),
)
def test_a_batch_is_gymnasiums_loop(
    ball: str, seed: int, preset: str | None, masks: dict[int, list[bool]]
) -> None:
    loop, batch = both(ball, preset=preset)
    arrays = {step: np.array(mask) for step, mask in masks.items()}
    one = play(loop, 20, seed=seed, masks=arrays)
    compare(one, play(batch, 20, seed=seed, actions=one.actions, masks=arrays), "loop and batch")


def test_a_reset_of_some_is_that_of_gymnasiums_loop(ball: str) -> None:
    loop, batch = both(ball)
    mask = np.array([True, False, True, False, False])
    for env in (loop, batch):
        env.reset(seed=1)
    for seed in (None, 7, [1, None, None, 5, 6]):
        (one, first), (two, second) = (
            env.reset(seed=seed, options={"reset_mask": mask}) for env in (loop, batch)
        )
        for key in one:
            np.testing.assert_allclose(one[key], two[key], atol=1e-6)
        assert first.keys() == second.keys()
        for key in first:
            np.testing.assert_allclose(first[key], second[key], atol=1e-6, err_msg=key)
            assert first[key].dtype == second[key].dtype, key


def test_an_episode_follows_the_other_at_the_next_step(ball: str) -> None:
    env = gymnasium.make_vec(ball, COUNT, noise=0.0, start=1000.0)
    assert env.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    env.reset(seed=0)
    still = np.zeros((COUNT, 2), np.float32)
    for step in range(1, 15):
        observation, reward, terminated, truncated, info = env.step(still)
        begun = observation["step"][:, 0] == 0
        assert not reward[begun].any()
        assert not (terminated | truncated)[begun].any()
        assert (truncated == (step % 7 == 6)).all()
        assert (begun == (step % 7 == 0)).all()
        assert (info["steps"] == observation["step"][:, 0]).all()


def test_a_seed_makes_the_trajectory(ball: str) -> None:
    env = gymnasium.make(ball).unwrapped
    first, _ = env.reset(seed=3)
    follows, _ = env.reset()
    again, _ = env.reset(seed=3)
    follows_again, _ = env.reset()
    assert (first["place"] == again["place"]).all()
    assert (follows["place"] == follows_again["place"]).all()
    assert (first["place"] != follows["place"]).any()
    assert env.np_random_seed == 3


def test_without_a_seed_every_environment_is_another(ball: str) -> None:
    one, two = (gymnasium.make_vec(ball, COUNT) for _ in range(2))
    places = np.concatenate([one.reset()[0]["place"], two.reset()[0]["place"]])
    assert len(np.unique(places[:, 0])) == 2 * COUNT


def test_infos_are_numbers_of_their_type(ball: str) -> None:
    env = gymnasium.make(ball).unwrapped
    _, info = env.reset(seed=0)
    assert [type(info[key]) for key in ("far", "near", "steps")] == [np.float32, bool, np.int64]
    assert info["place"].shape == (2,)
    wrapped = DictInfoToList(gymnasium.make_vec(ball, COUNT))
    _, infos = wrapped.reset(seed=0)
    assert [set(item) for item in infos] == [{"far", "near", "steps", "place"}] * COUNT


def test_observations_are_clipped_and_typed(ball: str) -> None:
    env = gymnasium.make(ball, start=100.0).unwrapped
    observation, info = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert np.abs(info["place"]).max() > 2
    assert observation["step"].dtype == np.uint8


def test_a_user_cannot_change_the_state(ball: str) -> None:
    env = gymnasium.make_vec(ball, COUNT).unwrapped
    observation, info = env.reset(seed=0)
    place = env.state.place.clone()
    observation["place"][...], info["place"][...] = 9, 9
    assert torch.equal(env.state.place, place)


def test_a_runner_that_gives_only_num_envs_is_served(ball: str) -> None:
    # RLlib registers creators of its own, and calls the batched one with the number of environments alone.
    name = "beamwright-tests/creator-v0"
    gymnasium.register(
        name, vector_entry_point=lambda num_envs: BallVectorEnv(**{"steps": 3, "num_envs": num_envs})
    )
    try:
        env = gymnasium.make_vec(
            name, num_envs=7, vectorization_mode=gymnasium.VectorizeMode.VECTOR_ENTRY_POINT
        )
    finally:
        gymnasium.registry.pop(name)
    env.reset(seed=0)
    _, _, _, truncated, _ = env.step(list(env.action_space.sample()))
    assert env.unwrapped.config.steps == 3
    assert truncated.shape == (7,)


def test_steps_need_an_episode(ball: str) -> None:
    env, batch = gymnasium.make(ball, render_mode="rgb_array").unwrapped, gymnasium.make_vec(ball, 2)
    for call in (lambda: env.step(np.zeros(2)), env.render, lambda: batch.step(np.zeros((2, 2)))):
        with pytest.raises(ResetNeeded, match=r"no episode yet; call reset\(\)"):
            call()
    env.reset(seed=0)
    for _ in range(6):
        *_, terminated, truncated, _ = env.step(np.ones(2, np.float32))
        if terminated or truncated:
            break
    with pytest.raises(ResetNeeded, match=r"episode has ended; call reset\(\)"):
        env.step(np.zeros(2))


def test_what_is_wrong_is_said(ball: str) -> None:
    env = gymnasium.make_vec(ball, 3)
    env.reset(seed=0)
    with pytest.raises(
        ValueError, match=r"shape \(3, 2\): one of shape \(2,\) each, for 3 environments, not \(2, 2\)"
    ):
        env.step(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="one seed for each of 3 environments, not 2"):
        env.reset(seed=[1, 2])
    for mask in ([True], [0, 1, 2], [False] * 3):
        with pytest.raises(ValueError, match="reset_mask must be 3 booleans"):
            env.reset(options={"reset_mask": mask})
    with pytest.raises(MicroscopeError, match="num_envs = 0 must be at least 1"):
        gymnasium.make_vec(ball, 0)
    with pytest.raises(MicroscopeError, match='render_mode = "rgb" must be one of rgb_array, or None'):
        BallVectorEnv(2, render_mode="rgb")
    with pytest.raises(MicroscopeError, match=r'there is no such key\. Did you mean "steps"'):
        gymnasium.make(ball, step=3)


def test_a_window_shows_the_episode(ball: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gymnasium.make(ball, render_mode="human").unwrapped
    env.reset(seed=0)
    assert env.render() is None
    import pygame

    surface = pygame.display.get_surface()
    assert surface.get_size() == (64, 64)
    shown = pygame.surfarray.array3d(surface).swapaxes(0, 1)
    assert (shown == env.simulation.draw(env.state, 0)).all()
    env.close()
    env.close()
    assert not pygame.display.get_init()


def test_videos_are_written(ball: str, tmp_path: Path) -> None:
    env = RecordVideo(gymnasium.make(ball, render_mode="rgb_array"), str(tmp_path / "one"))
    env.reset(seed=0)
    while not any(env.step(env.action_space.sample())[2:4]):
        pass
    env.close()
    batch = RecordVectorVideo(gymnasium.make_vec(ball, 4, render_mode="rgb_array"), str(tmp_path / "many"))
    batch.reset(seed=0)
    for _ in range(3):
        batch.step(batch.action_space.sample())
    batch.close()
    for folder in ("one", "many"):
        assert all(path.stat().st_size > 500 for path in (tmp_path / folder).glob("*.mp4"))
        assert list((tmp_path / folder).glob("*.mp4"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card, and torch sees none")
def test_a_card_gives_what_the_processor_gives(ball: str) -> None:
    records = []
    for device in ("cpu", "cuda"):
        env = gymnasium.make_vec(ball, COUNT, device=device)
        records.append(play(env, 15, seed=0, actions=records[0].actions if records else None))
    compare(*records, "processor and card")

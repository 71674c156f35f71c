"""The part of the suite of environments that is about batches: of one seed, of resets, of states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from beamwright.testing.expecting import expect
from beamwright.testing.playing import COUNT, Maker, Record, compare, play, sample

__all__ = ["check_batch", "check_partial_resets", "check_purity", "check_seeds"]


def check_batch(maker: Maker, record: Record) -> Record:
    """Compare the batched simulator with the loop over single environments; return what it gives."""
    from gymnasium.vector import AutoresetMode
    from gymnasium.wrappers.vector import DictInfoToList

    env = maker.vector("vector_entry_point")
    expect(
        env.metadata.get("autoreset_mode") is AutoresetMode.NEXT_STEP,
        'A vector environment must declare metadata["autoreset_mode"] as NEXT_STEP.',
    )
    batch = play(env, len(record.actions), seed=maker.seed, actions=record.actions)
    compare(record, batch, "SyncVectorEnv and the batched environment")
    ends = [step for step in range(1, len(batch.rewards)) if batch.ended(step).any()]
    for step in ends:
        begun = batch.ended(step)
        expect(not batch.rewards[step][begun].any(), "The step that begins an episode must give no reward.")
    for observation in batch.observations:
        expect(env.observation_space.contains(observation), "A batch of observations is not in the space.")
    _, infos = DictInfoToList(env).reset(seed=maker.seed)  # what RLlib reads
    expect([set(info) for info in infos] == [_keys(batch.infos[0])] * COUNT, "Infos must be of each.")
    return batch


def check_seeds(maker: Maker, batch: Record) -> None:
    """Play again with the same seed, and with another."""
    env, steps = maker.vector("vector_entry_point"), len(batch.actions)
    same = play(env, steps, seed=maker.seed, actions=batch.actions)
    compare(batch, same, "two runs with the same seed", exact=True)
    other = play(env, steps, seed=maker.seed + 1000, actions=batch.actions)
    try:
        compare(batch, other, "seeds", exact=True)
    except AssertionError:
        return
    raise AssertionError("Another seed must give another episode.")


def check_partial_resets(maker: Maker, record: Record) -> None:
    """Reset the first environment now and then; the others must not feel it."""
    rng = np.random.default_rng(maker.seed)
    steps = len(record.actions)
    first = np.arange(COUNT) == 0
    masks = {int(step): first for step in rng.choice(steps, size=min(3, steps), replace=False)}
    env = maker.vector("vector_entry_point")
    disturbed = play(env, steps, seed=maker.seed, actions=record.actions, masks=masks)
    compare(record, disturbed, "environments with and without resets beside them", rows=~first)


def check_purity(maker: Maker) -> None:
    """Compare states before and after everything that reads them."""
    env = maker.vector("vector_entry_point").unwrapped
    observation, _ = env.reset(seed=maker.seed)
    rng = np.random.default_rng(maker.seed)
    for _ in range(2):
        actions = sample(env.single_action_space, observation, COUNT, rng)
        _check_reading(env, actions)
        observation, _, terminated, truncated, _ = env.step(actions)
        kept = _copy(env.state)
        for array in observation.values() if isinstance(observation, dict) else [observation]:
            original = array.copy()
            array[...] = 1 - original
            _expect_same(kept, env.state, "An observation must not share memory with the state")
            array[...] = original
        if (terminated | truncated).any():
            break  # what has ended is not advanced


def _check_reading(env: Any, actions: np.ndarray) -> None:
    import torch

    from beamwright.envs.core import Streams

    simulation, state, kept = env.simulation, env.state, _copy(env.state)
    streams = Streams.from_seed(0, COUNT, device=simulation.device)
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


def _keys(infos: Mapping[str, Any]) -> set[str]:
    return {key for key in infos if not key.startswith("_")}

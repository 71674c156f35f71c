import numpy as np
import pytest
import torch

from beamwright.envs.sparse_scan import SparseScanEnv

FEW = {"specimen": {"pool": 8}}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def episode(actions=None, **overrides):
    """Errors and rewards of an episode along the first allowed heading."""
    env = SparseScanEnv(preset="small", **{**FEW, **overrides})
    observation, info = env.reset(seed=3)
    errors, rewards, shares, ended = [info["error"]], [], [observation["numbers"][4]], False
    while not ended:
        allowed = np.flatnonzero(observation["action_mask"])
        action = allowed[len(rewards) % len(allowed)] if actions is None else actions[len(rewards)]
        observation, reward, terminated, truncated, info = env.step(action)
        errors.append(info["error"])
        rewards.append(reward)
        shares.append(observation["numbers"][4])
        ended = terminated or truncated
    return np.array(errors), np.array(rewards), np.array(shares)


def test_the_drop_of_the_logarithm_telescopes():
    errors, rewards, _ = episode(reward={"floor": 1e-3, "scale": 2.0})
    assert rewards.sum() == pytest.approx(2 * np.log((errors[0] + 1e-3) / (errors[-1] + 1e-3)), abs=1e-4)
    assert rewards == pytest.approx(-2 * np.diff(np.log(errors + 1e-3)), abs=1e-4)


def test_the_drop_of_the_error_telescopes():
    errors, rewards, _ = episode(reward={"mode": "mse"})
    assert rewards.sum() == pytest.approx(errors[0] - errors[-1], abs=1e-5)


def test_the_final_error_comes_at_the_end():
    errors, rewards, _ = episode(reward={"mode": "final"})
    assert (rewards[:-1] == 0).all()
    assert rewards[-1] == pytest.approx(-errors[-1], abs=1e-6)


def test_the_whole_budget_costs_its_price():
    _, free, _ = episode()
    _, paid, shares = episode(reward={"price": 0.7})
    assert free - paid == pytest.approx(-0.7 * np.diff(shares), abs=1e-5)
    assert (free - paid).sum() == pytest.approx(0.7, abs=1e-5)


def test_a_drop_per_cost_is_in_units_of_the_cheapest_action():
    same, per_cost = (episode(reward={"per_cost": flag})[1] for flag in (False, True))
    assert same[:-1] == pytest.approx(per_cost[:-1], abs=1e-5)
    action = {"points": 8, "headings": 16, "dwell": (10.0, 40.0), "levels": 2}
    actions = [16 + heading for heading in (0, 4, 8)]  # the long dwell costs four times as much
    long, long_per_cost = (
        episode(actions, action=action, reward={"per_cost": flag}, max_steps=3)[1] for flag in (False, True)
    )
    assert long == pytest.approx(4 * long_per_cost, abs=1e-5)


def test_leaving_the_field_is_punished():
    outwards = [0] * 40
    free, punished = (episode(outwards, reward={"edge": edge})[1] for edge in (0.0, 0.05))
    assert (free - punished)[0] == pytest.approx(0)
    assert (free - punished)[1:] == pytest.approx(0.05)

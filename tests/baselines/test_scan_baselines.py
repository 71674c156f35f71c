"""Baselines for scanning: they play by the rules, spend what there is, and do what they say."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from beamwright.agents.baselines import BASELINES
from beamwright.agents.baselines.baseline import Baseline, make_baseline
from beamwright.agents.baselines.scan_base import SEGMENTS, TILES, points_left, training_simulation
from beamwright.agents.baselines.scan_greedy import Greedy, Oracle
from beamwright.agents.baselines.scan_static import Grid, Halton
from beamwright.agents.baselines.scan_tiles import TilesApart
from beamwright.agents.evaluation import difference, play_episodes
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)

QUICK = {
    "greedy-learned": {"rounds": 1, "episodes": 8},
    "slads": {"rounds": 1, "episodes": 8, "group": 16},
    "optimised-path": {"steps": 5},
}
SMALL = {"preset": "small", "effects": {"poisson": False}}
SMALL_TILES = {
    "shape": (32, 32),
    "specimen": {"pool": 64},
    "effects": {"poisson": False},
    "budget": {"coverage": 0.3},
}
STEERED = {**SMALL, "action": {"kind": "continuous", "points": 8}}


def _scanners(env_id: str) -> list[str]:
    return [entry.name for entry in BASELINES if env_id in entry.load().environments]


def _make(name: str, env_id: str) -> Baseline:
    return make_baseline(name, env_id, **QUICK.get(name, {}))


@pytest.mark.parametrize("name", _scanners(SEGMENTS))
def test_segment_baselines_spend_the_budget_and_no_more(name: str) -> None:
    played = play_episodes(SEGMENTS, _make(name, SEGMENTS), 6, seed=3, **SMALL)
    points = round(0.12 * 32 * 32)
    assert (played.figures["points"] == points).all()
    assert np.isfinite(played.figures["psnr"]).all()


@pytest.mark.parametrize("name", _scanners(TILES))
def test_tile_baselines_spend_the_budget_and_no_more(name: str) -> None:
    played = play_episodes(TILES, _make(name, TILES), 6, seed=3, **SMALL_TILES)
    assert (played.figures["points"] == round(0.3 * 32 * 32)).all()


@pytest.mark.parametrize(
    "name", ["spiral", "square-spiral", "lissajous", "optimised-path", "greedy", "oracle"]
)
def test_continuous_directions_are_steered_by_actions(name: str) -> None:
    played = play_episodes(SEGMENTS, _make(name, SEGMENTS), 4, seed=3, **STEERED)
    assert (played.figures["length"] == -(-round(0.12 * 32 * 32) // 8)).all()


@pytest.mark.parametrize("name", ["grid", "greedy", "spiral", "random-walk"])
def test_a_single_environment_is_played_as_one_of_a_batch(name: str) -> None:
    env = gymnasium.make(SEGMENTS, **SMALL)
    baseline = _make(name, SEGMENTS)
    observation, info = env.reset(seed=3)
    baseline.reset(env)
    ended = False
    while not ended:
        observation, _, terminated, truncated, info = env.step(baseline.act(observation, info))
        ended = terminated or truncated
    batch = play_episodes(SEGMENTS, _make(name, SEGMENTS), 3, seed=3, **SMALL)
    assert float(info["psnr"]) == pytest.approx(batch.figures["psnr"][0], abs=1e-3)


def test_followed_patterns_stay_close_to_their_chain() -> None:
    env = gymnasium.make_vec(SEGMENTS, num_envs=2, vectorization_mode="vector_entry_point", **STEERED)
    baseline = make_baseline("square-spiral", SEGMENTS)
    observation, info = env.reset(seed=0)
    baseline.reset(env)
    corners = []
    for _ in range(10):
        observation, _, _, _, info = env.step(baseline.act(observation, info))
        corners.append(env.unwrapped.state.position[0].numpy())
    assert np.abs(np.array(corners) - baseline._corners[1:11].numpy()).max() < 1.0


def test_reach_is_tuned_on_training_specimens_and_can_be_given() -> None:
    tuned, given = Grid(), Grid(reach=0.5)
    for grid in (tuned, given):
        play_episodes(SEGMENTS, grid, 2, seed=3, split="test", **SMALL)
    assert given._reach == 0.5
    simulation = training_simulation(tuned.env.simulation)
    assert simulation.scan_config.split == "train"
    best = tuned._error_with(tuned._reach, simulation)
    assert best == min(tuned._error_with(reach, simulation) for reach in (0.3, 0.5, 0.7, 1.0, tuned._reach))


def test_whole_scans_give_each_environment_the_points_of_its_own_budget() -> None:
    budget = {"coverage": [0.05, 0.2]}
    played = play_episodes(SEGMENTS, Halton(reach=1.0), 8, seed=0, **{**SMALL, "budget": budget})
    points = played.figures["points"]
    assert len(np.unique(points)) > 4
    assert (points >= 51).all()
    assert (points <= 205).all()


def test_points_left_counts_seconds_as_well_as_electrons() -> None:
    limits = {"coverage": None, "seconds": 1e-3}
    env = gymnasium.make_vec(
        SEGMENTS, num_envs=1, vectorization_mode="vector_entry_point", **{**SMALL, "budget": limits}
    )
    env.reset(seed=0)
    left = points_left(env.unwrapped.state, env.unwrapped.config, 10.0)
    assert left.tolist() == [100]


def test_greedy_takes_the_best_score_that_the_environment_shows() -> None:
    env = gymnasium.make_vec(SEGMENTS, num_envs=4, vectorization_mode="vector_entry_point", **SMALL)
    greedy = Greedy()
    observation, info = env.reset(seed=0)
    greedy.reset(env)
    for _ in range(5):
        action = greedy.act(observation, info)
        assert (action == observation["scores"].argmax(1)).all()
        observation, _, _, _, info = env.step(action)


def test_greedy_never_chooses_what_costs_more_or_stops() -> None:
    env = gymnasium.make_vec(SEGMENTS, num_envs=4, vectorization_mode="vector_entry_point", preset="choices")
    greedy = Greedy()
    observation, info = env.reset(seed=0)
    greedy.reset(env)
    moves = env.unwrapped.simulation.moves
    for _ in range(4):
        action = torch.from_numpy(greedy.act(observation, info))
        assert (action < len(moves.angle)).all()
        assert (moves.points[action] == 24).all()
        assert (moves.dwell[action] == 5).all()
        observation, _, _, _, info = env.step(action.numpy())


def test_seeing_the_specimen_helps() -> None:
    seen, walked = (
        play_episodes(SEGMENTS, player, 48, seed=7, **SMALL)
        for player in (Oracle(), make_baseline("random-walk", SEGMENTS))
    )
    gain, low, high = difference(seen, walked, "psnr")
    assert low < gain < high
    assert low > 0


def test_greedy_says_when_nothing_predicts_the_error() -> None:
    env = gymnasium.make_vec(SEGMENTS, num_envs=1, vectorization_mode="vector_entry_point", **SMALL)
    env.reset(seed=0)
    object.__setattr__(env.unwrapped.state, "predicted", None)
    with pytest.raises(
        MicroscopeError, match="predicts its error, and this one does not; play greedy-learned"
    ):
        Greedy().reset(env)


def test_tiles_apart_begin_in_the_middle_and_spread() -> None:
    order = TilesApart().order(5, 5)
    assert sorted(order.tolist()) == list(range(25))
    assert order[0] == 12
    assert set(order[1:5].tolist()) == {0, 4, 20, 24}

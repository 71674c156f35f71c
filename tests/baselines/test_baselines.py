"""Every baseline plays what it says it can play, alone and in a batch, and is worth something."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch

from beamwright.agents.baselines import BASELINES
from beamwright.agents.baselines.baseline import make_baseline
from beamwright.agents.evaluation import difference, play_episodes
from beamwright.envs import ENVIRONMENTS
from beamwright.errors import ExperimentError, MicroscopeError, UnknownNameError

SCAN, TILES = "beamwright/SparseScan-v0", "beamwright/SparseScanTiles-v0"
ALIGN, TEM, TRACK = "beamwright/AlignSTEM-v0", "beamwright/AlignTEM-v0", "beamwright/TrackDrift-v0"
SHORT = {
    SCAN: {"preset": "small"},
    TILES: {"preset": "fast-vector"},
    ALIGN: {"preset": "lattice"},
    TEM: {"preset": "tableau"},
    TRACK: {"steps": 6},
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def _pairs():
    for entry in BASELINES:
        able = entry.load().environments or tuple(item.name for item in ENVIRONMENTS)
        yield from ((entry.name, env_id) for env_id in able)


@pytest.mark.parametrize(("name", "env_id"), list(_pairs()))
def test_plays_alone_and_in_a_batch_alike(name, env_id):
    baseline = make_baseline(name, env_id)
    played = play_episodes(env_id, baseline, 2, seed=3, **SHORT[env_id])
    assert all(np.isfinite(values).all() for values in played.figures.values())
    env = gymnasium.make(env_id, **SHORT[env_id])
    observation, info = env.reset(seed=3)
    baseline.reset(env)
    total, ended, steps = 0.0, False, 0
    while not ended:
        action = baseline.act(observation, info)
        assert env.action_space.contains(np.asarray(action, env.action_space.dtype))
        observation, reward, terminated, truncated, info = env.step(action)
        total, steps, ended = total + reward, steps + 1, terminated or truncated
    if name not in ("random", "gp-bo"):  # their own random numbers, or a fit that rounding may tip
        assert total == pytest.approx(played.figures["return"][0], rel=0.05, abs=0.05)
        assert steps == played.figures["length"][0]


@pytest.mark.parametrize("name", ["grid", "halton", "spiral", "serpentine", "random-walk"])
def test_whole_scans_spend_the_budget_and_no_more(name):
    played = play_episodes(SCAN, make_baseline(name, SCAN), 4, preset="small")
    walked = play_episodes(SCAN, make_baseline("greedy", SCAN), 4, preset="small")
    assert played.figures["electrons"] == pytest.approx(walked.figures["electrons"], rel=0.05)
    assert (played.figures["length"] == 1).all()


def test_oracle_bounds_greedy_and_greedy_beats_chance():
    plays = {
        name: play_episodes(SCAN, make_baseline(name, SCAN), 48, preset="images", split="test")
        for name in ("oracle", "greedy", "random")
    }
    for better, worse in (("oracle", "greedy"), ("greedy", "random")):
        gap, low, _ = difference(plays[better], plays[worse], "psnr")
        assert gap > 0
        assert low > -0.1


def test_a_tracker_is_better_than_none():
    plays = {
        name: play_episodes(TRACK, make_baseline(name, TRACK), 32, split="test")
        for name in ("hold-still", "repeat-measure", "kalman")
    }
    for better, worse in (("kalman", "repeat-measure"), ("repeat-measure", "hold-still")):
        _, low, _ = difference(plays[better], plays[worse], "return")
        assert low > 0


@pytest.mark.parametrize("name", ["nelder-mead", "coordinates"])
def test_searches_sharpen_with_enough_exposures(name):
    played = play_episodes(ALIGN, make_baseline(name, ALIGN), 16, preset="lattice", exposures=60)
    start = play_episodes(ALIGN, make_baseline(name, ALIGN), 16, preset="lattice", exposures=4)
    assert np.median(played.figures["strehl"]) > 2 * np.median(start.figures["strehl"])


def test_what_cannot_be_made_is_said():
    with pytest.raises(UnknownNameError, match=r'no baseline "greed"\. Did you mean "greedy"'):
        make_baseline("greed", SCAN)
    with pytest.raises(
        ExperimentError, match=r"kalman.* plays .*TrackDrift-v0, not .*SparseScan-v0; .*greedy"
    ):
        make_baseline("kalman", SCAN)
    with pytest.raises(ExperimentError, match=r'no option "blurr"\. Did you mean "blur"'):
        make_baseline("greedy", SCAN, blurr=2)


def test_greedy_says_what_it_needs(monkeypatch):
    env = gymnasium.make(SCAN, preset="small")
    env.reset(seed=0)
    baseline = make_baseline("greedy", SCAN)
    monkeypatch.setattr(type(baseline), "error", lambda self, state: None)
    with pytest.raises(MicroscopeError, match="predicts its error, and this one does not"):
        baseline.reset(env)

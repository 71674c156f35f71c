import numpy as np
import pytest
import torch

from beamwright.envs.alignment import AlignSTEMEnv
from beamwright.envs.instrument import Recording, ReplayMicroscope, SimulatedMicroscope
from beamwright.envs.sparse_scan import SparseScanEnv, SparseScanTilesEnv
from beamwright.envs.track_drift import TrackDriftEnv
from beamwright.errors import MicroscopeError

SMALL = {"size": 128, "margin": 32, "specimen": {"classes": ["random_lattice"], "pool": 2}}
KNOBS = ("C10", "C12a", "C12b", "C21a", "C21b")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def simulated(**config):
    return SimulatedMicroscope({**SMALL, **config}, seed=4)


def replay():
    """A focal series whose only truth is that it is sharpest at C10 = 0."""
    texture = np.random.default_rng(0).normal(size=(64, 64))
    recordings = [
        Recording(50 + 8 * texture / (1 + abs(c10)), 0.075, 10.0, {"C10": c10, "shift_y": y, "shift_x": 0.0})
        for c10 in (-40.0, 0.0, 40.0)
        for y in (-2.0, 2.0)
    ]
    return ReplayMicroscope(recordings, current=40.0, noise=True)


def episode(env, choose):
    """Play one episode; return its observations, rewards and last info."""
    observation, info = env.reset(seed=0)
    seen, rewards, ended = [observation], [], False
    while not ended:
        observation, reward, terminated, truncated, info = env.step(choose(observation))
        seen.append(observation)
        rewards.append(reward)
        ended = terminated or truncated
    assert all(env.observation_space.contains(one) for one in seen)
    assert np.isfinite(rewards).all()
    return seen, rewards, info


def test_a_column_is_aligned_for_a_whole_episode():
    microscope = simulated()
    env = AlignSTEMEnv(microscope=microscope, observation="images")
    truth = lambda: np.array([microscope.aberrations[name] for name in KNOBS])  # noqa: E731
    before = np.abs(truth())

    def correct(_):
        radians = -truth() * np.array([env.simulation.column.radians[name] for name in KNOBS])
        return radians.clip(-16, 16).astype(np.float32)

    seen, _, info = episode(env, correct)
    assert info["exposures"] == env.simulation.config.exposures
    assert info["electrons"] == pytest.approx(microscope.spent.electrons, rel=1e-5)  # none for nothing
    assert np.isnan(info["strehl"])
    assert (np.abs(truth())[before > 1] < before[before > 1] / 4).all()
    first, last = (one["picture"].var() / one["picture"].mean() ** 2 for one in (seen[0], seen[-1]))
    assert last > first


def test_a_column_is_aligned_by_its_ronchigrams():
    env = AlignSTEMEnv(
        microscope=simulated(), probe="ronchigram", observation="images", diagnostic=[{}], exposures=4
    )
    seen, _, info = episode(env, lambda _: np.zeros(5, np.float32))
    assert info["exposures"] == 4
    assert seen[-1]["picture"].max() > 0


def test_a_focal_series_is_flown():
    microscope = replay()
    env = AlignSTEMEnv(
        microscope=microscope, observation="images", knobs=["C10"], diagnostic=[{}], offsets={}
    )
    start = microscope.get()["C10"]
    seen, *_ = episode(env, lambda _: np.array([8.0], np.float32))
    assert start == -40
    assert microscope.get()["C10"] > start
    contrast = [float(one["picture"].var()) for one in seen]
    assert max(contrast) > contrast[0]


@pytest.mark.parametrize("make", [simulated, replay])
def test_drift_is_tracked_for_a_whole_episode(make):
    microscope = make()
    env = TrackDriftEnv(microscope=microscope, observation="images", steps=6)
    _, rewards, info = episode(env, lambda _: np.array([0.05, -0.05, 2.0, 1.0], np.float32))
    assert len(rewards) == 6
    assert info["exposures"] >= 6
    assert microscope.get()["shift_y"] != 0
    assert np.isnan(info["position_error"])


@pytest.mark.parametrize("make", [simulated, replay])
@pytest.mark.parametrize(("single", "preset"), [(SparseScanEnv, "small"), (SparseScanTilesEnv, None)])
def test_a_specimen_is_scanned_for_a_whole_episode(single, preset, make):
    microscope = make()
    env = single(preset=preset, microscope=microscope)

    def greedy(observation):
        return int(np.argmax(observation["scores"])) if "scores" in observation else env.action_space.sample()

    env.action_space.seed(0)
    seen, _, info = episode(env, greedy)
    assert info["electrons"] == pytest.approx(microscope.spent.electrons, rel=1e-4)
    assert np.isnan(info["error"])
    measured = seen[-1]["maps"][0]
    assert measured.max() > 0


def test_a_microscope_without_what_is_turned_is_refused():
    with pytest.raises(MicroscopeError, match="simulator has no control C12a, C12b, C21a, C21b, which this"):
        AlignSTEMEnv(microscope=simulated(controls={"C10": 100.0}))
    with pytest.raises(
        MicroscopeError, match=r"larger than that of simulator, 3.2 x 3.2 nm; set pixel_size to"
    ):
        SparseScanEnv(preset="small", microscope=simulated(), pixel_size=1.0)

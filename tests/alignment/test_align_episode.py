import math

import numpy as np
import pytest
import torch

from beamwright.envs.alignment import (
    AlignSimulation,
    AlignSTEMConfig,
    AlignSTEMEnv,
    AlignTEMConfig,
    AlignTEMEnv,
    BundleEstimator,
)
from beamwright.envs.alignment.presets import IDEAL, STEM_PRESETS, TEM_PRESETS
from beamwright.envs.core import Streams, load_config
from beamwright.envs.microscope.corrector import actual

SMALL = FILM = {"specimen": {"pool": 4}}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def stem(preset="lattice", **overrides):
    return AlignSimulation(load_config(AlignSTEMConfig, STEM_PRESETS, preset, {**SMALL, **overrides}))


def tem(preset="tableau", **overrides):
    return AlignSimulation(load_config(AlignTEMConfig, TEM_PRESETS, preset, {**FILM, **overrides}))


def begin(simulation, count=8, seed=0):
    streams = Streams.from_seed(seed, count)
    return simulation.initial(streams), streams


def corrections(simulation, state, share=1.0):
    """What an agent that knows the truth would do."""
    knobs = len(simulation.config.knobs)
    action = torch.zeros(len(state.steps), *simulation.action_space.shape)
    action[:, :knobs] = -share * simulation.info(state)["misalignment"]
    return action


@pytest.mark.parametrize(
    "simulation", [stem(), stem("tilt", response=IDEAL, drift=0.0), tem()], ids=["stem", "tilt", "tem"]
)
def test_correcting_the_misalignment_aligns_an_ideal_column(simulation):
    state, streams = begin(simulation)
    assert state.quality.strehl.median() < 0.3
    for _ in range(3):  # a tilt also changes focus and astigmatism, which the next correction removes
        state, outcome = simulation.advance(state, corrections(simulation, state), streams)
    assert simulation.info(state)["within_limits"].all()
    assert (state.quality.strehl > 0.97).all()
    assert outcome.terminated.all()
    assert state.success.all()
    assert not outcome.truncated.any()


def test_episodes_of_the_published_setting_begin_where_published():
    state, _ = begin(stem(), count=256)
    assert state.quality.strehl.median() == pytest.approx(0.05, abs=0.015)
    assert (state.shots.images.mean((-2, -1)) - 9.9).abs().max() < 1


def test_the_reward_is_progress_less_cost():
    simulation = stem(success_reward=0.0)
    state, streams = begin(simulation)
    before = state.quality.phase_error
    state, outcome = simulation.advance(state, corrections(simulation, state, 0.5), streams)
    after = state.quality.phase_error
    assert torch.allclose(after, before / 2, rtol=1e-3)
    gain = torch.log((before**2 + 0.01) / (after**2 + 0.01)) / 2
    assert torch.allclose(outcome.reward, gain - 2 * 0.02, atol=1e-5)


def test_the_last_correction_is_judged_without_an_exposure():
    simulation = stem(exposures=5, success_reward=0.0)
    state, streams = begin(simulation)
    assert (state.exposures == 2).all()
    idle = torch.zeros(8, 5)
    state, outcome = simulation.advance(state, idle, streams)
    assert not outcome.terminated.any()
    images, electrons = state.shots.images, state.electrons
    assert electrons[0] == pytest.approx(4 * 64**2 * 9.9 / 0.1)
    state, outcome = simulation.advance(state, idle, streams)
    assert outcome.terminated.all()
    assert not state.success.any()
    assert (state.exposures == 4).all()
    assert torch.equal(state.shots.images, images)
    assert torch.equal(state.electrons, electrons)
    assert (outcome.reward == 0).all()


def test_success_needs_to_hold():
    simulation = stem(hold=3, offsets={"C10": 0.1}, exposures=20)
    state, streams = begin(simulation, count=2)
    ends = []
    for _ in range(3):
        state, outcome = simulation.advance(state, torch.zeros(2, 5), streams)
        ends.append(bool(outcome.terminated[0]))
    assert ends == [False, True, False][: len(ends)] or ends[1]
    assert state.held[0] >= 3
    assert simulation.info(state)["success"].all()


def test_the_agent_may_stop():
    simulation = stem("planning", response=IDEAL, drift=0.0)
    state, streams = begin(simulation)
    action = corrections(simulation, state)
    action[:, -1] = torch.tensor([1.0, -1.0]).repeat(4)
    stopped, outcome = simulation.advance(state, action, streams)
    assert torch.equal(outcome.terminated, action[:, -1] > 0)
    assert torch.equal(stopped.success, action[:, -1] > 0)
    assert stopped.exposures.tolist() == [2, 4] * 4
    assert (outcome.reward[0] - outcome.reward[1]) == pytest.approx(1 + 2 * 0.02, abs=0.2)


def test_dwell_and_focus_are_chosen():
    simulation = stem("planning", response=IDEAL, drift=0.0)
    state, streams = begin(simulation)
    action = torch.zeros(8, 8)
    action[:, 6] = 1.0  # twice the dwell
    longer, outcome = simulation.advance(state, action, streams)
    assert (longer.shots.images.mean((1, 2, 3)) / state.shots.images.mean((1, 2, 3))).mean() == pytest.approx(
        2, abs=0.05
    )
    assert outcome.reward.mean() == pytest.approx(-4 * 0.02, abs=1e-4)
    observed = simulation.observe(longer)["vector"][:, simulation.view.places["choice"]]
    assert torch.equal(observed, action[:, 5:7])


def test_exposures_change_the_column_only_for_a_moment():
    simulation = stem("hysteresis")
    state, streams = begin(simulation)
    assert not state.bench.corrector.setting.any()
    state, _ = simulation.advance(state, torch.ones(8, 5), streams)
    assert torch.allclose(state.bench.corrector.setting, torch.ones(8, 5))


def test_hysteresis_keeps_knobs_from_where_they_are_set():
    ideal, real = stem(), stem("hysteresis")
    for simulation, exact in ((ideal, True), (real, False)):
        state, streams = begin(simulation)
        misaligned = simulation.info(state)["misalignment"]
        state, _ = simulation.advance(state, torch.full((8, 5), 0.4), streams)
        moved = simulation.info(state)["misalignment"] - misaligned
        assert torch.allclose(moved, torch.full_like(moved, 0.4), atol=1e-3) == exact
        assert (moved - 0.4).abs().max() < 0.6


def test_coupled_knobs_move_each_other_by_up_to_a_fifth():
    simulation = stem("coupled")
    state, streams = begin(simulation, count=64)
    before = actual(state.bench.corrector)
    turn = torch.zeros(64, 5)
    turn[:, 0] = 10.0
    state, _ = simulation.advance(state, turn, streams)
    moved = (actual(state.bench.corrector) - before) / 10
    assert moved[:, 0].min() > 0.79
    assert moved[:, 0].max() < 1.21
    assert 0.15 < moved[:, 1:].abs().max() < 0.21


def test_unmodelled_aberrations_have_a_quarter_radian():
    simulation = stem("unmodelled")
    state, _ = begin(simulation, count=200)
    names = simulation.column.names
    knobs = simulation.config.knobs
    radians = torch.stack(
        [
            state.quality.residual[:, i] * simulation.column.radians[n]
            for i, n in enumerate(names)
            if n not in knobs
        ],
        1,
    )
    assert radians.shape[1] == 7
    assert radians.std() == pytest.approx(0.25, rel=0.1)
    assert simulation.info(state)["aberrations"].shape == (200, 12)


def test_drift_moves_the_specimen_by_three_pixels_an_exposure():
    simulation = stem("drift")
    state, streams = begin(simulation)
    first = state.bench.drift.position
    state, _ = simulation.advance(state, torch.zeros(8, 5), streams)
    moved = torch.linalg.vector_norm(state.bench.drift.position - first, dim=1) / simulation.config.sampling
    assert torch.allclose(moved, torch.full((8,), 2 * 3.0), rtol=0.01)


def test_background_lowers_the_contrast():
    clear, dim = (begin(stem(preset, counts=1000.0))[0].shots.images for preset in ("lattice", "background"))
    contrast = [images.std((-2, -1)).mean() for images in (clear, dim)]
    assert contrast[1] / contrast[0] == pytest.approx(0.4, abs=0.05)
    assert dim.mean() == pytest.approx(1000, rel=0.02)


def test_settings_stay_within_their_range():
    simulation = stem(setting_limit=20.0)
    state, streams = begin(simulation)
    for _ in range(3):
        state, _ = simulation.advance(state, torch.full((8, 5), 1e9), streams)
    assert torch.equal(state.bench.corrector.setting, torch.full((8, 5), 20.0))


def test_an_action_that_is_not_a_number_does_nothing():
    simulation = stem()
    state, streams = begin(simulation)
    state, outcome = simulation.advance(state, torch.full((8, 5), math.nan), streams)
    assert not state.bench.corrector.setting.any()
    assert torch.isfinite(outcome.reward).all()


def test_a_tableau_shows_coma_that_one_exposure_hides():
    simulation = tem(offsets={"C10": -100.0, "C30": 1.2e6, "tilt_x": 2.0})
    state, _ = begin(simulation, count=1)
    assert simulation.info(state)["misalignment"][0, 4] == pytest.approx(
        3 * 1.2e6 * 2e-3 * simulation.column.radians["C21a"], rel=1e-4
    )
    straight = tem(offsets={"C10": -100.0, "C30": 1.2e6, "tilt_x": 0.0})
    for mirrored, one in ((False, simulation), (True, straight)):
        fixed = one.initial(Streams.from_seed(0, 1)).bench
        quantities = actual(fixed.corrector)[:, None] + one.bench.excursions.of_knobs(torch.zeros(1, 0))
        shots, _ = one.column.aberrations(fixed.fixed.expand(5, -1), quantities[0])
        defocus = shots[:, 0]
        # Exposures tilted towards and away along x have the same focus only without coma.
        assert torch.isclose(defocus[3], defocus[4], atol=1e-2) == mirrored


@pytest.mark.parametrize(
    ("make", "overrides", "shape"),
    [
        (AlignSTEMEnv, {**SMALL}, (5, 64, 33)),
        (AlignSTEMEnv, {**SMALL, "observation": "images", "margin": 8}, (2, 64, 64)),
        (AlignSTEMEnv, {**SMALL, "observation": "spectrum", "size": 32}, (2, 32, 17)),
        (AlignTEMEnv, {**FILM}, (5, 64, 33)),
    ],
)
def test_pictures_have_the_shape_of_the_space(make, overrides, shape):
    env = make(**overrides)
    observation, _ = env.reset(seed=0)
    assert observation["picture"].shape == shape
    assert observation in env.observation_space
    observation, *_ = env.step(env.action_space.sample())
    assert observation in env.observation_space


class Known:
    """An estimator that says what it is told."""

    def estimate(self, observation):
        assert observation.shape[1:] == (5, 64, 33)
        return torch.full((len(observation), 5), 2.0), torch.full((len(observation), 5), -1.0)


@pytest.mark.parametrize("observation", ["vector", "cross_spectrum"])
def test_an_estimator_joins_its_belief(observation):
    simulation = stem(estimator=Known(), observation=observation)
    state, _ = begin(simulation)
    seen = simulation.observe(state)
    vector = seen if observation == "vector" else seen["vector"]
    belief = vector[:, simulation.view.places["belief"]]
    assert torch.equal(belief, torch.tensor([2.0] * 5 + [-1.0] * 5).expand(8, -1))


def test_an_exported_model_is_an_estimator(monkeypatch):
    class Bundle:
        def run(self, batch):
            return np.concatenate(
                [np.ones((len(batch), 5, 1, 1)), np.zeros((len(batch), 5, 1, 1))], 1
            ).astype(np.float32)

    monkeypatch.setattr("beamwright.runtime.load_bundle", lambda path, threads: Bundle())
    mean, log_sigma = BundleEstimator("some.zip").estimate(torch.zeros(3, 5, 64, 33))
    assert torch.equal(mean, torch.ones(3, 5))
    assert torch.equal(log_sigma, torch.zeros(3, 5))
    simulation = stem(estimator="some.zip")
    assert isinstance(simulation.bench.estimator, BundleEstimator)


@pytest.mark.parametrize("simulation", [stem(), stem("vector"), tem()], ids=["images", "figures", "tem"])
def test_a_picture_has_always_the_same_size(simulation):
    state, streams = begin(simulation, count=2)
    first = simulation.draw(state, 1)
    state, _ = simulation.advance(state, corrections(simulation, state), streams)
    second = simulation.draw(state, 1)
    assert first.shape == second.shape
    assert first.dtype == np.uint8
    assert (first != second).any()

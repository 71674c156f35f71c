import numpy as np
import pytest
import torch

from beamwright.envs.core import Streams, load_config
from beamwright.envs.microscope.criteria import strehl_ratio
from beamwright.envs.track_drift import TrackDriftConfig, TrackDriftEnv, TrackSimulation
from beamwright.envs.track_drift.config import PRESETS
from beamwright.envs.track_drift.reward import frame_error
from beamwright.errors import MicroscopeError, UnknownNameError

SMALL = {"specimen": {"pool": 4}}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def track(preset=None, **overrides):
    return TrackSimulation(load_config(TrackDriftConfig, PRESETS, preset, {**SMALL, **overrides}))


def begin(simulation, count=16, seed=0):
    streams = Streams.from_seed(seed, count)
    return simulation.initial(streams), streams


def idle(simulation, state):
    action = torch.zeros(len(state.steps), *simulation.action_space.shape)
    action[:, 3:] = -1
    return action


def test_without_corrections_the_field_drifts_as_configured():
    simulation = track("linear", speed=0.2, focus_speed=0.5)
    state, streams = begin(simulation)
    for _ in range(3):
        state, _ = simulation.advance(state, idle(simulation, state), streams)
    info = simulation.info(state)
    seconds = 0.2 + 3 * 1.05  # the first reference exposure, and three frames
    assert torch.allclose(state.seconds, torch.full((16,), seconds, dtype=torch.float64))
    assert torch.allclose(info["position_error"], torch.full((16,), 0.2 * seconds), rtol=1e-4)
    assert torch.allclose(info["aberrations"].abs(), torch.full((16, 1), 0.5 * seconds), rtol=1e-4)


def test_a_drift_that_settles_stops():
    simulation = track("linear", speed=0.1, settling=2.0, focus_speed=0.0)
    state, streams = begin(simulation)
    for _ in range(20):
        state, _ = simulation.advance(state, idle(simulation, state), streams)
    assert torch.allclose(simulation.info(state)["position_error"], torch.full((16,), 0.2), rtol=1e-3)


def test_the_negative_offset_brings_the_field_back():
    simulation = track("linear")
    state, streams = begin(simulation)
    for _ in range(3):
        state, _ = simulation.advance(state, idle(simulation, state), streams)
    action = idle(simulation, state)
    action[:, :3] = -simulation.info(state)["offsets"]
    steering = simulation.field.steer(state.steering, action[:, :3], streams)
    assert simulation.field.offsets(state.drift, steering).abs().max() < 1e-5


def test_corrections_settle_during_the_frame_too():
    steering = {"gain": 0, "coupling": 0, "rotation": 0, "settle": 1.0}
    simulation = track("linear", speed=0.0, focus_speed=0.0, steering=steering)
    state, streams = begin(simulation, count=1)
    action = idle(simulation, state)
    action[0, 1] = 0.4
    state, _ = simulation.advance(state, action, streams)
    seconds = simulation.config.dead_time + simulation.config.frame_time
    expected = 0.4 * (1 - np.exp(-seconds))
    assert float(simulation.info(state)["offsets"][0, 1]) == pytest.approx(expected, rel=1e-4)


def test_measured_offsets_are_unbiased_with_the_noise_that_is_said():
    simulation = track("linear", position_noise=0.05, focus_noise=2.0)
    state, _ = begin(simulation, count=2000)
    error = state.measured - simulation.info(state)["offsets"]
    assert error.mean(0).abs().max() < 0.15
    assert torch.allclose(error.std(0), torch.tensor([0.05, 0.05, 2.0]), rtol=0.06)


def test_a_measurement_ages_until_the_next_one():
    simulation = track()
    state, streams = begin(simulation)
    measured = state.measured
    state, _ = simulation.advance(state, idle(simulation, state), streams)
    assert torch.equal(state.measured, measured)
    assert (state.age == 1).all()
    action = idle(simulation, state)
    action[:8, 3] = 1
    state, _ = simulation.advance(state, action, streams)
    assert state.age.tolist() == [0] * 8 + [2] * 8
    assert state.references.tolist() == [2] * 8 + [1] * 8
    vector = simulation.observe(state)
    assert torch.equal(vector[:, simulation.view.places["measured"]], state.measured)
    assert vector.shape[1:] == simulation.observation_space.shape


def test_the_reward_is_the_mean_square_over_the_frame():
    tolerances = torch.tensor([1.0, 2.0, 4.0])
    first, last = torch.tensor([[1.0, 0.0, 4.0]]), torch.tensor([[3.0, 2.0, 0.0]])
    times = torch.linspace(0, 1, 10001)[:, None]
    path = (first + (last - first) * times) / tolerances
    assert frame_error(first, last, tolerances) == pytest.approx(float(path.square().sum(1).mean()), rel=1e-3)


def test_references_and_losses_cost():
    simulation = track("walk", diffusion=0.0, focus_diffusion=0.0)
    state, streams = begin(simulation, count=2)
    action = idle(simulation, state)
    action[0, 3] = 1
    state, outcome = simulation.advance(state, action, streams)
    assert outcome.reward.tolist() == pytest.approx([-0.1, 0.0])
    action = idle(simulation, state)
    action[0, 0] = 0.5
    for _ in range(2):
        state, outcome = simulation.advance(state, action, streams)
    assert outcome.terminated.tolist() == [True, False]
    assert outcome.reward[0] == pytest.approx(-10 - 10 * 97)
    assert not outcome.truncated.any()


def test_an_acquisition_is_cut_off_after_its_frames():
    simulation = track(steps=2, speed=0.0)
    state, streams = begin(simulation)
    state, outcome = simulation.advance(state, idle(simulation, state), streams)
    assert not outcome.truncated.any()
    state, outcome = simulation.advance(state, idle(simulation, state), streams)
    assert outcome.truncated.all()
    assert not outcome.terminated.any()


def test_the_strehl_ratio_is_that_of_a_defocus():
    simulation = track()
    defocus = torch.linspace(-30, 30, 9)
    expected = strehl_ratio(defocus[:, None], ("C10",), simulation.field.optics)
    assert torch.allclose(simulation._strehl(defocus), expected, atol=1e-3)


def test_patches_show_shift_and_focus():
    simulation = track("images", counts=1000.0, steering={"gain": 0, "coupling": 0, "rotation": 0})
    state, streams = begin(simulation, count=1)
    reference, under, _ = state.patches[0]
    assert reference.mean() == pytest.approx(10 * float(under.mean()), rel=0.05)
    action = idle(simulation, state)
    action[:, 1:4] = torch.tensor([5 * 0.05, -30.0, 1.0])
    still = state.drift
    state, _ = simulation.advance(state, action, streams)
    moved = simulation.info(state)["offsets"][0]
    assert moved[1] == pytest.approx(0.25, abs=0.5)
    correlation = torch.fft.irfft2(torch.fft.rfft2(state.patches[0, 2]) * torch.fft.rfft2(reference).conj())
    peak = divmod(int(correlation.argmax()), 64)
    shift = [(place + 32) % 64 - 32 for place in peak]
    assert shift == pytest.approx((moved[:2] / 0.05).tolist(), abs=1.5)
    assert still is not state.drift


def test_impossible_settings_are_refused():
    with pytest.raises(
        MicroscopeError, match=r"move_limit = 2 nm can lose .* in one step: the margin is 0\.8 nm"
    ):
        TrackDriftEnv(move_limit=2.0)
    with pytest.raises(MicroscopeError, match="diffusion must be at least 0, not -1"):
        TrackDriftEnv(diffusion=-1.0)
    with pytest.raises(MicroscopeError, match="settling must be above 0, not 0"):
        TrackDriftEnv(settling=0.0)
    with pytest.raises(MicroscopeError, match="play must be at least 0, not -1"):
        TrackDriftEnv(steering={"play": -1.0})
    with pytest.raises(UnknownNameError, match='no specimen "rekt"'):
        TrackDriftEnv(specimen={"classes": ["rekt"]})
    with pytest.raises(MicroscopeError, match="far larger than the probe"):
        TrackDriftEnv(aperture=200.0, **SMALL)
    with pytest.raises(MicroscopeError, match=r'no preset "low-does"\. Did you mean "low-dose"'):
        TrackDriftEnv(preset="low-does")


@pytest.mark.parametrize("preset", [None, "images"])
def test_the_picture_follows_the_episode(preset):
    env = TrackDriftEnv(preset=preset, render_mode="rgb_array", **SMALL)
    env.reset(seed=1)
    first = env.render()
    env.step(np.zeros(4, np.float32))
    assert env.render().shape == first.shape
    assert (env.render() != first).any()

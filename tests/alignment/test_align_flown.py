import numpy as np
import pytest
import torch

from beamwright.envs.alignment import AlignSTEMEnv, AlignTEMEnv
from beamwright.envs.instrument import Exposure, Limit, Microscope, Spent
from beamwright.envs.track_drift import TrackDriftEnv
from beamwright.errors import MicroscopeError

KNOBS = {"C10": 40.0, "C12a": 20.0, "C12b": 20.0, "C21a": 1000.0, "C21b": 1000.0}


class Recorder:
    """A microscope that remembers what it was told."""

    name = "recorder"
    field = (10.0, 10.0)
    dead_time = 0.1

    def __init__(self, reach=KNOBS, detectors=("haadf",), start=1.0):
        self.limits = {name: Limit(-high, high, "nm") for name, high in reach.items()}
        self.detectors = detectors
        self.settings = dict.fromkeys(reach, start)
        self.spent = Spent()
        self.exposed = []

    def get(self):
        return dict(self.settings)

    def set(self, values):
        assert all(self.limits[name].low <= value <= self.limits[name].high for name, value in values.items())
        self.settings.update(values)

    def acquire(self, frame):
        self.exposed.append((dict(self.settings), frame))
        self.spent = self.spent + Spent(1000.0, 0.5)
        return Exposure(np.full(frame.shape, len(self.exposed), np.float32), frame.pixel_size, 1000.0, 0.5)

    def scan(self, path, dwell):
        return np.zeros(len(path), np.float32)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def test_a_microscope_is_flown_through_its_protocol():
    microscope = Recorder()
    assert isinstance(microscope, Microscope)
    env = AlignSTEMEnv(microscope=microscope, observation="images", choose=["dwell"], exposures=6)
    observation, info = env.reset(seed=0)
    assert [float(image.mean()) for image in observation["picture"]] == [1.0, 2.0]
    first, second = (settings for settings, _ in microscope.exposed)
    assert first == {"C10": 7.0, "C12a": 1.0, "C12b": 1.0, "C21a": 151.0, "C21b": 1.0}
    assert second == {"C10": -5.0, "C12a": 1.0, "C12b": 1.0, "C21a": 1.0, "C21b": 151.0}
    assert microscope.get() == dict.fromkeys(KNOBS, 1.0)
    assert np.isnan(info["strehl"])
    assert np.isnan(info["aberrations"]).all()
    radians = env.simulation.column.radians["C10"]
    action = np.array([3 * radians, 0, 0, 0, 0, 1.0], np.float32)
    observation, reward, terminated, _, info = env.step(action)
    assert microscope.get()["C10"] == pytest.approx(4.0)
    assert microscope.exposed[2][0]["C10"] == pytest.approx(10.0)
    assert observation["vector"][0] == pytest.approx(3 * radians)
    assert reward == pytest.approx(-0.02 * 4)
    assert not terminated
    assert (info["electrons"], info["exposures"]) == (4000.0, 4)
    dwells = [frame.dwell for _, frame in microscope.exposed]
    assert dwells[2] == pytest.approx(2 * dwells[0])
    assert dwells[0] == pytest.approx(0.05e6 / 64**2)


def test_a_microscope_is_not_exposed_after_the_end():
    microscope = Recorder()
    env = AlignSTEMEnv(microscope=microscope, exposures=2, stop=True)
    env.reset(seed=0)
    *_, terminated, _, info = env.step(np.zeros(6, np.float32))
    assert terminated
    assert len(microscope.exposed) == info["exposures"] == 2
    assert info["electrons"] == microscope.spent.electrons


def test_the_limits_of_a_microscope_are_kept():
    microscope = Recorder({**KNOBS, "C10": 5.0})
    env = AlignSTEMEnv(microscope=microscope)
    env.reset(seed=0)
    env.step(np.full(5, 16.0, np.float32))
    assert microscope.get()["C10"] == 5.0
    assert env.state.bench.corrector.setting[0, 0] == pytest.approx(4 * env.simulation.column.radians["C10"])


def test_a_tableau_is_flown_with_tilts():
    reach = {"C10": 500.0, "C12a": 100.0, "C12b": 100.0, "tilt_y": 20.0, "tilt_x": 20.0}
    microscope = Recorder(reach, ("camera",), start=0.0)
    env = AlignTEMEnv(microscope=microscope)
    env.reset(seed=0)
    tilts = [(settings["tilt_y"], settings["tilt_x"]) for settings, _ in microscope.exposed]
    assert tilts == [pytest.approx(tilt, abs=1e-4) for tilt in [(0, 0), (6, 0), (-6, 0), (0, 6), (0, -6)]]
    assert microscope.exposed[0][1].detector == "camera"


def test_a_microscope_that_lacks_something_is_refused():
    with pytest.raises(MicroscopeError, match="recorder has no control C21a, C21b, which this"):
        AlignSTEMEnv(microscope=Recorder({"C10": 1.0, "C12a": 1.0, "C12b": 1.0}))
    with pytest.raises(MicroscopeError, match=r"recorder has no detector ronchigram, which .*; it has haadf"):
        AlignSTEMEnv(microscope=Recorder(), probe="ronchigram", observation="images", diagnostic=[{}])
    with pytest.raises(MicroscopeError, match="recorder has no control shift_x, shift_y, which"):
        TrackDriftEnv(microscope=Recorder(), observation="images")


def test_drift_is_tracked_on_a_microscope():
    microscope = Recorder({"C10": 100.0, "shift_y": 5.0, "shift_x": 5.0}, start=0.0)
    with pytest.raises(MicroscopeError, match="choose observation = \"images\" instead of 'offsets'"):
        TrackDriftEnv(microscope=microscope)
    env = TrackDriftEnv(microscope=microscope, observation="images", render_mode="rgb_array")
    observation, info = env.reset(seed=0)
    assert [float(image.mean()) for image in observation["picture"]] == [1.0, 2.0, 3.0]
    assert [settings["C10"] for settings, _ in microscope.exposed] == [0.0, -30.0, 30.0]
    assert np.isnan(info["position_error"])
    observation, reward, *_ = env.step(np.array([0.3, -0.2, 4.0, -1.0], np.float32))
    assert microscope.get() == pytest.approx({"C10": 4.0, "shift_y": 0.3, "shift_x": -0.2})
    assert len(microscope.exposed) == 4  # the frame, and no reference exposure
    assert reward == 0
    assert env.render().shape == (560, 960, 3)
    *_, info = env.step(np.array([0, 0, 0, 1.0], np.float32))
    assert info["exposures"] == 4
    assert info["electrons"] == 5000


def test_a_flown_episode_can_be_drawn():
    env = AlignSTEMEnv(microscope=Recorder(), render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (560, 960, 3)

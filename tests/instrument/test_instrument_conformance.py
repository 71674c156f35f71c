import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import torch

from beamwright.envs.instrument import (
    DETECTORS,
    Exposure,
    Frame,
    Limit,
    Microscope,
    NionMicroscope,
    Recording,
    ReplayMicroscope,
    SimulatedMicroscope,
    Spent,
)
from beamwright.errors import MicroscopeError
from beamwright.testing import check_microscope

SMALL = {"size": 64, "margin": 16, "specimen": {"classes": ["random_lattice"], "pool": 2}}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def simulated():
    return SimulatedMicroscope(SMALL)


def replay(**options):
    image = np.random.default_rng(0).poisson(20, (32, 48)).astype(np.float32)
    recordings = [Recording(image + 10 * (c10 > 0), 0.5, 10.0, {"C10": c10}) for c10 in (-5.0, 0.0, 5.0)]
    return ReplayMicroscope(recordings, current=30.0, dead_time=0.2, **options)


def ronchigrams():
    return ReplayMicroscope([Recording(np.ones((16, 16)), 1.5, 1e4, detector="ronchigram")], current=5.0)


def nion():
    if importlib.util.find_spec("nion") is None or importlib.util.find_spec("nion.usim_device") is None:
        pytest.skip('the package nionswift-usim, extra "nion", is not installed')
    return NionMicroscope()


MICROSCOPES = [simulated, replay, lambda: replay(noise=True), ronchigrams, nion]


@pytest.mark.parametrize("make", MICROSCOPES, ids=["simulated", "replay", "noisy", "ronchigrams", "nion"])
def test_every_microscope_conforms(make):
    check_microscope(make)


@pytest.mark.parametrize("make", [simulated, replay, nion], ids=["simulated", "replay", "nion"])
def test_what_cannot_be_set_is_refused_with_nothing_half_set(make):
    microscope = make()
    before = microscope.get()
    with pytest.raises(MicroscopeError, match=r'no control "curent"\. Did you mean "current".* Known: C10, '):
        microscope.set({"C10": 1.0, "curent": 0.0})
    high = microscope.limits["C10"].high
    with pytest.raises(
        MicroscopeError, match=rf"C10 = {2 * high:g} nm is beyond the limits .* to {high:g} nm"
    ):
        microscope.set({"current": before["current"], "C10": 2 * high})
    assert microscope.get() == before
    assert microscope.spent == Spent()


@pytest.mark.parametrize("make", [simulated, replay, nion], ids=["simulated", "replay", "nion"])
def test_what_cannot_be_measured_is_refused_and_costs_nothing(make):
    microscope = make()
    height, width = microscope.field
    with pytest.raises(MicroscopeError, match=r"Point 1 of the path, at \(-1, 0\) nm, is off the field of"):
        microscope.scan([[0, 0], [-1, 0]], 1.0)
    with pytest.raises(MicroscopeError, match="positions of a path must be finite"):
        microscope.scan([[0, np.nan]], 1.0)
    with pytest.raises(MicroscopeError, match=r"shape \(N, 2\), not \(3,\)"):
        microscope.scan([0, 1, 2], 1.0)
    with pytest.raises(MicroscopeError, match="Dwell times must be positive, not 0 us"):
        microscope.scan([[0, 0]], 0.0)
    with pytest.raises(MicroscopeError, match=r"larger than the field .*; make the pixels at most"):
        microscope.acquire(Frame((2, 2), max(height, width), 1.0))
    with pytest.raises(MicroscopeError, match='no detector "camera"; it has haadf'):
        microscope.acquire(Frame((2, 2), 0.1, 1.0, "camera"))
    assert microscope.spent == Spent()


def test_frames_and_limits_that_cannot_be_are_refused():
    for arguments, message in [
        (((0, 4), 1.0, 1.0), "at least one row and one column, not shape"),
        (((4, 4), 0.0, 1.0), "pixel size of a frame must be positive, not 0"),
        (((4, 4), 1.0, -2.0), "Dwell times must be positive, not -2 us"),
        (((4, 4), 1.0, 1.0, "hadf"), 'no detector "hadf". Did you mean "haadf"'),
    ]:
        with pytest.raises(MicroscopeError, match=message):
            Frame(*arguments)
    with pytest.raises(MicroscopeError, match="finite low <= high, not 2 and 1 nm"):
        Limit(2, 1, "nm")
    with pytest.raises(MicroscopeError, match="rate of a limit must be positive, not 0 nm/s"):
        Limit(0, 1, "nm", rate=0)


def test_the_cost_of_a_frame_follows_from_current_dwell_and_dead_time():
    microscope = replay()
    taken = microscope.acquire(Frame((10, 20), 0.5, 2.0))
    assert taken.electrons == pytest.approx(30 * 2 * 200 * 6.241509074)
    assert taken.seconds == pytest.approx(2e-6 * 200 + 0.2)
    microscope.scan(np.ones((7, 2)), 3.0)
    assert microscope.spent.seconds == pytest.approx(taken.seconds + 2.1e-5 + 0.2)


class Wrong:
    """A microscope that keeps the protocol but for what a test spoils."""

    name, detectors, field, dead_time = "wrong", ("haadf",), (8.0, 8.0), 0.0
    limits = {"C10": Limit(-1, 1, "nm"), "current": Limit(1, 1, "pA")}  # noqa: RUF012

    def __init__(self):
        self.inner = ReplayMicroscope([Recording(np.ones((8, 8)), 1.0, settings={"C10": z}) for z in (-1, 1)])

    spent = property(lambda self: self.inner.spent)
    get = lambda self: self.inner.get()  # noqa: E731
    set = lambda self, values: self.inner.set(values)  # noqa: E731
    acquire = lambda self, frame: self.inner.acquire(frame)  # noqa: E731
    scan = lambda self, path, dwell: self.inner.scan(path, dwell)  # noqa: E731


def half_set(self, values):
    for name, value in values.items():
        self.inner.set({name: value})


def free(self, frame):
    return Exposure(np.ones(frame.shape, np.float32), frame.pixel_size, 0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "spoiled", "message"),
    [
        ("set", half_set, "After an unknown control was refused, something is half set"),
        ("set", lambda self, values: None, "C10 was not set to 1"),
        (
            "acquire",
            free,
            "An exposure of the haadf must cost .* electrons by current, dwell and dead time, not 0",
        ),
        ("scan", lambda self, path, dwell: np.zeros(len(path)), "Counts must be float32, not float64"),
        (
            "scan",
            lambda self, path, dwell: self.inner.scan(path.clip(0, 8), dwell),
            "A path off the field must be",
        ),
        ("get", lambda self: self.inner._settings, "get must return a copy"),
        ("limits", {"C10": Limit(-1, 1, "nm")}, 'must have the control "current"'),
        ("detectors", ("haadf", "eels"), "Unknown detectors"),
    ],
)
def test_the_suite_finds_what_is_wrong(name, spoiled, message):
    check_microscope(Wrong)
    with pytest.raises(AssertionError, match=message):
        check_microscope(type("Spoiled", (Wrong,), {name: spoiled}))


def run(code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_protocol_needs_neither_torch_nor_gymnasium(repository):
    code = (
        "import runpy, sys; sys.modules |= {'torch': None, 'gymnasium': None}; "
        "print(runpy.run_path(sys.argv[1])['Spent']().seconds)"
    )
    assert run(code, str(repository / "envs" / "instrument" / "protocol.py")) == "0.0"


def test_no_backend_but_the_simulator_needs_torch():
    code = (
        "import sys, beamwright.envs.instrument as door; door.Microscope, door.ReplayMicroscope, "
        "door.NionMicroscope; print({'torch', 'nion'} & set(sys.modules))"
    )
    assert run(code) == "set()"


def test_the_door_knows_its_backends_and_nothing_else():
    import beamwright.envs.instrument as door

    assert all(getattr(door, name) is not None for name in door.__all__)
    with pytest.raises(AttributeError, match='no attribute "Microscop"'):
        door.Microscop  # noqa: B018
    assert isinstance(simulated(), Microscope)
    assert set(simulated().detectors) < set(DETECTORS)

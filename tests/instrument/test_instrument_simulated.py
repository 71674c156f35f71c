import numpy as np
import pytest
import torch

from beamwright.envs.instrument import Frame, SimulatedMicroscope, SimulatorConfig
from beamwright.errors import MicroscopeError, PhysicsWarning

SMALL = {"size": 96, "margin": 16, "specimen": {"classes": ["random_lattice"], "pool": 2}}
IDEAL = {"gain": 0, "coupling": 0, "play": 0, "operators": 1, "wander": 0}
STILL = {
    **SMALL,
    "offsets": {},
    "knobs": IDEAL,
    "speed": 0,
    "diffusion": 0,
    "lag": 0,
    "current_limits": [0, 1e5],
}
FRAME = Frame((64, 64), 0.025, 10.0)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def bright(config=None, seed=0):
    """A microscope with so much current that noise does not matter."""
    microscope = SimulatedMicroscope({**STILL, **(config or {})}, seed=seed)
    microscope.set({"current": 1e5})
    return microscope


def sharpness(microscope):
    image = microscope.acquire(FRAME).image
    return image.var() / image.mean() ** 2


def correlation(one, two):
    return np.corrcoef(one.ravel(), two.ravel())[0, 1]


def test_an_image_is_sharpest_in_focus():
    microscope = bright({"offsets": {"C10": 12.0}, "dead_time": 0})
    found = {}
    for focus in (-36.0, -24.0, -12.0, 0.0, 12.0):
        microscope.set({"C10": focus})
        assert microscope.aberrations["C10"] == pytest.approx(12 + focus)
        found[focus] = sharpness(microscope)
    assert max(found, key=found.get) == -12
    assert found[-12.0] > 2 * max(found[-36.0], found[12.0])


def test_counts_are_poisson_and_in_proportion_to_current_and_dwell():
    microscope = bright()
    means = []
    for current, dwell in ((10.0, 10.0), (20.0, 10.0), (20.0, 20.0)):
        microscope.set({"current": current})
        means.append(microscope.acquire(Frame((64, 64), 0.025, dwell)).image.mean())
    assert means[1] == pytest.approx(2 * means[0], rel=0.1)
    assert means[2] == pytest.approx(4 * means[0], rel=0.1)
    microscope.set({"current": 50.0})
    one, two = (microscope.acquire(FRAME).image for _ in range(2))
    assert ((one - two) ** 2).mean() == pytest.approx((one + two).mean(), rel=0.1)
    microscope.set({"current": 0.0})
    assert microscope.acquire(FRAME).image.max() == 0


def test_all_current_is_in_the_bright_field_or_on_the_camera():
    microscope = bright()
    transmitted = microscope.acquire(Frame((64, 64), 0.025, 10.0, "bright_field"))
    share = transmitted.image.sum() / transmitted.electrons
    assert 0.7 < share < 1
    taken = microscope.acquire(Frame((32, 32), 3.0, 1e3, "ronchigram"))
    assert taken.image.sum() == pytest.approx(taken.electrons, rel=1e-3)
    step = microscope.optics.wavelength * 1e3 / (128 * 0.025)
    assert taken.pixel_size == pytest.approx(4 * step)
    y, x = (np.indices((32, 32)) + 0.5 - 16) * taken.pixel_size
    radius = np.hypot(y, x)
    assert taken.image[radius > 30].sum() < 0.02 * taken.image.sum()


def test_a_ronchigram_answers_to_astigmatism():
    microscope = bright({"specimen": {"classes": ["amorphous_film"], "pool": 1}})
    frame = Frame((64, 64), 0.8, 1e5, "ronchigram")
    one, same = (microscope.acquire(frame).image for _ in range(2))
    microscope.set({"C12a": 15.0})
    other = microscope.acquire(frame).image
    inside = one > one.max() / 4
    assert correlation(one[inside], same[inside]) > 0.95
    assert correlation(one[inside], other[inside]) < 0.9


def test_a_path_counts_what_a_frame_shows():
    microscope = bright()
    frame = microscope.acquire(FRAME).image
    corner = (microscope.field[0] - 64 * 0.025) / 2
    path = corner + (np.stack(np.indices((64, 64)), -1).reshape(-1, 2) + 0.5) * 0.025
    order = np.random.default_rng(0).permutation(len(path))
    counts = microscope.scan(path[order], 10.0)
    assert correlation(counts, frame.ravel()[order]) > 0.999
    assert counts.sum() == pytest.approx(frame.sum(), rel=1e-3)


def test_a_shift_moves_the_image_and_a_drift_does_so_with_time():
    microscope = bright()
    before = microscope.acquire(FRAME).image
    microscope.set({"shift_y": 0.1, "shift_x": -0.05})
    after = microscope.acquire(FRAME).image
    assert correlation(np.roll(before, (4, -2), (0, 1))[8:-8, 8:-8], after[8:-8, 8:-8]) > 0.999
    drifting = bright({"speed": 0.2, "dead_time": 0.5})
    first, second = (drifting.acquire(FRAME).image for _ in range(2))
    moved = drifting.config.speed * (0.5 + FRAME.beam_time * 1e-6) / 0.025  # [px]
    spectrum = np.fft.fft2(first - first.mean()).conj() * np.fft.fft2(second - second.mean())
    place = np.unravel_index(np.fft.ifft2(spectrum).real.argmax(), first.shape)
    assert np.hypot(*((np.array(place) + 32) % 64 - 32)) == pytest.approx(moved, abs=1.5)


def test_deflectors_lag_behind_a_jump():
    quick, slow = bright(), bright({"lag": 20.0})
    path = np.repeat([[0.3, 0.3], [1.9, 1.7]], 40, axis=0)
    for microscope in (quick, slow):
        microscope.scan(path[:1], 1e3)  # it comes to rest there
    one, two = quick.scan(path, 5.0), slow.scan(path, 5.0)
    assert one[:40] == pytest.approx(two[:40], rel=0.1)
    assert one[-10:] == pytest.approx(two[-10:], rel=0.1)
    passed = np.abs(two[40:50] - one[40:50]) > 5 * np.sqrt(one[40:50])
    assert passed.any()


def test_knobs_are_unknown_settle_and_wander():
    microscope = SimulatedMicroscope(
        {**STILL, "dead_time": 0.1, "knobs": {"gain": 0.2, "coupling": 0.1, "settle": 0.1}}, seed=3
    )
    microscope.set({"C10": 50.0})
    assert microscope.aberrations["C10"] == pytest.approx(0, abs=1)
    microscope.acquire(Frame((2, 2), 0.1, 1.0))
    early = microscope.aberrations["C10"]
    for _ in range(10):
        microscope.acquire(Frame((2, 2), 0.1, 1.0))
    late = microscope.aberrations["C10"]
    assert 20 < early < 45
    assert 35 < late < 65
    assert late != pytest.approx(50, abs=0.5)
    assert microscope.aberrations["C12a"] != 0
    assert microscope.get()["C10"] == 50


def test_a_seed_repeats_a_session_and_another_one_does_not():
    images = []
    for seed in (1, 1, 2):
        microscope = SimulatedMicroscope(SMALL, seed=seed)
        microscope.set({"C10": 5.0})
        images.append(microscope.acquire(FRAME).image)
    assert (images[0] == images[1]).all()
    assert correlation(images[0], images[2]) < 0.9


def test_configurations_that_cannot_be_are_refused():
    for config, message in [
        ({"voltag": 100}, "voltag.*Did you mean"),
        ({"controls": {"C11": 5.0}}, 'no aberration "C11"'),
        ({"controls": {"C10": -5.0}}, "reach further than -5 nm for C10; leave out what is fixed"),
        ({"aperture": 80.0}, "beyond the .* choose a sampling <="),
        ({"current": 600.0}, "current = 600 pA is beyond the limits of this microscope: from 1 to 500 pA"),
        ({"current_limits": [5, 1]}, "finite low <= high, not 5 and 1 pA"),
        ({"speed": -1.0}, "speed: must not be negative, as -1 is; 0 switches it off"),
        ({"knobs": {"play": [-0.1, 0.1]}}, "knobs.play: must not be negative, as -0.1 is"),
        ({"voltage": 0.0}, "accelerating voltage must be positive"),
    ]:
        with pytest.raises(MicroscopeError, match=message):
            SimulatedMicroscope({**SMALL, **config})


def test_a_ronchigram_larger_than_the_camera_is_refused_at_no_cost():
    microscope = bright()
    with pytest.raises(
        MicroscopeError, match=r"camera has 128 x 128 pixels of 0.784 mrad; a frame of 200 x 2 "
    ):
        microscope.acquire(Frame((200, 2), 0.1, 1.0, "ronchigram"))
    assert microscope.spent.electrons == 0


def test_aberrations_beyond_the_field_are_warned_of():
    microscope = bright()
    microscope.set({"C10": 400.0})
    with pytest.warns(PhysicsWarning, match="land up to 10 nm off the axis, but half the field is 1.6 nm"):
        microscope.acquire(FRAME)


def test_a_microscope_may_have_few_controls_and_fixed_aberrations():
    config = SimulatorConfig(**{**STILL, "controls": {"C10": 100.0}, "offsets": {"C30": 1e4, "C10": 2.0}})
    microscope = SimulatedMicroscope(config)
    assert list(microscope.limits) == ["C10", "shift_y", "shift_x", "current"]
    assert microscope.aberrations == pytest.approx({"C10": 2.0, "C30": 1e4})
    assert SimulatorConfig.model_validate(config.model_dump()) == config

import numpy as np
import pytest

from beamwright.envs.instrument import Frame, Recording, ReplayMicroscope
from beamwright.errors import MicroscopeError


@pytest.fixture
def image():
    return np.random.default_rng(1).uniform(5, 50, (12, 16)).astype(np.float32)


def raster(microscope, shape):
    size = microscope.field[0] / shape[0]
    return (np.stack(np.indices(shape), -1).reshape(-1, 2) + 0.5) * size


def test_a_path_over_all_pixels_is_a_frame(image):
    microscope = ReplayMicroscope([Recording(image, 0.5, 4.0)])
    frame = microscope.acquire(Frame((12, 16), 0.5, 4.0)).image
    assert frame == pytest.approx(image, rel=1e-6)
    counts = microscope.scan(raster(microscope, image.shape), 4.0)
    assert counts.reshape(image.shape) == pytest.approx(frame, rel=1e-6)
    assert microscope.scan(raster(microscope, image.shape), 8.0) == pytest.approx(2 * counts)


def test_a_smaller_frame_is_the_middle_of_the_field(image):
    microscope = ReplayMicroscope([Recording(image, 0.5)])
    assert microscope.acquire(Frame((6, 8), 0.5, 1.0)).image == pytest.approx(image[3:9, 4:12], rel=1e-6)


def test_settings_choose_the_nearest_recording_and_a_movie_goes_on():
    images = [Recording(np.full((4, 4), v), 1.0, settings={"C10": z}) for v, z in [(1, -9), (2, 0), (3, 0)]]
    microscope = ReplayMicroscope(images)
    means = []
    for focus in (-8, -1, -1, -1):
        microscope.set({"C10": focus})
        means.append(microscope.acquire(Frame((4, 4), 1.0, 1.0)).image.mean())
    assert sorted(means[1:3]) == [2, 3]
    assert means[0] == 1
    assert means[3] == means[1]


def test_noise_is_poisson_and_follows_the_seed():
    make = lambda seed: ReplayMicroscope([Recording(np.full((64, 64), 9.0), 1.0)], noise=True, seed=seed)  # noqa: E731
    one, same, other = (make(seed).acquire(Frame((64, 64), 1.0, 1.0)).image for seed in (0, 0, 1))
    assert (one == same).all()
    assert (one != other).any()
    assert one.mean() == pytest.approx(9, abs=0.2)
    assert one.var() == pytest.approx(9, abs=0.8)


def test_recordings_that_cannot_be_replayed_are_refused(image):
    spoiled = image.copy()
    spoiled[3, 4] = np.nan
    with pytest.raises(MicroscopeError, match=r"1 of its 192 pixels are NaN or infinite\. Replace them"):
        Recording(spoiled, 0.5)
    with pytest.raises(MicroscopeError, match=r"must be one image, \(H, W\), not an array of shape \(16,\)"):
        Recording(image[0], 0.5)
    with pytest.raises(MicroscopeError, match="pixel size of a frame must be positive, not 0"):
        Recording(image, 0.0)
    for arguments, options, message in [
        ([], {}, "nothing to replay: give at least one recording"),
        ([Recording(image, 1)], {"current": 0}, "current of the recordings must be positive, not 0 pA"),
        ([Recording(image - 10, 1)], {"noise": True}, "Subtract the detector's dark level, or replay with"),
        ([Recording(image, 1), Recording(image, 2)], {}, "fields of the same size: .* crop the larger one"),
        ([Recording(image, 1), Recording(image, 1, settings={"C10": 1})], {}, "must have the same controls"),
        ([Recording(image, 1)], {"dead_time": -1}, "dead time must be 0 or more seconds, not -1"),
    ]:
        with pytest.raises(MicroscopeError, match=message):
            ReplayMicroscope(arguments, **options)


def test_a_frame_larger_than_what_was_recorded_is_refused():
    microscope = ReplayMicroscope([Recording(np.ones((8, 8)), 1.0, 1.0, detector="ronchigram")])
    with pytest.raises(
        MicroscopeError, match="16 x 16 mrad is larger than what was recorded, 8 x 8; take fewer"
    ):
        microscope.acquire(Frame((16, 16), 1.0, 1.0, "ronchigram"))
    with pytest.raises(MicroscopeError, match="replay has no scanned detector, so no path"):
        microscope.scan(np.zeros((1, 2)), 1.0)


def test_files_are_replayed_with_the_pixel_size_given(tmp_path):
    image = np.random.default_rng(2).uniform(5, 50, (16, 24)).astype(np.float32)
    np.save(tmp_path / "one.npy", image)
    with pytest.raises(MicroscopeError, match=r"one\.npy has no pixel size in its header; give pixel_size"):
        ReplayMicroscope.from_files(tmp_path)
    microscope = ReplayMicroscope.from_files(tmp_path, pixel_size=0.25)
    assert microscope.field == (4.0, 6.0)
    assert microscope.acquire(Frame((16, 24), 0.25, 1.0)).image == pytest.approx(image)

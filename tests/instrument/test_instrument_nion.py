"""Nion Swift's simulator through our protocol: that signs, units and counts are what the protocol says."""

import sys

import numpy as np
import pytest

from beamwright.envs.instrument import Frame, NionMicroscope
from beamwright.errors import MicroscopeError, MissingExtraError

RONCHIGRAM = Frame((256, 256), 0.7866, 1e6, "ronchigram")


@pytest.fixture
def microscope():
    pytest.importorskip("nion.usim_device", reason='the package nionswift-usim, extra "nion"')
    return NionMicroscope("flake", field=(200.0, 200.0))


def correlation(one, two):
    return np.corrcoef(one.ravel(), two.ravel())[0, 1]


def shadow(microscope, **settings):
    microscope.set(settings)
    return microscope.acquire(RONCHIGRAM).image


def enlarged(image, rows, columns):
    """Return the middle of an image, magnified along each axis by a whole number."""
    height, width = (edge // factor for edge, factor in zip(image.shape, (rows, columns), strict=True))
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return np.kron(image[top : top + height, left : left + width], np.ones((rows, columns)))


def test_the_shadow_is_magnified_by_focus_and_stretched_by_astigmatism(microscope):
    """A ray at angle alpha lands C10 alpha off the axis, and C12a adds to it along x and not along y."""
    microscope.set({"current": 1000.0})
    near, far = shadow(microscope, C10=500.0), shadow(microscope, C10=1000.0)
    assert correlation(near, enlarged(far, 2, 2)) > 0.7
    assert correlation(near, far) < 0.4
    line = shadow(microscope, C10=750.0, C12a=250.0)  # 1000 nm along x, 500 nm along y
    assert correlation(near, enlarged(line, 1, 2)) > 0.7
    turned = shadow(microscope, C12a=-250.0)
    assert correlation(near, enlarged(turned, 2, 1)) > 0.7


def test_all_electrons_are_on_the_camera_whatever_the_binning(microscope):
    pixel = microscope.acquire(Frame((1, 1), 0.1, 1.0, "ronchigram")).pixel_size
    for binning in (4, 8):
        size = 2048 // binning
        taken = microscope.acquire(Frame((size, size), 1.02 * pixel * binning, 1e5, "ronchigram"))
        assert taken.pixel_size == pytest.approx(binning * pixel)
        assert taken.image.sum() == pytest.approx(taken.electrons, rel=0.02)


def test_the_noise_of_the_camera_is_poisson_and_follows_the_seed():
    pytest.importorskip("nion.usim_device", reason='the package nionswift-usim, extra "nion"')
    frame = Frame((64, 64), 0.7866, 10.0, "ronchigram")
    one, same, other = (NionMicroscope(seed=seed).acquire(frame).image for seed in (0, 0, 1))
    assert (one == same).all()
    assert ((one - other) ** 2).mean() == pytest.approx((one + other).mean(), rel=0.1)


def test_a_shift_moves_the_image_as_the_protocol_says(microscope):
    frame = Frame((64, 64), 200 / 64, 20.0)
    before = microscope.acquire(frame).image
    microscope.set({"shift_y": 8 * frame.pixel_size, "shift_x": -12 * frame.pixel_size})
    after = microscope.acquire(frame).image
    moved = np.roll(before, (8, -12), (0, 1))
    assert correlation(moved[12:-12, 12:-12], after[12:-12, 12:-12]) > 0.7
    assert correlation(before, after) < 0.5


def test_a_wide_frame_is_the_middle_of_a_square_one_and_a_path_agrees(microscope):
    square = microscope.acquire(Frame((64, 64), 200 / 64, 20.0)).image
    wide = microscope.acquire(Frame((32, 64), 200 / 64, 20.0)).image
    assert correlation(square[16:48], wide) > 0.7
    path = (np.stack(np.indices((64, 64)), -1).reshape(-1, 2) + 0.5) * 200 / 64
    counts = microscope.scan(path, 20.0)
    assert correlation(counts, square.ravel()) > 0.7
    # Its scanned images have a level that changes from one to the next, and no seed.
    assert counts.mean() == pytest.approx(square.mean(), rel=0.4)


def test_what_the_simulator_has_not_is_refused(microscope):
    with pytest.raises(MicroscopeError, match=r'no specimen "flakes"\. Did you mean "flake"'):
        NionMicroscope("flakes")
    with pytest.raises(
        MicroscopeError, match=r"2000 x 10 nm is larger than the simulated specimen, .* 1000 nm"
    ):
        NionMicroscope(field=(2000.0, 10.0))
    with pytest.raises(
        MicroscopeError, match=r"camera has 256 x 256 pixels of 0\.787 mrad; a frame of 300 x 2 "
    ):
        microscope.acquire(Frame((300, 2), 1.0, 1.0, "ronchigram"))
    assert microscope.spent.electrons == 0


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "nion.usim_device", None)
    with pytest.raises(MissingExtraError, match=r'needs the extra "nion": pip install "beamwright\[nion\]"'):
        NionMicroscope()

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio

from beamwright.tasks.metrics import frc, frc_resolution, psnr, ssim, unbiased_squared_error

RNG = np.random.default_rng(0)


def band_limited(cut: float, edge: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Two images that are equal up to a frequency [1/px] and independent above it."""
    radius = np.hypot(np.fft.fftfreq(edge)[:, None], np.fft.rfftfreq(edge))
    shared, *own = (np.fft.rfft2(RNG.standard_normal((edge, edge))) for _ in range(3))
    first, second = (np.fft.irfft2(np.where(radius < cut, shared, other)) for other in own)
    return first, second


def test_psnr_agrees_with_scikit_image():
    clean = RNG.random((32, 32))
    noisy = clean + 0.1 * RNG.standard_normal(clean.shape)
    error = np.mean((noisy - clean) ** 2)
    assert psnr(error, 1.0) == pytest.approx(peak_signal_noise_ratio(clean, noisy, data_range=1.0))


def test_psnr_of_no_error_is_infinite():
    assert psnr(0.0, 1.0) == np.inf


def test_ssim_of_an_image_with_itself_is_one_and_falls_with_noise():
    clean = ndimage.gaussian_filter(RNG.random((64, 64)), 2).astype(np.float32)
    noisy = clean + 0.05 * RNG.standard_normal(clean.shape).astype(np.float32)
    assert ssim(clean, clean, 1.0) == pytest.approx(1)
    assert ssim(noisy, clean, 1.0) < 0.9


@pytest.mark.parametrize("clean_std", [5.0, 20.0])
def test_the_unbiased_error_finds_the_truth_and_the_naive_one_does_not(clean_std: float):
    """Tolerance: 0.3 dB on 512 x 512 pixels, where the naive estimate is more than 3 dB too low."""
    clean = ndimage.gaussian_filter(RNG.standard_normal((512, 512)), 4)
    clean = 50 + clean * clean_std / clean.std()
    first, second = RNG.poisson(np.clip(clean, 1, None), (2, *clean.shape)).astype(float)
    output = ndimage.gaussian_filter(first, 1)
    true = psnr(np.mean((output - np.clip(clean, 1, None)) ** 2), 100)
    unbiased = psnr(np.mean(unbiased_squared_error(output, first, second)), 100)
    naive = psnr(np.mean((output - second) ** 2), 100)
    assert unbiased == pytest.approx(true, abs=0.3)
    assert naive < true - 3


@given(scale=st.floats(0.01, 100), offset=st.floats(-100, 100))
@settings(max_examples=20, deadline=None)
def test_ring_correlation_ignores_scale_and_offset(scale: float, offset: float):
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 48, 64))
    plain, changed = frc(first, second), frc(first, second * scale + offset)
    np.testing.assert_allclose(changed.correlation, plain.correlation, atol=1e-3)


def test_ring_correlation_of_an_image_with_itself_is_one():
    image = RNG.standard_normal((64, 80))
    np.testing.assert_allclose(frc(image, image).correlation, 1, rtol=1e-4)


def test_ring_correlation_of_independent_noise_is_small():
    curve = frc(*RNG.standard_normal((2, 256, 256)))
    assert np.abs(curve.correlation[48:]).max() < 1 / 7


@pytest.mark.parametrize("cut", [0.1, 0.2, 0.35])
def test_the_resolution_is_where_images_stop_to_agree(cut: float):
    assert frc_resolution(frc(*band_limited(cut))) == pytest.approx(1 / cut, rel=0.08)


def test_the_resolution_is_in_units_of_the_pixel_size():
    curve = frc(*band_limited(0.2))
    assert frc_resolution(curve, pixel_size=0.3) == pytest.approx(0.3 * frc_resolution(curve))


def test_both_thresholds_of_half_sets_agree_and_that_of_references_is_coarser():
    first, second = band_limited(0.2)
    curve = frc(ndimage.gaussian_filter(first, 1), ndimage.gaussian_filter(second, 1))
    seventh, rosenthal, model = (frc_resolution(curve, threshold=value) for value in (1 / 7, 0.143, 0.5))
    assert rosenthal == pytest.approx(seventh, rel=1e-2)
    assert model > seventh


def test_the_resolution_of_a_crystal_is_its_last_reflection_not_its_first_gap():
    x = np.arange(256)
    crystal = np.cos(2 * np.pi * x / 16)[None] + np.cos(2 * np.pi * x / 6)[:, None]
    first, second = crystal + 2 * RNG.standard_normal((2, 256, 256))
    assert frc_resolution(frc(first, second)) == pytest.approx(6, rel=0.1)


@given(seed=st.integers(0, 2**32 - 1), edge=st.sampled_from([96, 128, 160]))
@settings(max_examples=60, deadline=None)
def test_a_draw_of_noise_does_not_decide_the_resolution(seed: int, edge: int):
    """Blobs of 2 px at 10 e-/px, of which a Gaussian filter keeps structure down to 5 px."""
    rng = np.random.default_rng(seed)
    clean = 2 + 5 * ndimage.gaussian_filter(rng.standard_normal((edge, edge)), 2)
    clean = np.clip(clean, 0, None) * 10 / np.clip(clean, 0, None).mean()
    first, second = rng.poisson(clean, (2, edge, edge)).astype(float)
    assert 3.7 < frc_resolution(frc(ndimage.gaussian_filter(first, 1), second)) < 6.2


@given(seed=st.integers(0, 2**32 - 1), edge=st.integers(48, 160), threshold=st.floats(0.1, 0.5))
@settings(max_examples=60, deadline=None)
def test_what_shares_nothing_with_the_reference_has_no_resolution(seed: int, edge: int, threshold: float):
    useless, reference = np.random.default_rng(seed).standard_normal((2, edge, edge))
    curve = frc(useless, reference)
    assert (curve.correlation < curve.chance).all()
    assert frc_resolution(curve, threshold=threshold) == pytest.approx(2 * (edge // 2))


def test_the_level_of_chance_is_three_standard_deviations_of_van_heel_and_schatz():
    """Theirs is of a complex number, sqrt(2) that of its real part; 10 % allowed for 200 draws."""
    curves = [frc(*RNG.standard_normal((2, 128, 128))) for _ in range(200)]
    found = np.std([np.arctanh(curve.correlation) for curve in curves], axis=0)
    expected = np.arctanh(curves[0].chance) / 3 / np.sqrt(2)
    assert np.mean(found[4:] / expected[4:]) == pytest.approx(1, abs=0.1)


def test_the_resolution_ends_at_nyquist_and_at_the_width_of_the_image():
    image = RNG.standard_normal((64, 64))
    assert frc_resolution(frc(image, image)) == 2
    assert frc_resolution(frc(image, -image)) == 64

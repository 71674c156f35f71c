"""Synthetic noise has the statistics that it promises; movies give independent pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.data import add_noise, even_odd, expected_electrons, open_image
from beamwright.errors import DataError
from beamwright.experiment import NoiseConfig

CLEAN = 1 + np.add.outer(np.arange(128.0), np.arange(160.0)) / 100


@settings(max_examples=20, deadline=None)
@given(dose=st.floats(0.5, 200), readout=st.floats(0, 5), scan=st.floats(0, 5), seed=st.integers(0, 99))
def test_mean_and_variance_of_the_noise(dose: float, readout: float, scan: float, seed: int) -> None:
    noise = NoiseConfig(dose=dose, readout=readout, scan=scan, scan_length=1.0)
    electrons = expected_electrons(CLEAN, noise)
    residual = add_noise(CLEAN, noise, np.random.default_rng(seed)) - electrons
    variance = dose + readout**2 + scan**2
    assert electrons.mean() == pytest.approx(dose, rel=1e-4)
    assert abs(residual.mean()) < 8 * np.sqrt(variance / residual.size)
    assert residual.var() == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize("length", [0.7, 2.0, 5.0])
def test_scan_noise_is_correlated_along_x_only(length: float) -> None:
    noise = NoiseConfig(dose=1e-6, scan=1.0, scan_length=length)
    scan = add_noise(np.ones((400, 400)), noise, np.random.default_rng(0))
    assert np.mean(scan[:, :-1] * scan[:, 1:]) == pytest.approx(np.exp(-1 / length), abs=0.03)
    assert np.mean(scan[:, :-3] * scan[:, 3:]) == pytest.approx(np.exp(-3 / length), abs=0.03)
    assert np.mean(scan[:-1] * scan[1:]) == pytest.approx(0, abs=0.03)
    assert scan[:, 0].var() == pytest.approx(scan[:, -1].var(), rel=0.2), "stationary from the first column"


def test_noise_is_that_of_the_seed_and_patches_keep_the_dose_of_the_image() -> None:
    noise = NoiseConfig(dose=20, readout=1, scan=1)
    one, two = (add_noise(CLEAN, noise, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.float32
    patch = expected_electrons(CLEAN[:16, :16], noise, mean=float(CLEAN.mean()))
    np.testing.assert_allclose(patch, expected_electrons(CLEAN, noise)[:16, :16], rtol=1e-5)


@pytest.mark.parametrize("image", [np.zeros((20, 20)), -CLEAN, CLEAN - 1.5])
def test_noise_needs_intensities(image: np.ndarray) -> None:
    with pytest.raises(
        DataError, match=r"none below zero and a positive mean, not from .* subtract the detector"
    ):
        add_noise(image, NoiseConfig(), np.random.default_rng(0))


@pytest.mark.parametrize("frames", [2, 5, 6])
def test_even_and_odd_sums_have_equally_many_frames(tmp_path: Path, frames: int) -> None:
    movie = np.random.default_rng(0).integers(0, 60_000, (frames, 16, 20), np.uint16)
    np.save(tmp_path / "a.npy", movie)
    (file,) = open_image(tmp_path / "a.npy")
    even, odd = even_odd(file)
    used = movie[: frames // 2 * 2].astype(np.float64)
    np.testing.assert_allclose(even, used[::2].sum(axis=0))
    np.testing.assert_allclose(odd, used[1::2].sum(axis=0))


def test_even_and_odd_sums_need_a_movie(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", CLEAN)
    with pytest.raises(DataError, match=r"a\.npy: even and odd sums need two frames of one field, not 1"):
        even_odd(open_image(tmp_path / "a.npy")[0])

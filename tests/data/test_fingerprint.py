"""Estimates of the fingerprint against data whose noise, objects and faults are known."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from beamwright.data import (
    Fingerprint,
    ImageFile,
    add_noise,
    describe,
    expected_electrons,
    fingerprint,
    scan_images,
    write_image,
)
from beamwright.errors import DataError
from beamwright.experiment import NoiseConfig

SIDE = 256


def _scene(seed: int, *, size: float = 8.0, side: int = SIDE) -> np.ndarray:
    """Return smooth objects of a width between one and three in brightness."""
    field = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), size, mode="wrap")
    return 2 + np.clip(field / (2 * field.std()), -1, 1)


def _save(folder: Path, arrays: list[np.ndarray], ending: str = ".npy") -> list[ImageFile]:
    for number, array in enumerate(arrays):
        write_image(folder / f"{number:02}{ending}", array)
    return scan_images(folder)


def _look(folder: Path, arrays: list[np.ndarray], **options: str) -> Fingerprint:
    return fingerprint({"train": _save(folder, arrays)}, **options)


@settings(max_examples=12, deadline=None)
@given(
    dose=st.floats(3, 300), gain=st.floats(0.5, 100), offset=st.floats(0, 500), frames=st.integers(1, 2),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_counting_noise(
    tmp_path_factory: pytest.TempPathFactory, dose: float, gain: float, offset: float, frames: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    scenes = [_scene(seed + number) for number in range(3)]
    noisy = [
        gain * np.stack([add_noise(scene, NoiseConfig(dose=dose), rng) for _ in range(frames)]) + offset
        for scene in scenes
    ]
    noise = (found := _look(tmp_path_factory.mktemp("data"), noisy)).noise
    assert noise.method == ("frames" if frames == 2 else "residual")
    assert noise.sigma == pytest.approx(gain * np.sqrt(dose), rel=0.1)
    assert noise.gain == pytest.approx(gain, rel=0.25)
    assert found.dose == pytest.approx(dose, rel=0.3)
    assert noise.poisson_share is not None
    assert (noise.correlation_length_x, noise.correlation_length_y) == (0, 0)
    assert (found.hot_pixels, found.dead_pixels) == (0, 0)


@settings(max_examples=12, deadline=None)
@given(dose=st.floats(5, 50), share=st.floats(0.2, 0.8), frames=st.integers(1, 2), seed=st.integers(0, 999))
def test_share_of_counting_and_readout_noise(
    tmp_path_factory: pytest.TempPathFactory, dose: float, share: float, frames: int, seed: int
) -> None:
    config = NoiseConfig(dose=dose, readout=float(np.sqrt(dose * (1 / share - 1))))
    rng = np.random.default_rng(seed)
    noisy = [
        np.stack([add_noise(_scene(seed + number), config, rng) for _ in range(frames)])
        for number in range(4)
    ]
    noise = _look(tmp_path_factory.mktemp("data"), noisy).noise
    assert noise.sigma == pytest.approx(np.sqrt(dose / share), rel=0.1)
    if noise.poisson_share is not None:
        assert noise.poisson_share == pytest.approx(share, abs=0.25)
    else:
        assert share < 0.4, "only a small share may go unnoticed"


@settings(max_examples=12, deadline=None)
@given(length=st.floats(0.7, 4), frames=st.integers(1, 2), seed=st.integers(0, 999))
def test_scan_noise(tmp_path_factory: pytest.TempPathFactory, length: float, frames: int, seed: int) -> None:
    config = NoiseConfig(dose=10, scan=6, scan_length=length)
    rng = np.random.default_rng(seed)
    noisy = [
        np.stack([add_noise(_scene(seed + number), config, rng) for _ in range(frames)])
        for number in range(4)
    ]
    found = _look(tmp_path_factory.mktemp("data"), noisy)
    noise = found.noise
    assert noise.correlation_x == pytest.approx(36 / 46 * np.exp(-1 / length), abs=0.06)
    assert noise.correlation_y == pytest.approx(0, abs=0.06)
    assert noise.correlation_length_x == pytest.approx(length, rel=0.35)
    assert noise.sigma == pytest.approx(np.sqrt(46), rel=0.15)
    if noise.correlation_x > 0.15:
        (warning,) = found.warnings
        assert "correlated along x" in warning
        assert "blind-spot training predicts that part of it" in warning


def test_correlated_noise_matters_to_blind_spots_only(tmp_path: Path) -> None:
    config = NoiseConfig(dose=10, scan=6)
    files = _save(tmp_path, [add_noise(_scene(0), config, np.random.default_rng(0))])
    assert "learns nothing" in fingerprint({"train": files}, regime="blind_spot").warnings[0]
    assert not fingerprint({"train": files}, regime="noise2noise").warnings


def test_noise_that_does_not_grow_with_the_intensity(tmp_path: Path) -> None:
    noisy = [_scene(n) * 50 + np.random.default_rng(n).normal(0, 5, (SIDE, SIDE)) for n in range(4)]
    noise = _look(tmp_path, noisy).noise
    assert noise.sigma == pytest.approx(5, rel=0.1)
    assert noise.poisson_share is None or noise.poisson_share < 0.2


@pytest.mark.parametrize("dose", [5, 1e6])
@pytest.mark.parametrize("width", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("frames", [1, 2])
def test_object_scale_of_blobs(tmp_path: Path, dose: float, width: float, frames: int) -> None:
    rng, y, x = np.random.default_rng(0), *np.mgrid[:SIDE, :SIDE]
    scene = np.full((SIDE, SIDE), 0.2)
    for cy, cx in rng.uniform(20, SIDE - 20, (40, 2)):
        scene += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2))
    noisy = np.stack([add_noise(scene, NoiseConfig(dose=dose), rng) for _ in range(frames)])
    assert _look(tmp_path, [noisy]).object_scale == pytest.approx(1.5 * 2.355 * width, rel=0.3)


@pytest.mark.parametrize("period", [6, 10, 16])
def test_object_scale_of_a_lattice_is_half_its_period(tmp_path: Path, period: int) -> None:
    phase = 2 * np.pi * np.arange(SIDE) / period
    scene = 2 + np.add.outer(np.cos(phase), np.cos(phase)) / 2
    noisy = add_noise(scene, NoiseConfig(dose=10), np.random.default_rng(0))
    assert _look(tmp_path, [noisy]).object_scale == pytest.approx(period / 2, rel=0.25)


def test_noise_alone_has_no_objects(tmp_path: Path) -> None:
    found = _look(tmp_path, [np.random.default_rng(n).normal(size=(SIDE, SIDE)) for n in range(3)])
    assert found.object_scale is None
    assert "nothing stands above the noise" in describe(found)


def test_hot_and_dead_pixels_stay_where_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stuck = rng.choice(np.arange(1, SIDE // 2 - 1) * 2, (2, 30), replace=False)
    images = [add_noise(_scene(n), NoiseConfig(dose=100), rng) for n in range(5)]
    for image in images:
        image[tuple(stuck[:, :20])], image[tuple(stuck[:, 20:])] = 1000, 0
        image[tuple(rng.integers(0, SIDE, 2))] = 1000  # an X-ray is no hot pixel
    found = _look(tmp_path, images)
    assert (found.hot_pixels, found.dead_pixels) == (20, 10)
    assert "A frame has about 20 hot and 10 dead pixels" in "".join(found.warnings)


def _field(seed: int) -> np.ndarray:
    return _scene(seed, size=3, side=320)


def test_one_field_of_view_in_two_roles_is_found_in_spite_of_shift_and_noise(tmp_path: Path) -> None:
    rng, noise = np.random.default_rng(0), NoiseConfig(dose=5)
    train = [add_noise(_field(seed)[:300, :300], noise, rng) for seed in range(4)]
    test = [add_noise(_field(2)[20:, 20:], noise, rng), add_noise(_field(9)[:300, :300], noise, rng)]
    files = {}
    for role, images in (("train", train), ("test", test)):
        (tmp_path / role).mkdir()
        files[role] = _save(tmp_path / role, images)
    found = fingerprint(files)
    assert found.duplicates == (
        (str(tmp_path / "train/02.npy"), str(tmp_path / "test/00.npy"), "same field"),
    )
    (warning,) = found.warnings
    assert warning.startswith("Images show the same field of view: ")
    assert warning.endswith("the figures on the test data would be too good; keep such files in one role.")


def test_the_test_file_in_the_training_folder(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = _save(tmp_path, [add_noise(_field(seed), NoiseConfig(), rng) for seed in range(3)])
    found = fingerprint({"train": files, "test": files[1:2]})
    assert found.duplicates == ((files[1].name, files[1].name, "same file"),)
    assert "a test file in the training folder: " in found.warnings[0]


def test_copies_under_other_names_and_in_other_formats(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    files = _save(tmp_path, [add_noise(_field(seed), NoiseConfig(), rng) for seed in range(2)])
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies/copy.npy").write_bytes(files[0].path.read_bytes())
    write_image(tmp_path / "copies/converted.tif", files[1].read())
    copies = scan_images(tmp_path / "copies")
    kinds = {(Path(one).name, Path(two).name): kind for one, two, kind in fingerprint(
        {"train": files, "test": copies}).duplicates}  # fmt: skip
    assert kinds == {("00.npy", "copy.npy"): "identical", ("01.npy", "converted.tif"): "identical"}
    alone = fingerprint({"data": [*files, *copies]})
    assert "they must not be split into training and test data" in "".join(alone.warnings)


def test_movies_that_drift_or_are_none(tmp_path: Path) -> None:
    rng, noise = np.random.default_rng(0), NoiseConfig(dose=20)
    field = _field(0)
    drifting = [np.stack([add_noise(field[: -(6 * n) or None], noise, rng)[:300] if not n else
                          add_noise(field, noise, rng)[6:306] for n in range(2)])]  # fmt: skip
    (tmp_path / "drift").mkdir()
    found = _look(tmp_path / "drift", drifting)
    assert found.drift == pytest.approx(6)
    assert "Frames of one movie are shifted by up to 6 px" in "".join(found.warnings)
    (tmp_path / "unrelated").mkdir()
    unrelated = [np.stack([add_noise(_field(seed), noise, rng) for seed in (1, 2)])]
    assert "set data.stack: images" in "".join(_look(tmp_path / "unrelated", unrelated).warnings)
    (tmp_path / "faint").mkdir()
    faint = [np.stack([add_noise(field, NoiseConfig(dose=0.3), rng) for _ in range(2)])]
    assert _look(tmp_path / "faint", faint).related is True


def test_ranges_saturation_pixel_sizes_and_flat_files(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base = add_noise(_scene(0), NoiseConfig(dose=100), rng)
    write_image(tmp_path / "a.tif", base, pixel_size=0.1)
    write_image(tmp_path / "b.tif", base * 100, pixel_size=1.0)
    write_image(tmp_path / "c.tif", np.full((40, 40), 7, np.float32))
    write_image(
        tmp_path / "d.tif", np.minimum(add_noise(_scene(1), NoiseConfig(dose=230), rng), 255).astype(np.uint8)
    )
    text = "\n".join((found := fingerprint({"train": scan_images(tmp_path)})).warnings)
    assert "The range of counts differs widely between files" in text
    assert "Pixel sizes range from 0.1 to 1 nm" in text
    assert "c.tif are equal (1 such files): remove it, it teaches nothing" in text
    assert "of the pixels have the largest value that the type holds" in text
    assert "The smallest image has a side of 40 px" in text
    assert found.pixel_size == pytest.approx(0.1)


def test_hints_shape_the_space(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found = _look(tmp_path, [add_noise(_scene(n), NoiseConfig(dose=5), rng) for n in range(2)])
    sizes = found.patch_sizes()
    assert all(size % 16 == 0 and size <= SIDE for size in sizes)
    assert max(sizes) >= 2 * found.object_scale  # type: ignore[operator]
    assert 2 <= found.max_levels() <= 5
    assert found.losses("clean") == ("l1", "l2", "huber", "ssim_l1")
    assert found.losses("blind_spot") == ("l2", "huber"), "the median of few electrons is not their mean"


def test_a_fingerprint_is_plain_data(tmp_path: Path) -> None:
    found = _look(tmp_path, [add_noise(_scene(0), NoiseConfig(), np.random.default_rng(0))])
    assert Fingerprint.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_a_description_says_what_matters(tmp_path: Path) -> None:
    text = describe(_look(tmp_path, [add_noise(_scene(0), NoiseConfig(scan=5), np.random.default_rng(0))]))
    for word in (
        "train 1",
        "256 x 256 px",
        "Poisson share",
        "hot pixels",
        "x: ",
        "y: none",
        "! The noise is",
    ):
        assert word in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_nothing_to_look_at() -> None:
    with pytest.raises(DataError, match="A fingerprint needs at least one image; give a folder, files"):
        fingerprint({"train": []})


def test_a_clean_image_has_hardly_any_noise(tmp_path: Path) -> None:
    found = _look(tmp_path, [expected_electrons(_scene(0), NoiseConfig(dose=100))])
    assert found.noise.sigma < 1
    assert (found.hot_pixels, found.dead_pixels) == (0, 0)


def test_a_folder_of_large_images_takes_seconds(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 1000, (2048, 2048), np.uint16)
    for number in range(12):
        write_image(tmp_path / f"{number}.mrc", np.roll(image, 97 * number))
    start = time.process_time()
    fingerprint({"train": scan_images(tmp_path)})
    assert time.process_time() - start < 10

"""`beamwright predict` with values and doses, and the bundle that is shipped."""

from __future__ import annotations

import json
import shutil
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from beamwright.data import open_image, write_image
from beamwright.errors import BundleError, DataError, DataWarning
from beamwright.experiment import PatternConfig, SimulateConfig
from beamwright.predict import predict_files
from beamwright.runtime import Bundle, load_bundle
from beamwright.runtime.bundle import relative_difference
from beamwright.runtime.shipped import SHIPPED, find_bundle
from beamwright.tasks.inpaint_cases import SparseCase
from beamwright.tasks.inpaint_classical import linear, normalised_convolution
from beamwright.tasks.inpaint_evaluation import evaluate_inpainting
from beamwright.tasks.patterns import draw_pattern, measure
from beamwright.tasks.simulating import simulated_images


@pytest.fixture
def apart(tmp_path: Path, scan: np.ndarray) -> tuple[Path, Path]:
    """Values and doses in files of their own."""
    paths = tmp_path / "value.mrc", tmp_path / "dose.mrc"
    for path, pixels in zip(paths, scan, strict=True):
        write_image(path, pixels, pixel_size=0.25)
    return paths


def test_two_frames_or_a_file_with_the_doses(
    bundle: Bundle, apart: tuple[Path, Path], scan: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "both.npy", scan)
    one = predict_files(bundle, apart[0], tmp_path / "one.mrc", dose=apart[1])
    two = predict_files(bundle, tmp_path / "both.npy", tmp_path / "two.npy")
    assert [path.name for path in one] == ["one.mrc", "one-log_squared_error.mrc"]
    assert [path.name for path in two] == ["two.npy", "two-log_squared_error.npy"]
    expected = bundle.predict(scan)
    for paths in (one, two):
        for path, channel in zip(paths, expected, strict=True):
            (result,) = open_image(path)
            assert result.shape == scan.shape[1:]
            np.testing.assert_allclose(result.read(), channel, atol=1e-5)
    assert open_image(one[0])[0].pixel_size == pytest.approx(0.25)


def test_tiles_give_the_same(bundle: Bundle, scan: np.ndarray) -> None:
    tile = 2 * bundle.metadata["halo"] + 12
    assert tile < min(scan.shape[1:])
    np.testing.assert_allclose(bundle.predict(scan, tile=tile), bundle.predict(scan), atol=1e-5)


def test_stacks_go_image_by_image(bundle: Bundle, scan: np.ndarray, tmp_path: Path) -> None:
    value, dose = scan
    np.save(tmp_path / "pairs.npy", np.stack([value, dose, value[::-1], dose[::-1]]))
    np.save(tmp_path / "values.npy", np.stack([value, value / 2]))
    write_image(tmp_path / "dose.mrc", dose)
    pairs, _ = predict_files(bundle, tmp_path / "pairs.npy", tmp_path / "out")
    apart = predict_files(bundle, tmp_path / "values.npy", tmp_path / "out", dose=tmp_path / "dose.mrc")
    whole = bundle.predict(scan)[0]
    for path in (pairs, apart[0]):
        (result,) = open_image(path)
        assert result.shape == (2, *value.shape)
        np.testing.assert_allclose(result.read(0), whole, atol=1e-5)
    np.testing.assert_allclose(np.load(pairs)[1], bundle.predict(scan[:, ::-1])[0], atol=1e-5)


def test_folders_are_paired_by_name(bundle: Bundle, scan: np.ndarray, tmp_path: Path) -> None:
    for index in range(2):
        for kind, pixels in zip(("value", "dose"), scan, strict=True):
            (tmp_path / kind).mkdir(exist_ok=True)
            np.save(tmp_path / kind / f"{index}_{kind}.npy", np.roll(pixels, index, 1))
    written = predict_files(bundle, tmp_path / "value", tmp_path / "out", dose=tmp_path / "dose")
    assert len(written) == 4
    np.testing.assert_allclose(np.load(written[2]), bundle.predict(np.roll(scan, 1, 2))[0], atol=1e-5)


def test_what_does_not_fit_is_refused(
    bundle: Bundle, apart: tuple[Path, Path], scan: np.ndarray, tmp_path: Path
) -> None:
    with pytest.raises(
        DataError, match=r"has 1 frame, and .* takes 2 for each image \(value, dose\).*--dose"
    ):
        predict_files(bundle, apart[0], tmp_path / "out")
    np.save(tmp_path / "small.npy", scan[1][:50])
    with pytest.raises(DataError, match=r"The dose must have the shape of the values: .*has \(50, 131\)"):
        predict_files(bundle, apart[0], tmp_path / "out", dose=tmp_path / "small.npy")
    with pytest.raises(DataError, match="is an input, and inputs are never replaced"):
        predict_files(bundle, apart[0], apart[1], dose=apart[1], overwrite=True)
    (tmp_path / "x-log_squared_error.npy").touch()
    with pytest.raises(DataError, match=r"x-log_squared_error\.npy: is already there"):
        predict_files(bundle, apart[0], tmp_path / "x.npy", dose=apart[1])


@pytest.mark.parametrize("dose", [0.0, -1.0])
def test_doses_that_are_none(bundle: Bundle, scan: np.ndarray, dose: float) -> None:
    with pytest.raises(DataError, match="must have the dose as its second channel: electrons per pixel"):
        bundle.predict(np.stack([scan[0], np.full_like(scan[1], dose)]))


def test_counts_are_compared_where_they_were_measured(bundle: Bundle, scan: np.ndarray) -> None:
    bundle.predict(scan)  # most of it is 0 and nobody is warned
    with pytest.warns(DataWarning, match="give raw counts as in training"):
        bundle.predict(np.stack([scan[0] * scan[1], scan[1]]))  # counts that were not divided by the dose


def test_models_without_doses_say_so(bundle_path: Path, apart: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "unnamed"
    shutil.copytree(bundle_path, folder)
    metadata = json.loads((folder / "beamwright.json").read_text())
    del metadata["inputs"][0]["channel_names"], metadata["outputs"][0]["channel_names"]
    (folder / "beamwright.json").write_text(json.dumps(metadata))
    with pytest.raises(DataError, match="does not complete sparse scans and takes no doses: omit --dose"):
        predict_files(folder, apart[0], tmp_path / "out", dose=apart[1])


def test_the_card_names_the_channels(bundle_path: Path) -> None:
    card = (bundle_path / "README.md").read_text()
    assert "| input | `dose` | electrons per pixel |" in card
    assert "| output | `log_squared_error` | 1 |" in card
    assert "--dose dose.mrc" in card
    package = (bundle_path / "rdf.yaml").read_text()
    assert "inpainting" in package
    assert "log_squared_error" in package


def test_each_channel_is_compared_in_its_own_range() -> None:
    expected = np.zeros((1, 2, 4, 4), np.float32)
    expected[0, 0, 0, 0], expected[0, 1, 0, 0] = 1, 100
    found = expected.copy()
    found[0, 0, 1, 1] = 0.01
    assert relative_difference(found, expected) == pytest.approx(0.01)


def test_an_unknown_name_gets_a_proposal() -> None:
    with pytest.raises(
        BundleError, match=r'name of one that is shipped: inpaint-96\. Did you mean "inpaint-96"'
    ):
        find_bundle("inpaint96")


def test_the_shipped_bundle_is_small_and_reproduces_its_test() -> None:
    assert SHIPPED["inpaint-96"].stat().st_size < 400_000
    with zipfile.ZipFile(SHIPPED["inpaint-96"]) as archive:
        assert "README.md" in archive.namelist()
    assert load_bundle("inpaint-96", threads=1).check() < 1e-4


def test_the_shipped_bundle_beats_interpolation_and_foresees_its_errors() -> None:
    bundle = load_bundle("inpaint-96", threads=1)
    classes = ("particle_cluster", "atom_cluster", "textured_flake", "particles_anywhere", "membrane_texture")
    config = SimulateConfig(specimens=classes, count=20, size=96, seed=7, held_out=True)
    patterns = PatternConfig(kinds=("segments", "spiral", "random"), coverage=0.0434, dose=1250, truncated=0)
    cases = [_case(image.read(), patterns, seed) for seed, image in enumerate(simulated_images(config))]
    found = evaluate_inpainting(lambda image: bundle.run(image[None])[0], cases, data_range=1).metrics
    for classical in (partial(linear, smooth=1), partial(normalised_convolution, sigma=2)):
        assert found["psnr"] > evaluate_inpainting(classical, cases, data_range=1).metrics["psnr"] + 0.5
    assert found["error_correlation"] > 0.5
    assert found["error_bias"] < 3


def _case(signal: np.ndarray, patterns: PatternConfig, seed: int) -> SparseCase:
    rng = np.random.default_rng(seed)
    dose = draw_pattern(patterns, (96, 96), rng).dose
    return SparseCase(str(seed), np.stack([measure(signal, dose, rng), dose]), signal, "clean")

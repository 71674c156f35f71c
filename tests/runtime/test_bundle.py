from __future__ import annotations

import warnings

import numpy as np
import onnxruntime
import pytest

from beamwright.errors import BundleError, DataError, DataWarning
from beamwright.runtime import load_bundle


@pytest.fixture(scope="module")
def bundle(bundle_path):
    return load_bundle(bundle_path, threads=1)


def test_it_reproduces_its_test_tensors(bundle):
    assert bundle.check() < 1e-6


def test_it_equals_onnxruntime_alone(bundle, bundle_path, noisy):
    session = onnxruntime.InferenceSession(bundle_path / "model.onnx")
    expected = session.run(None, {"input": noisy[None, None]})[0][0, 0]
    np.testing.assert_allclose(bundle.predict(noisy), expected, atol=1e-4 * np.ptp(expected))


@pytest.mark.parametrize("tile", [40, 47, 64, 100])
def test_tiles_equal_the_whole_image(bundle, noisy, tile):
    whole = bundle.predict(noisy)
    np.testing.assert_allclose(bundle.predict(noisy, tile=tile), whole, atol=1e-4 * np.ptp(whole))


def test_the_halo_is_not_larger_than_it_must_be_by_much(bundle, noisy):
    """A wrong centre pixel reaches as far as the halo says, and no farther."""
    changed = noisy.copy()
    changed[50, 38] += 1000
    reached = np.argwhere(np.abs(bundle.predict(changed) - bundle.predict(noisy)) > 1e-3)
    distance = np.abs(reached - [50, 38]).max()
    assert 0.4 * bundle.metadata["halo"] < distance <= bundle.metadata["halo"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", ">i2", "float16", "float64", "bool"])
def test_any_real_dtype_is_taken(bundle, noisy, dtype):
    image = noisy.astype(dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        result = bundle.predict(image)
        np.testing.assert_array_equal(result, bundle.predict(image.astype(np.float32)))
    assert result.dtype == np.float32


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (3, 2), (16, 16), (17, 31)])
def test_any_size_is_taken(bundle, shape):
    image = np.random.default_rng(0).normal(100, 10, shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        assert bundle.predict(image).shape == shape


def test_the_result_goes_where_it_is_wanted(bundle, noisy):
    out = np.zeros(noisy.shape, np.float32)
    assert bundle.predict(noisy, out=out) is out
    np.testing.assert_array_equal(out, bundle.predict(noisy))
    with pytest.raises(DataError, match=r"out must have the shape \(101, 77\) of the result, not \(2, 2\)"):
        bundle.predict(noisy, out=np.zeros((2, 2), np.float32))


def test_less_memory_means_smaller_tiles(bundle, noisy):
    whole = bundle.tiling((4096, 4096), memory=2**40)
    small = bundle.tiling((4096, 4096), memory=2**26)
    assert whole.tile == (4096, 4096)
    assert np.prod(small.tile) * bundle.metadata["inference_bytes_per_pixel"] < 2**26
    with pytest.raises(BundleError, match=r"use tiles of .* pixels or more"):
        bundle.predict(noisy, memory=10_000)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (
            np.zeros((2, 5, 5)),
            r"must have the axes \(y, x\), and has the shape \(2, 5, 5\); predict the frames",
        ),
        (np.zeros((5, 5), complex), "must hold real numbers, not complex128; take its modulus"),
        (np.zeros((0, 5)), r"is empty: its shape is \(0, 5\)"),
        (np.full((5, 5), np.nan), "holds NaN or infinite values"),
        (np.full((5, 5), -np.inf), "holds NaN or infinite values"),
        (np.array([["a"]]), "must hold real numbers"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(bundle, image, message):
    with pytest.raises(DataError, match=r"grid.mrc " + message):
        bundle.predict(image, name="grid.mrc")


def test_it_warns_of_another_pixel_size(bundle, noisy):
    with pytest.warns(
        DataWarning, match=r"has a pixel size of 0.5 nm, and the model was trained on 0.1 to 0.2 nm"
    ):
        bundle.predict(noisy, pixel_size=0.5)
    bundle.predict(noisy, pixel_size=0.15)


@pytest.mark.parametrize("scale", [1 / 255, 100])
def test_it_warns_of_scaled_counts(bundle, noisy, scale):
    with pytest.warns(DataWarning, match=r"trained on 60 to 140, \+- 10; give raw counts"):
        bundle.predict(noisy * scale)


def test_it_warns_of_normalised_counts_inside_the_range(damage):
    bundle = load_bundle(damage(intensity_range=[0, 1000]), threads=1)
    with pytest.warns(DataWarning, match=r"neither scaled nor normalised"):
        bundle.predict(np.random.default_rng(0).random((50, 50)) * 0.1)


def test_a_volume_equals_its_tiles(volume_path):
    bundle = load_bundle(volume_path, threads=1)
    volume = np.random.default_rng(0).poisson(100, (60, 40, 50))
    whole = bundle.predict(volume)
    assert bundle.check() < 1e-6
    np.testing.assert_allclose(bundle.predict(volume, tile=36), whole, atol=1e-4 * np.ptp(whole))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format": 2}, "has the format 2, and this version of beamwright reads up to 1; update beamwright"),
        ({"format": "x"}, "has the format 'x'"),
        ({"halo": -1}, "halo must be a number of pixels, or null, not -1"),
        ({"halo": 1e99}, "halo must be a number of pixels"),
        ({"divisor": 0}, "divisor must be a number of pixels, not 0"),
        ({"inference_bytes_per_pixel": 0}, "inference_bytes_per_pixel must be a positive number, not 0"),
        ({"inputs": []}, r"inputs must be one float32 tensor with axes .*, not \[\]"),
        ({"outputs": [{"axes": ["x"]}]}, "outputs must be one float32 tensor"),
        ({"pixel_size_range": [2, 1]}, r"pixel_size_range must be \[least, largest\] or null, not \[2, 1\]"),
        ({"normalisation": {"mean": 0, "std": 0}}, "normalisation must be mean and positive std"),
        ({"sha256": {}}, "sha256 must be the hashes of the files"),
        ({"sha256": {"model.onnx": "0" * 64}}, r"has the SHA-256 .*, and beamwright.json says 000000000000"),
    ],
)
def test_damaged_metadata_is_refused(damage, metadata, message):
    with pytest.raises(BundleError, match=message):
        load_bundle(damage(**metadata))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "must be an object, not list"),
    ],
)
def test_what_is_no_metadata_is_refused(damage, content, message):
    with pytest.raises(BundleError, match=message):
        load_bundle(damage({"beamwright.json": content}))


def test_other_axes_than_the_model_are_refused(damage):
    volume = [{"axes": ["batch", "channel", "z", "y", "x"], "channels": 1, "dtype": "float32"}]
    bundle = load_bundle(damage(inputs=volume))
    with pytest.raises(BundleError, match=r"and beamwright.json says .*; export the bundle again"):
        bundle.run(np.zeros((1, 1, 8, 8), np.float32))


def test_another_result_than_the_test_output_is_refused(damage, tmp_path, bundle_path):
    expected = np.load(bundle_path / "test_output.npy")
    np.save(tmp_path / "other.npy", expected + 0.01 * np.ptp(expected))
    bundle = load_bundle(damage({"test_output.npy": (tmp_path / "other.npy").read_bytes()}), threads=1)
    with pytest.raises(
        BundleError, match=r"does not reproduce its test output: it differs by 0.01 of the range"
    ):
        bundle.check()


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x80\x04K\x01."])
def test_damaged_test_tensors_are_refused(damage, content):
    bundle = load_bundle(damage({"test_input.npy": content}), threads=1)
    with pytest.raises(BundleError, match=r"test_input.npy of .* cannot be read"):
        bundle.check()

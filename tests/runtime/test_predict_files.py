"""`beamwright predict`: files in, files out."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import textwrap
import warnings

import mrcfile
import numpy as np
import pytest
import tifffile

from beamwright.data import open_image, write_image
from beamwright.errors import BundleError, DataError, DataWarning
from beamwright.predict import predict_files
from beamwright.runtime import load_bundle


@pytest.fixture(scope="module")
def bundle(bundle_path):
    return load_bundle(bundle_path, threads=1)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def test_pixel_size_voltage_and_name_are_kept(bundle, source, noisy, tmp_path):
    for name in ("a.mrc", "b.tif"):
        write_image(source / name, noisy, pixel_size=0.15, voltage=200.0)
    write_image(source / "c.npy", noisy)
    written = predict_files(bundle, source, tmp_path / "out")
    assert [path.name for path in written] == ["a.mrc", "b.tif", "c.npy"]
    for path in written:
        (result,) = open_image(path)
        np.testing.assert_allclose(result.read(), bundle.predict(noisy), atol=1e-3)
        assert result.dtype == np.float32
    for path in written[:2]:
        (result,) = open_image(path)
        assert result.pixel_size == pytest.approx(0.15, rel=1e-5)
        assert result.voltage == 200.0


def test_a_single_result_can_be_named(bundle_path, source, noisy, tmp_path):
    write_image(source / "a.mrc", noisy, pixel_size=0.15)
    target = tmp_path / "new" / "result.tif"
    assert predict_files(bundle_path, source / "a.mrc", target, threads=1) == [target]
    with tifffile.TiffFile(target) as file:
        assert file.is_imagej
        assert file.imagej_metadata["unit"] == "nm"


def test_formats_that_are_not_written_become_mrc(bundle, source, noisy, tmp_path):
    np.savez(source / "several.npz", first=noisy, second=noisy + 1)
    write_image(source / "packed.mrc.gz", noisy)
    write_image(source / "grey.png", noisy.astype(np.uint8))
    written = predict_files(bundle, source, tmp_path / "out")
    assert {path.name for path in written} == {
        "several-first.mrc",
        "several-second.mrc",
        "packed.mrc",
        "grey.tif",
    }
    for path in written:
        assert open_image(path)[0].shape == noisy.shape


def test_stacks_go_frame_by_frame(bundle, source, noisy, tmp_path):
    stack = np.stack([noisy, noisy[::-1], noisy + 5]).astype(np.uint16)
    with mrcfile.new(source / "stack.mrcs") as mrc:
        mrc.set_data(stack)
        mrc.set_image_stack()
        mrc.voxel_size = 1.5
    seen = []
    (path,) = predict_files(bundle, source, tmp_path, progress=lambda *step: seen.append(step))
    assert seen == [(source / "stack.mrcs", done, 3) for done in (1, 2, 3)]
    with mrcfile.open(path) as mrc:
        assert mrc.is_image_stack()
        assert float(mrc.voxel_size.x) == pytest.approx(1.5)
        for frame, result in zip(stack, mrc.data, strict=True):
            np.testing.assert_array_equal(result, bundle.predict(frame))
        header = [float(mrc.header[key]) for key in ("dmin", "dmax", "dmean", "rms")]
        np.testing.assert_allclose(
            header, [f(mrc.data) for f in (np.min, np.max, np.mean, np.std)], rtol=1e-4
        )
    assert mrcfile.validate(path)


def test_a_volume_goes_at_once(volume_path, source, tmp_path):
    volume = np.random.default_rng(0).poisson(100, (20, 30, 40)).astype(np.float32)
    write_image(source / "volume.mrc", volume)
    bundle = load_bundle(volume_path, threads=1)
    (path,) = predict_files(bundle, source, tmp_path)
    np.testing.assert_array_equal(open_image(path)[0].read(), bundle.predict(volume))


def test_an_image_is_no_volume(volume_path, source, noisy, tmp_path):
    write_image(source / "image.mrc", noisy)
    with pytest.raises(DataError, match=r"has the shape \(101, 77\), and .* takes volumes \(z, y, x\)"):
        predict_files(volume_path, source, tmp_path / "out", threads=1)


def test_inputs_are_never_replaced(bundle, source, noisy):
    write_image(source / "a.mrc", noisy)
    before = (source / "a.mrc").read_bytes()
    for output in (source, source / "a.mrc", source / ".." / "in"):
        with pytest.raises(DataError, match=r"is an input, and inputs are never replaced"):
            predict_files(bundle, source, output, overwrite=True)
    assert (source / "a.mrc").read_bytes() == before


def test_results_are_replaced_only_if_told(bundle, source, noisy, tmp_path):
    write_image(source / "a.mrc", noisy)
    predict_files(bundle, source, tmp_path / "out")
    with pytest.raises(DataError, match=r"is already there; remove it"):
        predict_files(bundle, source, tmp_path / "out")
    predict_files(bundle, source, tmp_path / "out", overwrite=True)


def test_two_inputs_of_one_name_are_refused(bundle, source, noisy, tmp_path):
    write_image(source / "a.mrc", noisy)
    write_image(source / "a.mrc.gz", noisy)
    with pytest.raises(DataError, match=r"would hold the results of .*; predict them apart"):
        predict_files(bundle, source, tmp_path / "out")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("result.dm3", "results are written as .*, not as .dm3"),
        ("result.tif", "one file cannot hold the results of 2 inputs; give a folder"),
    ],
)
def test_outputs_that_cannot_be_are_refused(bundle, source, noisy, tmp_path, output, message):
    for name in "ab":
        write_image(source / f"{name}.mrc", noisy)
    with pytest.raises(DataError, match=message):
        predict_files(bundle, source, tmp_path / output)


def test_nothing_is_written_when_one_input_is_bad(bundle, source, noisy, tmp_path):
    write_image(source / "a.mrc", noisy)
    noisy[3, 4] = np.nan
    write_image(source / "broken.npy", noisy)
    (source / "truncated.mrc").write_bytes((source / "a.mrc").read_bytes()[:5000])
    with pytest.raises(DataError, match=r"(?s)2 files cannot be read.*broken.npy.*truncated.mrc"):
        predict_files(bundle, source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_written_when_memory_is_too_small(bundle, source, noisy, tmp_path):
    write_image(source / "a.mrc", noisy)
    with pytest.raises(BundleError, match=r"or a larger memory"):
        predict_files(bundle, source, tmp_path / "out", memory=1000)
    assert not (tmp_path / "out").exists()


def test_a_failure_leaves_nothing_behind(bundle, source, noisy, tmp_path, monkeypatch):
    write_image(source / "a.mrc", noisy)

    def fail(*args, **kwargs):
        raise RuntimeError("power cut")

    monkeypatch.setattr(type(bundle), "predict", fail)
    with pytest.raises(RuntimeError, match=r"power cut"):
        predict_files(bundle, source, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_each_file_warns_once(bundle, source, noisy, tmp_path):
    write_image(source / "scaled.npy", np.stack([noisy, noisy]) / 255)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        predict_files(bundle, source, tmp_path / "out")
    assert [warning.category for warning in caught] == [DataWarning]
    assert "scaled.npy, frame 0 has values" in str(caught[0].message)


START = """
    import sys, time
    from beamwright.predict import predict_files
    from beamwright.runtime import load_bundle
    load_bundle(sys.argv[1], threads=1).session
    seconds = time.process_time()
    predict_files(sys.argv[1], sys.argv[2], sys.argv[3], threads=1)
    heavy = {"torch", "ray", "optuna", "skimage", "onnx", "bioimageio", "rsciio"} & set(sys.modules)
    print(seconds, *sorted(heavy))
"""


def test_it_starts_fast_and_imports_neither_torch_nor_ray(bundle_path, source, noisy, tmp_path):
    write_image(source / "a.mrc", noisy)
    command = [sys.executable, "-c", textwrap.dedent(START), bundle_path, source, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, *heavy = done.stdout.split()
    assert heavy == []
    assert float(seconds) < 3  # aim 1 s of CPU time; a loaded machine is allowed more


def test_memory_is_bounded_for_images_larger_than_it(bundle_path, source, tmp_path):
    """4096 x 4096 pixels in one go would need hundreds of megabytes."""
    image = np.lib.format.open_memmap(source / "big.npy", "w+", np.uint16, (4096, 4096))
    image[:] = np.random.default_rng(0).integers(80, 120, 4096, dtype=np.uint16)
    image.flush()
    code = """
        import re, sys
        from pathlib import Path
        from beamwright.predict import predict_files
        def anonymous():
            return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
        peak = 0.0
        import beamwright.runtime.bundle as runtime
        run = runtime.Bundle.run
        def watched(self, batch):
            global peak
            result = run(self, batch)
            peak = max(peak, anonymous())
            return result
        runtime.Bundle.run = watched
        before = anonymous()
        predict_files(sys.argv[1], sys.argv[2], sys.argv[3], memory=64 * 2**20, threads=1)
        print(peak - before)
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    command = [sys.executable, "-c", textwrap.dedent(code), bundle_path, source, tmp_path / "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 64 + 64  # tiles, and the session with its libraries' pages


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_for_terminals_and_on_stderr(bundle_path, noisy, tmp_path, terminal):
    np.save(tmp_path / "stack.npy", np.stack([noisy] * 3))
    command = [sys.executable, "-m", "beamwright.cli", "predict", str(bundle_path)]
    command += [str(tmp_path / "stack.npy"), "-o", str(tmp_path / "out"), "--threads", "1"]
    reader, writer = pty.openpty() if terminal else os.pipe()
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, text=True, env=environment)
    os.close(writer)
    shown = _all_of(reader)
    assert done.returncode == 0, shown
    assert done.stdout == f"{tmp_path / 'out' / 'stack.npy'}\n"
    assert ("stack.npy" in shown) == terminal
    assert ("100%" in shown) == terminal


def _all_of(reader: int) -> str:
    parts = []
    try:
        while part := os.read(reader, 65536):
            parts.append(part)
    except OSError:  # how a pseudo-terminal ends
        pass
    os.close(reader)
    return b"".join(parts).decode()

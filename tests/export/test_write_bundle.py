from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from beamwright.errors import BundleError, DataWarning
from beamwright.export import write_bundle
from beamwright.export.bioimage import check_package
from beamwright.export.bundle import _test_input
from beamwright.export.card import model_card
from beamwright.export.spec import least_size
from beamwright.runtime import load_bundle
from beamwright.search_spaces import Architecture, Stage

FILES = {"README.md", "beamwright.json", "cover.png", "model.onnx", "rdf.yaml"}
FILES |= {"test_input.npy", "test_output.npy"}


@pytest.fixture
def no_network(monkeypatch):
    """Fail loudly where anything asks for a name or a connection."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"something reached for the network: {args}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("written") / "bundle"


@pytest.fixture
def bundle(folder, make_spec):
    return folder if folder.exists() else write_bundle(make_spec(), folder)


def test_it_passes_the_community_checker_without_network(make_spec, tmp_path, no_network):
    path = write_bundle(make_spec(), tmp_path / "bundle.zip")
    assert {info.filename for info in zipfile.ZipFile(path).infolist()} == FILES
    assert check_package(path)["status"] == "passed"
    assert list(tmp_path.iterdir()) == [path]


def test_the_checker_is_the_real_one(bundle):
    """As a stranger would run it, in a process of its own, on folder and description."""
    code = """
        import sys, bioimageio.core
        summary = bioimageio.core.test_model(sys.argv[1])
        print(summary.status, *(detail.name for detail in summary.details))
    """
    command = [sys.executable, "-c", textwrap.dedent(code), bundle / "rdf.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("passed")
    assert "Reproduce test outputs from test inputs (onnx)" in done.stdout
    assert "batch_size: 2 and size parameter n: 2" in done.stdout


def test_the_metadata_say_what_was_measured(bundle):
    data = json.loads((bundle / "beamwright.json").read_text())
    assert {path.name for path in bundle.iterdir()} == FILES
    assert 0 <= data["parity"] < 1e-5
    assert data["bioimageio"]["status"] == "passed"
    assert (data["opset"], data["divisor"], data["seed"]) == (18, 2, 0)
    assert data["normalisation"] == {"mean": 100, "std": 10}
    assert data["metrics"]["test"] == {"psnr": 29.5, "ssim": 0.8, "frc": None}
    assert data["provenance"] == {"grid.mrc": "ab" * 32}
    assert {"beamwright", "torch", "onnxruntime", "python"} <= set(data["versions"])
    assert load_bundle(bundle, threads=1).check() < 1e-6


def test_the_card_tells_a_microscopist_what_to_know(bundle):
    card = (bundle / "README.md").read_text()
    assert "| **Grid: δ/2 #1** | 29.5 | 29 to 30 |  | 0.8 |" in card
    assert "| gaussian (sigma 1.5) | 26.5 | 26 to 27 |" in card
    for text in (
        "Pixel size in training: 0.1 nm",
        "Intensity in training: 60 to 140 counts (typically 100 ± 10)",
        "Noise: Poisson, white",
        "12 micrographs of a replica grating",
        "beamwright predict BUNDLE image.mrc -o denoised.mrc",
        "test_model`: passed",
        "beamwright run grating.yaml",
        "    seed: 3",
    ):
        assert text in card


def test_the_card_says_where_figures_come_from(make_spec):
    data = {"created": "2030-01-01", "parity": 0, "opset": 18}
    measured, trained = (model_card(make_spec(deployed=flag).describe() | data) for flag in (True, False))
    assert "looked at once), through this ONNX file. A network" in measured
    assert "looked at once), in the training loop, not through this ONNX file. A network" in trained


def test_the_card_names_a_command_that_exists(make_spec):
    card = model_card(make_spec(command="").describe() | {"created": "2030-01-01", "parity": 0, "opset": 18})
    assert "    beamwright run experiment.yaml\n" in card


def test_no_path_of_the_training_machine_is_in_the_bundle(make_spec, tmp_path):
    home = "/home/somebody"
    row = {"name": "gaussian", "parameters": {}, "metrics": {"psnr": 27.0}}
    row["test"] = {"metrics": {}, "interval": None, "per_image": [{"name": f"{home}/my data/a 1.mrc[3]"}]}
    spec = make_spec(
        baselines=[row],
        provenance={f"{home}/my data/a 1.mrc": "ab" * 32},
        experiment=f"data:\n  train:\n    images: ['{home}/my data/a b']\nstorage: {home}/x/runs\n",
        command=f"beamwright run '{home}/my data/e 1.yaml' --set 'data.train=[{home}/x/y, {home}/x/z]'",
        citations=[("https://doi.org/10.1000/a/b", "10.1000/a/b")],
        trained_on=f"counts/e- of {home}/x/y/z",
    )
    path = write_bundle(spec, tmp_path / "bundle")
    data = json.loads((path / "beamwright.json").read_text())
    assert data["baselines"][0]["test"]["per_image"] == [{"name": "my data/a 1.mrc[3]"}]
    assert list(data["provenance"]) == ["my data/a 1.mrc"]
    assert data["command"] == "beamwright run 'my data/e 1.yaml' --set 'data.train=[x/y, x/z]'"
    assert data["citations"][0] == ["https://doi.org/10.1000/a/b", "10.1000/a/b"]
    assert data["trained_on"] == "counts/e- of y/z"
    machine = (home, str(tmp_path), sys.prefix, str(Path(__file__).parents[2]), str(Path.home()))
    for file in path.iterdir():
        content = file.read_bytes()
        assert not [place for place in machine if place.encode() in content], file.name


def test_the_snippets_of_the_card_run(bundle, monkeypatch):
    card = (bundle / "README.md").read_text().replace('"BUNDLE"', repr(str(bundle)))
    image = np.random.default_rng(0).poisson(100, (50, 60)).astype(np.uint16)
    monkeypatch.chdir(bundle)
    results = []
    for snippet in re.findall(r"```python\n(.*?)```", card, re.DOTALL):
        names = {"image": image}
        exec(snippet, names)
        results.append(names["result"])
    assert len(results) == 2
    np.testing.assert_allclose(results[0], results[1], atol=1e-3)


def test_the_cover_shows_input_and_output(bundle):
    with Image.open(bundle / "cover.png") as cover:
        assert cover.width == 2 * cover.height
    assert (bundle / "cover.png").stat().st_size < 500_000


def test_a_bundle_is_replaced_only_if_told(bundle, make_spec, tmp_path):
    with pytest.raises(BundleError, match=r"is already there; choose another name, or overwrite it"):
        write_bundle(make_spec(), bundle)
    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "stale").touch()
    write_bundle(make_spec(seed=9), copy, overwrite=True)
    assert {path.name for path in copy.iterdir()} == FILES
    assert load_bundle(copy).metadata["seed"] == 9
    assert list(tmp_path.iterdir()) == [copy]


def test_another_folder_is_never_replaced(make_spec, tmp_path):
    (tmp_path / "thesis.docx").write_text("years")
    with pytest.raises(BundleError, match=r"is a folder but no bundle, and is not replaced"):
        write_bundle(make_spec(), tmp_path, overwrite=True)
    assert (tmp_path / "thesis.docx").read_text() == "years"


def test_a_model_that_differs_is_not_exported(make_spec, tmp_path, monkeypatch):
    monkeypatch.setattr("beamwright.export.bundle.parity", lambda *args: 3e-4)
    with pytest.raises(BundleError, match=r"differ by 0.0003 of the output's range, and 0.0001 is allowed"):
        write_bundle(make_spec(), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_not_exported(make_spec, tmp_path):
    spec = make_spec()
    with torch.no_grad():
        spec.deployable.std.fill_(torch.nan)
    with pytest.raises(BundleError, match=r"differ by inf"):
        write_bundle(spec, tmp_path / "bundle")


def test_a_package_that_fails_the_checker_says_why(bundle, tmp_path):
    broken = shutil.copytree(bundle, tmp_path / "broken")
    np.save(broken / "test_output.npy", np.load(broken / "test_output.npy") + 50)
    description = yaml.safe_load((broken / "rdf.yaml").read_text().partition("---")[2])
    del description["outputs"][0]["test_tensor"]["sha256"]
    (broken / "rdf.yaml").write_text(yaml.safe_dump(description))
    with pytest.raises(BundleError, match=r"test_model says .*disagree with expected values"):
        check_package(broken)


def test_an_unknown_licence_is_refused(make_spec, tmp_path):
    with pytest.raises(BundleError, match=r"(?s)BioImage.IO does not take the model's description.*license"):
        write_bundle(make_spec(licence="do what you like"), tmp_path / "bundle")


def test_an_example_of_other_axes_is_refused(make_spec, tmp_path):
    with pytest.raises(BundleError, match=r"The example must have 1 channels and the axes \['y', 'x'\]"):
        write_bundle(make_spec(example=np.zeros((2, 50, 50))), tmp_path / "bundle")


def test_a_small_example_is_enough(make_spec):
    batch = _test_input(make_spec(example=np.ones((9, 11))))
    assert (batch.shape, batch.min(), batch.dtype) == ((1, 1, 128, 128), 1, np.float32)


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(stages=(Stage(block="plain", width=4, depth=1),), norm="instance"),
        Architecture(stages=(Stage(block="plain", width=4, depth=1),), in_channels=3, out_channels=2),
        Architecture(stages=(Stage(block="plain", width=4, depth=1),), ndim=1),
    ],
    ids=["global", "channels", "spectra"],
)
def test_other_kinds_of_network_make_bundles(make_spec, tmp_path, architecture):
    rng = np.random.default_rng(0)
    shape = {1: (300,), 2: (60, 70)}[architecture.ndim]
    image = rng.poisson(100, (3, *shape) if architecture.in_channels == 3 else shape)
    path = write_bundle(make_spec(architecture, example=image), tmp_path / "bundle")
    bundle = load_bundle(path, threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        result = bundle.predict(image)
    assert result.shape == ((2, *shape) if architecture.out_channels == 2 else shape)
    assert (bundle.metadata["halo"] is None) != architecture.is_local


def test_the_checker_leaves_numpys_random_state(bundle):
    np.random.seed(7)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    check_package(bundle)
    assert np.random.random() == expected  # noqa: NPY002


@pytest.mark.parametrize(
    ("halo", "divisor", "size"), [(None, 1, 1), (0, 4, 4), (51, 8, 104), (4, 1, 9), (4, 8, 16)]
)
def test_the_least_size_holds_two_halos(halo, divisor, size):
    assert least_size(halo, divisor) == size

"""Bundles come from strangers: nothing outside them is touched, nothing unbounded is read."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest

from beamwright.errors import BundleError
from beamwright.runtime import load_bundle
from beamwright.runtime.archive import MAX_MEMBERS, read_member
from beamwright.runtime.session import open_session


def pack(folder: Path, path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_zip_is_as_good_as_the_folder(bundle_path, tmp_path, noisy):
    packed = load_bundle(pack(bundle_path, tmp_path / "small.zip"), threads=1)
    np.testing.assert_array_equal(packed.predict(noisy), load_bundle(bundle_path, threads=1).predict(noisy))
    assert packed.check() == 0


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../escape", "a/../../b", "..\\escape", "C:\\x", "c:x", "a\\b"]
)
def test_members_that_point_outside_are_refused(bundle_path, tmp_path, name):
    path = pack(bundle_path, tmp_path / "evil.zip", **{name: b""})
    with pytest.raises(BundleError, match=r"that points outside the bundle; do not use it"):
        load_bundle(path)


def test_links_in_a_zip_are_refused(bundle_path, tmp_path):
    path = pack(bundle_path, tmp_path / "evil.zip")
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BundleError, match=r'has a link "link", and a bundle holds files only'):
        load_bundle(path)


def test_links_in_a_folder_are_refused(damage, tmp_path):
    folder = damage()
    os.replace(folder / "model.onnx", tmp_path / "elsewhere.onnx")
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(BundleError, match=r"is a link, and a bundle holds files only"):
        load_bundle(folder)


def test_too_many_members_are_refused(bundle_path, tmp_path):
    members = {f"file{number}": b"" for number in range(MAX_MEMBERS)}
    with pytest.raises(BundleError, match=f"a bundle has at most {MAX_MEMBERS}"):
        load_bundle(pack(bundle_path, tmp_path / "many.zip", **members))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(bundle_path, tmp_path):
    with pytest.raises(BundleError, match=r'holds "model.onnx" twice'):
        load_bundle(pack(bundle_path, tmp_path / "twice.zip", **{"model.onnx": b"x"}))


def test_sizes_are_capped(tmp_path):
    (tmp_path / "big").write_bytes(b"0" * 101)
    path = pack(tmp_path, tmp_path.with_suffix(".zip"))
    for bundle in (tmp_path, path):
        with pytest.raises(BundleError, match=r'"big" in .* has 101 bytes; at most 100 are read'):
            read_member(bundle, "big", limit=100)


def test_a_size_that_the_directory_understates_is_refused(tmp_path):
    """A bomb promises little and unpacks to much."""
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big", b"0" * 10_000)
    size, lie = (10_000).to_bytes(4, "little"), (10).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, lie))
    with pytest.raises(BundleError, match=r"is not an intact .zip"):
        read_member(path, "big", limit=100)


def test_an_encrypted_zip_is_refused(bundle_path, tmp_path):
    path = pack(bundle_path, tmp_path / "locked.zip")
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")  # the directory's first entry; its flags are at 8
    content[start + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"is encrypted"):
        load_bundle(path)


def test_a_damaged_zip_is_refused(bundle_path, tmp_path):
    path = pack(bundle_path, tmp_path / "half.zip")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BundleError, match=r"is not an intact .zip"):
        load_bundle(path)
    path.write_bytes(b"hello")
    with pytest.raises(BundleError, match=r"is not an intact .zip"):
        load_bundle(path)


def test_what_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r'There is no bundle ".*nothing"; give the folder or the .zip'):
        load_bundle(tmp_path / "nothing")
    with pytest.raises(BundleError, match=r'is no bundle: it has no "beamwright.json" at its top'):
        load_bundle(tmp_path)


def external(path: Path) -> bytes:
    weights = onnx.numpy_helper.from_array(np.zeros(1, np.float32), "w")
    weights.data_location = onnx.TensorProto.EXTERNAL
    entry = weights.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    weights.ClearField("raw_data")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "g", [value], [out], [weights])
    return onnx.helper.make_model(graph).SerializeToString()


def test_weights_outside_the_model_are_refused(damage, tmp_path):
    model = external(tmp_path)
    bundle = load_bundle(
        damage({"model.onnx": model}, sha256={"model.onnx": hashlib.sha256(model).hexdigest()}), threads=1
    )
    with pytest.raises(BundleError, match=r"keeps its weights in other files"):
        bundle.run(np.zeros((1, 1, 4, 4), np.float32))


def test_padded_lengths_do_not_hide_weights_outside(tmp_path):
    model = external(tmp_path).replace(b"\x0a\x08location", b"\x0a\x88\x00location")
    with pytest.raises(BundleError, match=r"keeps its weights in other files"):
        open_session(model)


@pytest.mark.parametrize("model", [b"", b"hello", b"\x08\x0a"])
def test_what_is_no_onnx_is_refused(model):
    with pytest.raises(BundleError, match=r"does not take model.onnx"):
        open_session(model)


def test_metadata_cannot_name_other_files(damage, bundle_path):
    hashes = json.loads((bundle_path / "beamwright.json").read_text())["sha256"]
    bundle = load_bundle(damage(sha256=hashes | {"../../etc/passwd": "0" * 64}), threads=1)
    assert bundle.check() == 0  # only members of fixed names are ever opened

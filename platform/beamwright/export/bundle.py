"""Writes a bundle: the model, what is known of it, and the proof that it gives the same numbers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from beamwright.errors import BundleError
from beamwright.export.bioimage import check_package, write_package
from beamwright.export.card import model_card
from beamwright.export.cover import write_cover
from beamwright.export.onnx import OPSET, export_onnx, parity
from beamwright.export.spec import BundleSpec, least_size
from beamwright.runtime.bundle import TOLERANCE, load_bundle
from beamwright.runtime.metadata import FORMAT

__all__ = ["BundleSpec", "write_bundle"]

_MARK = "beamwright.json"


def write_bundle(spec: BundleSpec, path: str | Path, *, overwrite: bool = False) -> Path:
    """Export a model, check it, and write it as a folder or a ``.zip``.

    The bundle appears under its name only when it is complete and has passed: torch and onnxruntime agree
    on the test tensors and on other sizes, and the BioImage.IO checker accepts the package.

    Parameters
    ----------
    spec
        The model and what is known of it.
    path
        Where the bundle goes; a ``.zip`` if it ends so, else a folder.
    overwrite
        Replace a bundle that is there.

    Returns
    -------
    pathlib.Path
        `path`.

    Raises
    ------
    BundleError
        If `path` is taken, the model cannot be exported, or the exported model does not pass.
    """
    path = Path(path)
    _check_target(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp") as scratch:
        folder = Path(scratch) / path.name.removesuffix(".zip")
        folder.mkdir()
        _fill(spec, folder)
        _publish(folder, path, Path(scratch))
    return path


def _fill(spec: BundleSpec, folder: Path) -> None:
    model = folder / "model.onnx"
    export_onnx(spec.deployable, model, ndim=spec.architecture.ndim, channels=spec.architecture.in_channels)
    batch = _test_input(spec)  # (1, C, *spatial)
    difference = parity(
        spec.deployable, model, [batch, batch[..., 1:], np.concatenate([batch, batch[..., ::-1]])]
    )
    if not difference <= TOLERANCE:
        raise BundleError(
            f"torch and onnxruntime differ by {difference:.2g} of the output's range, and {TOLERANCE:g} is "
            "allowed; the model is not exported. Train it longer or export another trial."
        )
    metadata = {"format": FORMAT, **spec.describe()}
    metadata |= {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "opset": OPSET,
        "parity": difference,
    }
    _write_tensors(batch, folder, metadata)
    # Once before the community's checker runs, once more with its verdict.
    for _ in range(2):
        (folder / _MARK).write_text(json.dumps(metadata, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(model_card(metadata), encoding="utf-8")
        write_package(metadata, folder)
        metadata["bioimageio"] = check_package(folder)
    load_bundle(folder).check()


def _write_tensors(batch: np.ndarray, folder: Path, metadata: dict[str, Any]) -> None:
    names = ("model.onnx", "test_input.npy", "test_output.npy")
    metadata["sha256"] = {"model.onnx": _sha256(folder / "model.onnx")}
    (folder / _MARK).write_text(json.dumps(metadata, allow_nan=False), encoding="utf-8")
    result = load_bundle(folder, threads=1).run(batch)  # the deployed path makes its own reference
    np.save(folder / "test_input.npy", batch)
    np.save(folder / "test_output.npy", result)
    write_cover(batch[0, 0], result[0, 0], folder / "cover.png")
    metadata["sha256"] = {name: _sha256(folder / name) for name in names}


def _test_input(spec: BundleSpec) -> np.ndarray:
    """Cut the centre of the example to a size that the package declares valid: (1, C, *spatial)."""
    edge = 32 if spec.architecture.ndim == 3 else 128 // spec.architecture.out_channels  # bundles are shared
    image = np.asarray(spec.example, np.float32)
    image = image[None] if image.ndim == spec.architecture.ndim else image
    if image.shape[0] != spec.architecture.in_channels or image.ndim != spec.architecture.ndim + 1:
        raise BundleError(
            f"The example must have {spec.architecture.in_channels} channels and the axes {spec.axes}, "
            f"and has the shape {np.shape(spec.example)}."
        )
    size = least_size(spec.halo, spec.divisor, edge=edge)
    image = np.pad(
        image, [(0, 0), *((0, max(0, size - length)) for length in image.shape[1:])], mode="symmetric"
    )
    middle = [length // 2 for length in image.shape[1:]]
    if not _around(image, middle, size)[0].any():  # a sparse scan that missed the centre
        middle = [int(at) for at in np.unravel_index(np.argmax(np.abs(image[0])), image.shape[1:])]
    return np.ascontiguousarray(_around(image, middle, size))[None]


def _around(image: np.ndarray, middle: Sequence[int], size: int) -> np.ndarray:
    """Return what is around a place (C, *size), moved into the image where it would leave it."""
    starts = [
        min(max(at - size // 2, 0), length - size) for at, length in zip(middle, image.shape[1:], strict=True)
    ]
    window: tuple[slice, ...] = tuple(slice(start, start + size) for start in starts)
    return image[(slice(None), *window)]


def _check_target(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise BundleError(f'"{path}" is already there; choose another name, or overwrite it (--overwrite).')
    if path.is_dir() and any(path.iterdir()) and not (path / _MARK).is_file():
        raise BundleError(f'"{path}" is a folder but no bundle, and is not replaced; choose another name.')


def _publish(folder: Path, path: Path, scratch: Path) -> None:
    if path.suffix == ".zip":
        packed = scratch / path.name
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in sorted(folder.iterdir()):
                archive.write(member, member.name)
        os.replace(packed, path)
        return
    if path.exists():  # folders cannot be replaced in one step; the old one vanishes with the scratch folder
        shutil.move(path, scratch / "replaced")
    os.replace(folder, path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The BioImage.IO side of a bundle: ``rdf.yaml``, and the community's own test of it.

Nothing here reaches the network: all files are local, and no field is used that the library looks up.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from beamwright.errors import BundleError
from beamwright.export.spec import least_size
from beamwright.runtime.bundle import TOLERANCE

__all__ = ["check_package", "write_package"]

_LONGEST = 128
"""What the library allows for the description of a tensor."""


def write_package(metadata: Mapping[str, Any], folder: Path) -> None:
    """Write ``rdf.yaml`` for the files that are in `folder`.

    Raises
    ------
    BundleError
        If the description breaks a rule of BioImage.IO; the message has the library's reason.
    """
    with _quiet():
        from bioimageio.spec import ValidationContext, save_bioimageio_yaml_only
        from bioimageio.spec.model.v0_5 import ModelDescr

        with ValidationContext(root=folder, log_warnings=False, perform_io_checks=True):
            try:
                description = ModelDescr.model_validate(_description(metadata, folder))
            except ValueError as error:
                raise BundleError(f"BioImage.IO does not take the model's description: {error}") from None
            save_bioimageio_yaml_only(description, folder / "rdf.yaml")


def check_package(path: Path) -> dict[str, str]:
    """Run ``bioimageio.core.test_model`` on a package.

    Parameters
    ----------
    path
        A folder or a ``.zip``.

    Returns
    -------
    dict
        ``status``, always "passed", and ``version`` of the checker.

    Raises
    ------
    BundleError
        If it does not pass; the message has all reasons.
    """
    with _quiet():
        import bioimageio.core

        source = path / "rdf.yaml" if path.is_dir() else path
        summary = bioimageio.core.test_model(source, weight_format="onnx", devices=["CPUExecutionProvider"])
    if summary.status != "passed":
        reasons = [f"{detail.name}: {error.msg}" for detail in summary.details for error in detail.errors]
        raise BundleError(
            f'bioimageio.core.test_model says "{summary.status}" of {path.name}: ' + "; ".join(reasons)
        )
    return {"status": summary.status, "version": bioimageio.core.__version__}


def _description(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    label = data["candidate"]["name"] or "network found by search"
    ndim = len(data["inputs"][0]["axes"]) - 2
    return {
        "type": "model",
        "format_version": "0.5.12",
        "name": _title(data["name"]),
        "description": f"{data['task']} for electron micrographs in raw counts: {label}, by beamwright.",
        "authors": [{"name": re.sub(r"[/\\]", "-", author)} for author in data["authors"]],
        "license": data["licence"],
        "cite": [{"text": text, "doi": doi} for text, doi in data["citations"]],
        "tags": [
            "electron-microscopy",
            f"{ndim}d",
            _tag(data["task"]),
            "beamwright",
        ],
        "timestamp": data["created"],
        "documentation": {"source": "README.md"},
        "covers": [{"source": "cover.png"}],
        "attachments": [{"source": "beamwright.json"}],
        "inputs": [_input(data)],
        "outputs": [_output(data)],
        "weights": {"onnx": {"source": "model.onnx", "opset_version": data["opset"]}},
        "config": {"bioimageio": _config(data, folder)},
    }


def _input(data: Mapping[str, Any]) -> dict[str, Any]:
    size = {"min": least_size(data["halo"], data["divisor"]), "step": data["divisor"]}
    axes = [
        {"type": "space", "id": axis, "size": size, **_scale(data)} for axis in data["inputs"][0]["axes"][2:]
    ]
    return _tensor(data["inputs"][0], axes)


def _output(data: Mapping[str, Any]) -> dict[str, Any]:
    halo = {"halo": data["halo"]} if data["halo"] else {}
    axes = [
        {"type": "space", "id": axis, "size": {"tensor_id": "input", "axis_id": axis}, **halo, **_scale(data)}
        for axis in data["outputs"][0]["axes"][2:]
    ]
    return _tensor(data["outputs"][0], axes)


def _tensor(tensor: Mapping[str, Any], axes: list[dict[str, Any]]) -> dict[str, Any]:
    channels = tensor["channel_names"]
    meanings = zip(channels, tensor["meanings"], tensor["units"], strict=True)
    described = "; ".join(f"{name}: {meaning} [{unit}]" for name, meaning, unit in meanings)
    return {
        "id": tensor["name"],
        "description": described[:_LONGEST],
        "axes": [{"type": "batch"}, {"type": "channel", "channel_names": channels}, *axes],
        "data": {"type": "float32"},
        "test_tensor": {"source": f"test_{tensor['name']}.npy"},
    }


def _scale(data: Mapping[str, Any]) -> dict[str, Any]:
    sizes = data["pixel_size_range"]
    return {"unit": "nanometer", "scale": sizes[0]} if sizes and sizes[0] == sizes[1] else {}


def _config(data: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    output = np.load(folder / "test_output.npy", allow_pickle=False)
    # The library refuses more than 1 % of the largest value.
    absolute = min(TOLERANCE * float(np.ptp(output)), 0.01 * max(float(output.max()), 0.0))
    return {
        "architecture_type": (data["candidate"]["name"] or "searched CNN")[:32],
        "modality": "electron microscopy",
        "task": data["task"],
        "model_parameter_count": data["parameters"],
        "reproducibility_tolerance": [{"relative_tolerance": 1e-3, "absolute_tolerance": absolute}],
    }


def _tag(task: str) -> str:
    """Return the collection's word for a task, where it has one."""
    return {"denoise": "denoising", "inpaint": "inpainting"}.get(task, task)


def _title(name: str) -> str:
    """Return the name in the characters and lengths that BioImage.IO allows."""
    allowed = re.sub(r"[^A-Za-z0-9_+\- ()]", "-", name)[:64]
    return allowed if len(allowed) >= 5 else f"beamwright {allowed}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's log, its dependencies' warnings and its reseeding of numpy from the caller."""
    state = np.random.get_state()  # noqa: NPY002  the global state is what it reseeds
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from loguru import logger

        logger.disable("bioimageio")
        try:
            yield
        finally:
            logger.enable("bioimageio")
            np.random.set_state(state)  # noqa: NPY002

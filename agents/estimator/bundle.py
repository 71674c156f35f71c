"""An estimator as a bundle: ONNX with what it is for, run without torch."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from beamwright.agents.estimator.network import AberrationNet
from beamwright.agents.estimator.training import TrainingPlan
from beamwright.envs.alignment.spectra import CROSS_CHANNELS
from beamwright.errors import BundleError
from beamwright.runtime import load_bundle
from beamwright.runtime.bundle import TOLERANCE, relative_difference
from beamwright.runtime.metadata import FORMAT

__all__ = ["write_estimator"]

OPSET = 18
_KEPT = 3
"""Examples in the bundle: their beliefs must differ, as differences are judged by their range."""
_STAMP = (2000, 1, 1, 0, 0, 0)
"""Of the members of the zip, so that equal bundles are equal files."""


def write_estimator(
    network: AberrationNet,
    path: str | Path,
    *,
    plan: TrainingPlan,
    knobs: tuple[str, ...],
    example: np.ndarray,
    figures: Mapping[str, float] | None = None,
) -> Path:
    """Write an estimator as a ``.zip`` bundle that `beamwright.envs.alignment.BundleEstimator` runs.

    Its weights are rounded to half precision, in the network given too: a quarter less to ship, and far below
    the noise of any exposure.

    Parameters
    ----------
    network
        Trained.
    path
        Of the ``.zip``; replaced if it is there.
    plan
        How it was trained.
    knobs
        Whose misalignment it reads, in this order.
    example
        Cross-spectra of exposures, ``(B, 5, H, W // 2 + 1)``; the first three are kept as a test.
    figures
        What was measured of it, by name.

    Raises
    ------
    BundleError
        If torch and onnxruntime do not agree on the example.
    """
    path, kept = Path(path), np.asarray(example[:_KEPT], np.float16)
    example = np.concatenate([kept.astype(np.float32), example[_KEPT:]])
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(weight.half().float())
        expected = network(torch.from_numpy(example)).numpy()
    members = {
        "model.onnx": _onnx(network),
        "test_input.npy": _npy(kept),
        "test_output.npy": _npy(expected[: len(kept)]),
    }
    metadata = _describe(network, plan, knobs, figures or {})
    metadata["sha256"] = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp") as scratch:
        part = Path(scratch) / path.name
        _zip(part, members, metadata)
        metadata["parity"] = _parity(part, example, expected)
        _zip(part, members, metadata)
        load_bundle(part, threads=1).check()
        os.replace(part, path)
    return path


def _onnx(network: AberrationNet) -> bytes:
    """Return the network as ONNX for any number of pictures of its size."""
    height = int((network.places[0] == network.places[0, 0]).sum())  # columns of a row
    shape = (network.places.shape[1] // height, height)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations between torch's own parts
        torch.onnx.export(
            network,
            (torch.zeros(2, CROSS_CHANNELS, *shape),),
            buffer,  # type: ignore[arg-type]
            input_names=["input"],
            output_names=["output"],
            opset_version=OPSET,
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
            dynamo=False,
        )
    return buffer.getvalue()


def _describe(
    network: AberrationNet, plan: TrainingPlan, knobs: tuple[str, ...], figures: Mapping[str, float]
) -> dict[str, Any]:
    beliefs = [f"mean {knob}" for knob in knobs] + [f"log sigma {knob}" for knob in knobs]
    channels = ["excess 1", "excess 2", "real", "imaginary", "brightness"]
    return {
        "format": FORMAT,
        "name": f"aberrations of {plan.preset}",
        "task": "align",
        "inputs": [_tensor("input", channels)],
        "outputs": [_tensor("output", beliefs)],
        "halo": None,
        "divisor": 1,
        "inference_bytes_per_pixel": 4.0 * (CROSS_CHANNELS + len(beliefs)),
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "normalisation": None,
        "pixel_size_range": None,
        "intensity_range": None,
        "trained_on": f"its own corrections in AlignSTEM-v0, preset {plan.preset}",
        "plan": plan.model_dump(mode="json"),
        "metrics": dict(figures),
        "seed": plan.seed,
        "opset": OPSET,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("beamwright", "torch", "onnxruntime", "numpy")},
    }


def _tensor(name: str, channels: list[str]) -> dict[str, Any]:
    axes = ["batch", "channel", "y", "x"]
    return {"name": name, "axes": axes, "channels": len(channels), "channel_names": channels, "dtype": "float32"}


def _parity(path: Path, example: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference between torch and onnxruntime, relative to the range of a belief."""
    found = load_bundle(path, threads=1).run(example)
    difference = relative_difference(found, expected)
    if not difference <= TOLERANCE:
        raise BundleError(
            f"torch and onnxruntime differ by {difference:.2g} of the range of the beliefs, and {TOLERANCE:g} is "
            "allowed; the estimator is not written. Train it again with another seed."
        )
    return difference


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _zip(path: Path, members: Mapping[str, bytes], metadata: Mapping[str, Any]) -> None:
    text = json.dumps(metadata, indent=2, allow_nan=False) + "\n"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in {"beamwright.json": text.encode(), **members}.items():
            archive.writestr(zipfile.ZipInfo(name, _STAMP), content, zipfile.ZIP_DEFLATED)

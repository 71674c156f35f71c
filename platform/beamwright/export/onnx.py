"""From a torch module to an ONNX file, and how far the two agree."""

from __future__ import annotations

import copy
import io
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import nn

from beamwright.errors import BundleError
from beamwright.runtime import Tiling, predict_image
from beamwright.runtime.bundle import relative_difference
from beamwright.runtime.session import open_session

__all__ = ["OPSET", "export_onnx", "onnx_predict", "parity"]

OPSET = 18
"""ONNX operator set of all exports: what torch's exporter writes."""

_OPTIONS: dict[str, Any] = {"input_names": ["input"], "output_names": ["output"], "opset_version": OPSET}
_TILE_PIXELS = 2**21  # bounds the memory of networks whose need per pixel is not known

Array = npt.NDArray[np.float32]


def export_onnx(
    deployable: nn.Module, path: str | Path, *, ndim: int | None = None, channels: int = 1
) -> Path:
    """Write a module as one ONNX file, for any batch and any spatial size.

    Parameters
    ----------
    deployable
        (B, C, *spatial) raw counts to (B, K, *spatial); it is left as it is, on its device.
    path
        Where the file goes; replaced if it is there.
    ndim
        Number of spatial axes; by default the module's own ``ndim``, or 2.
    channels
        C.

    Raises
    ------
    BundleError
        If torch cannot export the module.
    """
    path = Path(path)
    ndim = ndim or int(getattr(deployable, "ndim", 2))
    module = copy.deepcopy(deployable).cpu().float().eval()
    model = _trace(module, ndim, channels)
    _clean(model, ndim)
    reach = {key: getattr(deployable, key, None) for key in ("halo", "divisor")}
    onnx.helper.set_model_props(model, {key: str(value) for key, value in reach.items() if value is not None})
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as scratch:
        part = Path(scratch) / path.name
        part.write_bytes(model.SerializeToString(deterministic=True))
        os.replace(part, path)
    return path


def onnx_predict(path: str | Path, *, threads: int = 1) -> Callable[[npt.ArrayLike], Array]:
    """Return the deployed path of a model: an image of raw counts to one of the same units.

    Images of models with several channels have them as a leading axis.

    Large images go through by tiles, as in `beamwright.runtime.Bundle.predict`, where the exported module
    had a ``halo``.

    Raises
    ------
    BundleError
        If onnxruntime does not take the model.
    """
    session = open_session(Path(path).read_bytes(), threads=threads)
    name, ndim = session.get_inputs()[0].name, len(session.get_inputs()[0].shape) - 2
    outputs = session.get_outputs()[0].shape[1]
    reach = {key: int(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    pixels = _TILE_PIXELS if "halo" in reach else np.inf

    def network(batch: Array) -> Array:
        return session.run(None, {name: batch})[0]

    def predict(image: npt.ArrayLike) -> Array:
        array = np.asarray(image)
        single = array.ndim == ndim
        array = array[None] if single else array  # (C, *spatial)
        shape, halo, divisor = array.shape[1:], reach.get("halo"), reach.get("divisor", 1)
        tiling = Tiling.fit(shape, halo=halo, divisor=divisor, pixels=pixels)
        out = np.empty((outputs, *shape), np.float32)
        found = predict_image(network, array, tiling=tiling, out=out)
        return found[0] if single else found

    return predict


def parity(deployable: nn.Module, path: str | Path, inputs: Sequence[npt.ArrayLike]) -> float:
    """Return the largest difference between torch and onnxruntime, relative to the range of torch's output.

    Parameters
    ----------
    deployable
        The module that was exported.
    path
        Its ONNX file.
    inputs
        Batches (B, C, *spatial) of raw counts.
    """
    session = open_session(Path(path).read_bytes(), threads=1)
    name = session.get_inputs()[0].name
    module = copy.deepcopy(deployable).cpu().float().eval()
    worst = 0.0
    for batch in inputs:
        array = np.ascontiguousarray(batch, np.float32)
        with torch.inference_mode():
            expected = module(torch.from_numpy(array)).numpy()
        found = session.run(None, {name: array})[0]
        difference = relative_difference(found, expected)
        worst = max(worst, difference) if np.isfinite(difference) else np.inf
    return worst


def _trace(module: nn.Module, ndim: int, channels: int) -> onnx.ModelProto:
    # Two of a batch, and odd sizes: torch would take 1 or equal sizes for constants.
    example = torch.zeros(2, channels, *(37 + 12 * axis for axis in range(ndim)))
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)  # it reports that torchvision, which nothing here needs, is absent
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations between torch's own parts
            return _by_script(module, example) or _by_program(module, example)
    except Exception as error:  # torch.export raises whatever its parts raise
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise BundleError(f"torch cannot export this network to ONNX: {reason[0]}") from error
    finally:
        logger.setLevel(level)


def _by_script(module: nn.Module, example: torch.Tensor) -> onnx.ModelProto | None:
    """Export by TorchScript: thirty times faster, but only where it warns of nothing it froze."""
    free = (0, *range(2, example.ndim))
    buffer = io.BytesIO()
    warnings.simplefilter("error", torch.jit.TracerWarning)
    try:
        axes = {name: {axis: f"axis{axis}" for axis in free} for name in ("input", "output")}
        # This exporter takes buffers, which the signature that both share does not say.
        torch.onnx.export(module, (example,), buffer, **_OPTIONS, dynamic_axes=axes, dynamo=False)  # type: ignore[arg-type]
    except Exception:  # a frozen value, an operator that it lacks, or a torch that has dropped it
        return None
    return onnx.load_from_string(buffer.getvalue())


def _by_program(module: nn.Module, example: torch.Tensor) -> onnx.ModelProto:
    """Export by torch.export, which proves that every size is free."""
    free = dict.fromkeys((0, *range(2, example.ndim)), torch.export.Dim.DYNAMIC)
    program = torch.onnx.export(
        module, (example,), **_OPTIONS, dynamic_shapes=(free,), dynamo=True, verbose=False
    )
    assert program is not None  # None is for the other exporter
    return program.model_proto


def _clean(model: onnx.ModelProto, ndim: int) -> None:
    """Name the free axes; drop what the exporter notes about its source, local paths among it."""
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    model.doc_string = model.graph.doc_string = ""
    for item in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del item.metadata_props[:]
        item.doc_string = ""
    free = {0: "batch"} | dict(enumerate("zyx"[-ndim:], start=2))
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in free.items():
            value.type.tensor_type.shape.dim[axis].dim_param = name

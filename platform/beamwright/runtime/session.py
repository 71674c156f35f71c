"""One onnxruntime session, with the settings that measured best on CPUs."""

from __future__ import annotations

import re

import onnxruntime

from beamwright.cores import usable_cores
from beamwright.errors import BundleError

__all__ = ["open_session"]

# An entry of TensorProto.external_data must carry the key "location"; protobuf allows padded varints.
_EXTERNAL = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")


def open_session(model: bytes, *, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Open a model for the CPU.

    Parameters
    ----------
    model
        An ONNX file with its weights inside.
    threads
        Threads of the operators; by default one per core that this process may use.

    Raises
    ------
    BundleError
        If the weights are outside the file, or onnxruntime does not take the model.
    """
    if _EXTERNAL.search(model):
        raise BundleError(
            "model.onnx keeps its weights in other files (ONNX external data), which a bundle must not; "
            "export it with the weights inside."
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    # Patterns are kept per shape and double the memory of tiled images; the arena alone is as fast.
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise BundleError(
            f"onnxruntime {onnxruntime.__version__} does not take model.onnx ({str(error).splitlines()[0]}); "
            "update onnxruntime, or export the bundle again."
        ) from None

"""Makes bundles: ONNX with its parity, model card, BioImage.IO package."""

from beamwright.export.bundle import BundleSpec, write_bundle
from beamwright.export.latency import measure_latency
from beamwright.export.onnx import OPSET, export_onnx, onnx_predict, parity

__all__ = ["OPSET", "BundleSpec", "export_onnx", "measure_latency", "onnx_predict", "parity", "write_bundle"]

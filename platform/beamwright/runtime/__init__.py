"""Runs bundles: exported models on images of any size, with numpy and onnxruntime alone."""

from beamwright.runtime.bundle import Bundle, load_bundle
from beamwright.runtime.tiles import Tiling, predict_image

__all__ = ["Bundle", "Tiling", "load_bundle", "predict_image"]

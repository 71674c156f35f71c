"""A bundle, loaded: metadata, the model, and images through it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from beamwright.errors import BundleError, DataError
from beamwright.runtime.archive import read_member
from beamwright.runtime.images import check_image, with_channels
from beamwright.runtime.metadata import parse_metadata
from beamwright.runtime.session import open_session
from beamwright.runtime.shipped import find_bundle
from beamwright.runtime.tiles import Tiling, predict_image

__all__ = ["MEMORY", "TOLERANCE", "Bundle", "load_bundle", "relative_difference"]

MEMORY = 2**31
"""What the network's intermediate images may take by default [byte]: whole images of 2048 x 2048 pixels for
a denoiser as searches find them, and overlaps of a few percent beyond that."""
TOLERANCE = 1e-4
"""Largest difference that counts as the same numbers, relative to the range of the output."""
_LIMITS = {
    "beamwright.json": 2**24,
    "model.onnx": 2**31 - 1,
    "test_input.npy": 2**28,
    "test_output.npy": 2**28,
}
_ARENA = 1.25  # measured: peak of onnxruntime's arena over the estimate of live bytes was 1.0 to 1.1

Result = npt.NDArray[np.float32]


@dataclass
class Bundle:
    """An exported model: raw counts in, the same units out.

    Made by `load_bundle`. The session opens on the first prediction and stays open.

    Parameters
    ----------
    path
        The folder or ``.zip`` that it came from.
    metadata
        What ``beamwright.json`` says.
    model
        The ONNX file.
    threads
        Threads of a prediction; by default one per core that this process may use.
    """

    path: Path
    metadata: Mapping[str, Any]
    model: bytes = field(repr=False)
    threads: int | None = None

    @cached_property
    def session(self) -> onnxruntime.InferenceSession:
        """The onnxruntime session.

        Raises
        ------
        BundleError
            If the model is not what the metadata says, or onnxruntime does not take it.
        """
        session = open_session(self.model, threads=self.threads)
        for nodes, tensors in ((session.get_inputs(), "inputs"), (session.get_outputs(), "outputs")):
            shapes = [(node.type, len(node.shape)) for node in nodes]
            expected = [("tensor(float)", len(tensor["axes"])) for tensor in self.metadata[tensors]]
            if shapes != expected:
                raise BundleError(
                    f'The {tensors} of model.onnx in "{self.path}" are {shapes}, and beamwright.json says '
                    f"{expected}; export the bundle again."
                )
        return session

    def run(self, batch: Result) -> Result:
        """Run the network as it is: (B, C, *spatial) to (B, K, *spatial), no tiles, no checks."""
        return self.session.run(None, {self.session.get_inputs()[0].name: batch})[0]

    def predict(
        self,
        image: npt.ArrayLike,
        *,
        tile: int | None = None,
        memory: int = MEMORY,
        out: Result | None = None,
        pixel_size: float | None = None,
        name: str = "The image",
    ) -> Result:
        """Run the model over an image of any size.

        Parameters
        ----------
        image
            Raw counts of any real dtype, possibly memory-mapped: (*spatial), with a leading channel axis
            if the model has several.
        tile
            Extent of the tiles, overlap included [px]; by default as large as `memory` allows.
        memory
            What the network's intermediate images may take [byte].
        out
            An array for the result, such as a memory map.
        pixel_size
            Pixel size of the image [nm], to be compared with that of the training images.
        name
            How messages call the image.

        Returns
        -------
        numpy.ndarray
            float32, of the same units and spatial shape.

        Raises
        ------
        DataError
            If the image does not fit the model, or is not finite.
        BundleError
            If the model cannot be run, or not within `memory`.

        Warns
        -----
        DataWarning
            If pixel size or counts are unlike those that the model was trained on.
        """
        pixels = check_image(image, self.metadata, pixel_size=pixel_size, name=name)  # (C, *spatial)
        spatial = pixels.shape[1:]
        channels = self.metadata["outputs"][0]["channels"]
        shape = spatial if channels == 1 else (channels, *spatial)
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape:
            raise DataError(f"out must have the shape {shape} of the result, not {out.shape}.")
        predict_image(
            self.run,
            pixels,
            tiling=self.tiling(spatial, tile=tile, memory=memory),
            out=with_channels(out, channels),
        )
        return out

    def tiling(self, shape: tuple[int, ...], *, tile: int | None = None, memory: int = MEMORY) -> Tiling:
        """Return how an image of the spatial shape `shape` is cut.

        Raises
        ------
        BundleError
            If `memory` or `tile` is too small for this network.
        """
        return Tiling.fit(
            shape,
            halo=self.metadata["halo"],
            divisor=self.metadata["divisor"],
            pixels=memory / (self.metadata["inference_bytes_per_pixel"] * _ARENA),
            tile=tile,
        )

    def check(self) -> float:
        """Run the test tensors and return the largest difference, relative to the range of the output.

        Raises
        ------
        BundleError
            If the difference is above 1e-4, or the test tensors are missing or damaged.
        """
        expected = self._test_tensor("test_output.npy")
        found = self.run(self._test_tensor("test_input.npy"))
        if found.shape != expected.shape:
            raise BundleError(
                f'The test output of "{self.path}" has the shape {expected.shape}, not {found.shape}.'
            )
        difference = relative_difference(found, expected)
        if not difference <= TOLERANCE:
            raise BundleError(
                f'"{self.path}" does not reproduce its test output: it differs by {difference:.2g} of the '
                f"range, and {TOLERANCE:g} is allowed; export it again, or update onnxruntime."
            )
        return difference

    def _test_tensor(self, name: str) -> Result:
        content = read_member(self.path, name, limit=_LIMITS[name])
        try:
            return np.load(io.BytesIO(content), allow_pickle=False).astype(np.float32, casting="same_kind")
        except (ValueError, TypeError, EOFError, MemoryError, AttributeError) as error:
            raise BundleError(
                f'{name} of "{self.path}" cannot be read ({error}); export the bundle again.'
            ) from None


def load_bundle(path: str | Path, *, threads: int | None = None) -> Bundle:
    """Load a bundle.

    Parameters
    ----------
    path
        A folder or a ``.zip``, or the name of a bundle that is shipped (`beamwright.runtime.shipped`).
    threads
        Threads of a prediction; by default one per core that this process may use.

    Raises
    ------
    BundleError
        If the bundle is missing, damaged, unsafe or not what its own hash says.
    """
    path = find_bundle(path)
    name = "beamwright.json"
    metadata = parse_metadata(read_member(path, name, limit=_LIMITS[name]), origin=f'"{path}"')
    model = read_member(path, "model.onnx", limit=_LIMITS["model.onnx"])
    digest = hashlib.sha256(model).hexdigest()
    if digest != metadata["sha256"]["model.onnx"]:
        raise BundleError(
            f'model.onnx of "{path}" has the SHA-256 {digest[:12]}..., and beamwright.json says '
            f"{metadata['sha256']['model.onnx'][:12]}...; it was changed or damaged: copy or export it again."
        )
    return Bundle(path, metadata, model, threads)


def relative_difference(found: Result, expected: Result) -> float:
    """Return the largest difference, relative to the range of what is expected in the same channel.

    Flat images have no range: at least a hundredth of the largest value counts.

    Parameters
    ----------
    found, expected
        Batches (B, K, *spatial).
    """
    axes = (0, *range(2, expected.ndim))
    least = np.maximum(1e-2 * np.abs(expected).max(axes), np.finfo(np.float32).tiny)
    scale = np.maximum(np.ptp(expected, axes), least)  # (K,)
    return float((np.abs(found - expected).max(axes) / scale).max())

"""What makes an image of the points measured so far: one interface, an interpolation and exported models."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from beamwright.envs.sparse_scan.config import ScanConfig
from beamwright.envs.sparse_scan.interpolation import Interpolation
from beamwright.envs.sparse_scan.sections import ReconstructorConfig
from beamwright.envs.sparse_scan.types import Reconstruction
from beamwright.errors import MicroscopeError

if TYPE_CHECKING:
    from beamwright.runtime import Bundle

__all__ = ["BundleReconstructor", "Reconstructor", "make_reconstructor"]


Reconstructor = Callable[[Tensor, Tensor], Reconstruction]
"""Takes ``values`` (signal of each pixel that was measured, else 0) and ``dose`` (electrons that a signal of
1 would have sent to the detector there, else 0) [e-], both ``(B, H, W)``."""


class BundleReconstructor:
    """Runs a model that a search for the task ``inpaint`` exported.

    The model takes two channels, signal and dose [e-], and gives the image and, where it has a second
    channel, the logarithm of the squared error that it expects.

    Parameters
    ----------
    bundle
        The model, loaded.
    shape
        Rows and columns of the field [px].

    Raises
    ------
    MicroscopeError
        If it has other channels, or cannot take images of this shape.
    """

    def __init__(self, bundle: Bundle, shape: tuple[int, int]) -> None:
        inputs, outputs = (bundle.metadata[name][0]["channels"] for name in ("inputs", "outputs"))
        if inputs != 2 or outputs not in (1, 2) or len(bundle.metadata["inputs"][0]["axes"]) != 4:
            raise MicroscopeError(
                "A reconstructor takes two channels (signal and dose) and gives one or two, but "
                f'"{bundle.path}" takes {inputs} and gives {outputs}; use a model of the task inpaint.'
            )
        divisor = bundle.metadata["divisor"]
        if any(size % divisor for size in shape):
            raise MicroscopeError(
                f'The model "{bundle.path}" takes images whose edges are multiples of {divisor} px, not '
                f"{shape[0]} x {shape[1]}; choose such a shape."
            )
        self._bundle, self.predicts = bundle, outputs == 2

    def __call__(self, values: Tensor, dose: Tensor) -> Reconstruction:
        """Return the image and, where the model gives it, the squared error that it expects."""
        batch = torch.stack((values, dose), 1).numpy(force=True)  # (B, 2, H, W)
        found = torch.from_numpy(self._bundle.run(batch)).to(values.device)  # (B, K, H, W)
        return Reconstruction(found[:, 0], found[:, 1].exp() if self.predicts else None)


def make_reconstructor(config: ScanConfig, device: torch.device) -> tuple[Reconstructor, bool]:
    """Return the reconstructor of a configuration, and whether it predicts its error.

    Raises
    ------
    BundleError
        If the model cannot be loaded.
    MicroscopeError
        If it does not fit.
    """
    if config.reconstructor.kind == "bundle":
        model = BundleReconstructor(_load(config.reconstructor), config.shape)
        return model, model.predicts
    return Interpolation(config.shape, noise=float(config.effects.poisson), device=device), True


def _load(config: ReconstructorConfig) -> Bundle:
    from beamwright.runtime import load_bundle

    assert config.bundle is not None
    return load_bundle(config.bundle, threads=config.threads)

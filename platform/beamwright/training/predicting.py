"""Running a torch module on an image of any size."""

from __future__ import annotations

import numpy as np
import torch

from beamwright.runtime import Tiling, predict_image
from beamwright.training.deployable import Deployable

__all__ = ["run_module"]


def run_module(
    module: Deployable, image: np.ndarray, *, pixels: float, layout: torch.memory_format
) -> np.ndarray:
    """Run a module on an image [counts]: the whole of it, or tiles that give the same.

    Parameters
    ----------
    image
        ``(H, W)``, or ``(C, H, W)`` for several channels; what comes back has as many axes.
    pixels
        The largest number of pixels that is run at once.
    layout
        The memory format that the module's convolutions have.
    """
    device = module.mean.device

    def run(batch: np.ndarray) -> np.ndarray:
        inputs = torch.from_numpy(batch).to(device, memory_format=layout)
        return module(inputs).cpu().numpy()

    channels = image if image.ndim == 3 else image[None]
    out = np.empty((module.out_channels, *channels.shape[1:]), np.float32)
    tiling = Tiling.fit(channels.shape[1:], halo=module.halo, divisor=module.divisor, pixels=pixels)
    with torch.inference_mode():
        predict_image(run, channels, tiling=tiling, out=out)
    return out if image.ndim == 3 else out[0]

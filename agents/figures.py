"""What is measured at the end of an episode beyond what the environment's info says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from beamwright.agents.image_quality import ssim
from beamwright.envs.sparse_scan import ScanState

__all__ = ["FIGURES", "final_figures", "scan_figures"]


def scan_figures(state: ScanState) -> dict[str, Tensor]:
    """Return root mean square error and structural similarity of the reconstructions, ``(B,)`` each."""
    return {"rms_error": state.error.sqrt(), "ssim": ssim(state.reconstruction, state.specimen)}


FIGURES: dict[type, Callable[[Any], dict[str, Tensor]]] = {ScanState: scan_figures}
"""By the class of the state: how to measure a batch of states."""


def final_figures(env: Any) -> dict[str, np.ndarray]:
    """Return figures of the present states of a vector environment, ``(B,)`` each; none for unknown ones."""
    measure = FIGURES.get(type(env.state))
    if measure is None:
        return {}
    with torch.no_grad():
        return {name: value.numpy(force=True) for name, value in measure(env.state).items()}

"""What may look at the exposures before the agent does, and say what it believes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

__all__ = ["BundleEstimator", "Estimator", "as_estimator"]


@runtime_checkable
class Estimator(Protocol):
    """Anything that reads aberrations from the exposures of a step."""

    def estimate(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the knobs should correct, and how sure that is.

        Parameters
        ----------
        observation
            Pictures of the step's exposures, ``(B, C, H, W)`` float32: what the environment observes, or
            what its configuration shows the estimator.

        Returns
        -------
        tuple of Tensor
            Mean of the misalignment, without the temporary changes of the exposures, and logarithm of its
            standard deviation, ``(B, K)`` [rad over the aperture], in the order of the knobs.
        """
        ...


class BundleEstimator:
    """An exported model as an estimator: pictures in, means and then logarithms of deviations out.

    Parameters
    ----------
    path
        Folder or ``.zip`` of a bundle whose output has 2 K channels for K knobs.

    Raises
    ------
    BundleError
        If the bundle is missing, damaged or unsafe.
    """

    def __init__(self, path: str | Path) -> None:
        # onnxruntime is only needed where a bundle is.
        from beamwright.runtime import load_bundle

        self.path = Path(path)
        self._run: Callable[[np.ndarray], np.ndarray] = load_bundle(path, threads=1).run

    def estimate(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """Run the model; see `Estimator.estimate`."""
        output = self._run(np.ascontiguousarray(observation.numpy(force=True)))  # (B, 2 K, ...)
        belief = torch.from_numpy(output).to(observation.device).flatten(1)
        mean, log_sigma = belief.chunk(2, dim=1)
        return mean, log_sigma


def as_estimator(value: str | Estimator | None) -> Estimator | None:
    """Return an estimator from what a configuration says: itself, or the path of a bundle.

    Raises
    ------
    BundleError
        If the bundle is missing, damaged or unsafe.
    """
    return BundleEstimator(value) if isinstance(value, str) else value

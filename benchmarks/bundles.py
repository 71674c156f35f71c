"""Bundles of untrained networks: speed does not depend on the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from beamwright.export import BundleSpec, write_bundle
from beamwright.search_spaces import SpaceLimits, build, named
from beamwright.training import Deployable

__all__ = ["untrained"]


def untrained(folder: Path, network: str = "drunet") -> Path:
    """Return a bundle of a named network in the folder, made if it is not there."""
    path = folder / f"{network}.zip"
    if path.exists():
        return path
    torch.manual_seed(0)
    candidate = named(network, limits=SpaceLimits())
    spec = BundleSpec(
        name=f"untrained-{network}",
        deployable=Deployable(build(candidate.architecture), mean=10.0, std=4.0),
        candidate=candidate,
        example=np.random.default_rng(0).poisson(10, (256, 256)).astype(np.float32),
        metrics={"validation": {"psnr": 0.0}},
        pixel_size_range=None,
        intensity_range=(0.0, 60.0),
    )
    return write_bundle(spec, path)

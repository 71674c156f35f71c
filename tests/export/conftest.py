from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from beamwright.export import BundleSpec
from beamwright.search_spaces import Architecture, Candidate, Stage, build
from beamwright.training import Deployable

STAGES = (Stage(block="plain", width=4, depth=1), Stage(block="residual", width=8, depth=1, downsample="max"))
SMALL = Architecture(stages=STAGES)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def make_deployable() -> Callable[[Architecture], Deployable]:
    def make(architecture: Architecture) -> Deployable:
        torch.manual_seed(0)
        return Deployable(build(architecture), mean=100.0, std=10.0)

    return make


@pytest.fixture
def make_spec(make_deployable) -> Callable[..., BundleSpec]:
    def make(architecture: Architecture = SMALL, **changes: Any) -> BundleSpec:
        example = np.random.default_rng(0).poisson(100, (150, 170)).astype(np.float32)
        values: dict[str, Any] = {
            "name": "Grid: δ/2 #1",
            "deployable": make_deployable(architecture),
            "candidate": Candidate(architecture=architecture, name="unet"),
            "example": example,
            "metrics": {
                "validation": {"psnr": 30.0},
                "test": {"psnr": 29.5, "ssim": 0.8, "frc": float("nan")},
            },
            "interval": (29.0, 30.0),
            "baselines": [
                {
                    "name": "gaussian",
                    "parameters": {"sigma": 1.5},
                    "metrics": {"psnr": 27.0},
                    "test": {"metrics": {"psnr": 26.5}, "interval": [26.0, 27.0]},
                }
            ],
            "pixel_size_range": (0.1, 0.1),
            "intensity_range": (np.float32(60), np.float32(140)),
            "noise": "Poisson, white",
            "trained_on": "12 micrographs of a replica grating",
            "provenance": {"grid.mrc": "ab" * 32},
            "experiment": "task: denoise\nseed: 3\n",
            "command": "beamwright run grating.yaml",
            "authors": ("A. Author", "B/C"),
        }
        return BundleSpec(**values | changes)

    return make

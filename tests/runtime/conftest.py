"""A small real bundle: two resolutions, so that tiles must keep to the grid."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beamwright.export import BundleSpec, write_bundle
from beamwright.search_spaces import Architecture, Candidate, Stage, build
from beamwright.training import Deployable

STAGES = (Stage(block="plain", width=4, depth=1), Stage(block="plain", width=8, depth=1, downsample="max"))


def make_bundle(path: Path, *, ndim: int = 2) -> Path:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    architecture = Architecture(stages=STAGES, ndim=ndim)
    example = np.random.default_rng(0).poisson(100, (40,) * ndim)
    spec = BundleSpec(
        name="small",
        deployable=Deployable(build(architecture), mean=100.0, std=10.0),
        candidate=Candidate(architecture=architecture),
        example=example,
        metrics={"validation": {"psnr": 30.0}},
        pixel_size_range=(0.1, 0.2),
        intensity_range=(60.0, 140.0),
    )
    return write_bundle(spec, path)


@pytest.fixture(scope="session")
def volume_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "volume.zip", ndim=3)


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "small")


@pytest.fixture
def damage(bundle_path: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies the bundle with some metadata or files changed."""

    def change(files: dict[str, bytes] | None = None, **metadata: Any) -> Path:
        folder = tmp_path / "damaged"
        shutil.copytree(bundle_path, folder)
        content = json.loads((folder / "beamwright.json").read_text()) | metadata
        (folder / "beamwright.json").write_text(json.dumps(content))
        for name, data in (files or {}).items():
            (folder / name).write_bytes(data)
        return folder

    return change


@pytest.fixture
def noisy() -> np.ndarray:
    return np.random.default_rng(1).poisson(100, (101, 77)).astype(np.float32)  # (H, W)

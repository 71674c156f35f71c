"""Small searches that are real: noisy lattices on disk, tiny networks, Ray on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from beamwright.data import write_image


@pytest.fixture(scope="session")
def movies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four movies of two noisy frames of a lattice."""
    folder = tmp_path_factory.mktemp("movies")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :96]
    for index in range(4):
        phase = rng.uniform(0, 2 * np.pi, 2)
        clean = 20 + 8 * (np.sin(0.7 * x + phase[0]) + np.sin(0.6 * y + phase[1]))
        frames = rng.poisson(clean, (2, 96, 96)).astype(np.float32)
        write_image(folder / f"movie{index}.mrc", frames, pixel_size=0.02)
    return folder


@pytest.fixture
def tiny(tmp_path: Path, movies: Path) -> dict[str, Any]:
    """An experiment that takes seconds."""
    return {
        "task": "denoise",
        "name": "tiny",
        "data": {"train": str(movies), "validation": 0.25, "test": 0.25, "stack": "movie"},
        "space": {"networks": ["unet"], "fix": {"width": 8, "batch_size": 4, "patch_size": 32}},
        "search": {"trials": 3, "sampler": "random", "scheduler": "none"},
        "training": {"epochs": 3, "steps_per_epoch": 3},
        "resources": {"concurrent": 1},
        "storage": str(tmp_path / "runs"),
    }


@pytest.fixture
def write_experiment(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    def write(content: dict[str, Any]) -> Path:
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(content))
        return path

    return write

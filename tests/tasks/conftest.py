from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beamwright.experiment import Experiment

DOSE = 10.0
EDGE = 160


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def draw_lattice(rng: np.random.Generator, edge: int = EDGE) -> np.ndarray:
    """A crystal of random orientation and period, in [0, 1]."""
    y, x = np.mgrid[:edge, :edge]
    angle, period, shift = rng.uniform(0, np.pi), rng.uniform(9, 11), rng.uniform(0, 2 * np.pi, 2)
    u = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period + shift[0]
    v = (y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period + shift[1]
    return ((1 + np.cos(u)) * (1 + np.cos(v)) / 4).astype(np.float32)


@pytest.fixture(scope="session")
def lattices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of the same seven fields: clean, single noisy images, second ones, movies of four frames."""
    root = tmp_path_factory.mktemp("lattices")
    rng = np.random.default_rng(0)
    for folder in ("clean", "noisy", "second", "movies"):
        (root / folder).mkdir()
    for index in range(7):
        shape = draw_lattice(rng)
        clean = shape * (DOSE / shape.mean(dtype=np.float64)).astype(np.float32)
        frames = rng.poisson(clean, (4, *clean.shape)).astype(np.float32)
        np.save(root / "clean" / f"{index}.npy", clean)
        np.save(root / "noisy" / f"{index}.npy", frames[0])
        np.save(root / "second" / f"{index}.npy", frames[1])
        np.save(root / "movies" / f"{index}.npy", frames)
    return root


@pytest.fixture
def experiment(lattices: Path) -> Callable[..., Experiment]:
    """An experiment of a regime on the lattices; keywords go into its data."""

    def make(regime: str, **data: Any) -> Experiment:
        train: dict[str, Any] = {
            "clean": {"images": str(lattices / "noisy"), "targets": str(lattices / "clean")},
            "synthetic": {"images": str(lattices / "clean")},
            "noise2noise": {"images": str(lattices / "movies")},
            "blind_spot": {"images": str(lattices / "noisy")},
        }[regime]
        stack = "movie" if regime == "noise2noise" else "auto"
        return Experiment.model_validate(
            {"task": "denoise", "data": {"train": train, "regime": regime, "stack": stack, **data}}
        )

    return make

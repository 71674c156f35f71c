from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from beamwright.data import Fingerprint, Noise
from beamwright.experiment import NoiseConfig
from beamwright.search_spaces import Architecture, Candidate, Recipe, SpaceLimits, Stage
from beamwright.tasks import TaskData
from beamwright.tasks.fields import Field, Frames

DOSE = 10.0


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def draw_lattice(rng: np.random.Generator, edge: int) -> np.ndarray:
    """A crystal of random orientation with a mean of DOSE."""
    y, x = np.mgrid[:edge, :edge]
    angle, shift = rng.uniform(0, np.pi), rng.uniform(0, 2 * np.pi, 2)
    u = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / 10 + shift[0]
    v = (y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / 10 + shift[1]
    return (DOSE * (1 + np.cos(u)) * (1 + np.cos(v))).astype(np.float32)


@pytest.fixture(scope="session")
def lattice_data() -> Callable[[str], TaskData]:
    """The same lattices, prepared for a regime."""

    def field(regime: str, name: str, rng: np.random.Generator) -> Field:
        clean = draw_lattice(rng, 96)[None]
        noisy = rng.poisson(clean[0], (2, *clean.shape[1:])).astype(np.float32)
        return {
            "clean": Field(name, Frames((noisy[:1],)), Frames((clean,))),
            "synthetic": Field(name, Frames((clean,))),
            "noise2noise": Field(name, Frames((noisy,))),
            "blind_spot": Field(name, Frames((noisy[:1],))),
        }[regime]

    def make(regime: str) -> TaskData:
        rng = np.random.default_rng(0)
        fields = {
            role: tuple(field(regime, f"{role} {index}", rng) for index in range(count))
            for role, count in (("train", 8), ("validation", 3), ("test", 3))
        }
        return TaskData(
            regime=regime,
            fields=fields,
            mean=DOSE,
            std=11.6,
            data_range=dict.fromkeys(fields, 40.0),
            limits=SpaceLimits(patch_sizes=(32,)),
            fingerprint=FINGERPRINT,
            noise=NoiseConfig(dose=DOSE),
        )

    return make


FINGERPRINT = Fingerprint(
    files={}, frames={}, shapes=((96, 96),), minimum=0, maximum=60, mean=DOSE, std=11.6, percentiles={},
    pixel_sizes=(), voltages=(), dead_pixels=0, hot_pixels=0, object_scale=10.0,
    noise=Noise(DOSE**0.5, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, "frames"),
)  # fmt: skip


@pytest.fixture(scope="session")
def tiny() -> Callable[..., Candidate]:
    """A U-Net of two levels; keywords go into its recipe."""

    def make(**recipe: object) -> Candidate:
        architecture = Architecture(
            stages=(
                Stage(block="plain", width=8, depth=2),
                Stage(block="plain", width=16, depth=2, downsample="max"),
            ),
            residual=True,
        )
        settings = {"batch_size": 8, "patch_size": 32, "learning_rate": 4e-3, **recipe}
        return Candidate(architecture=architecture, recipe=Recipe.model_validate(settings))

    return make

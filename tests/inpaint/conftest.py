"""Small fields and tiny networks, so that whole tasks take seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beamwright.experiment import Experiment, PatternConfig
from beamwright.export import BundleSpec, write_bundle
from beamwright.runtime import Bundle, load_bundle
from beamwright.search_spaces import Architecture, Candidate, Stage, build
from beamwright.tasks.inpaint import Inpaint
from beamwright.tasks.patterns import draw_pattern, measure
from beamwright.training import Deployable

STAGES = (
    Stage(block="residual", width=4, depth=1),
    Stage(block="residual", width=8, depth=1, downsample="max"),
)
SMALL = Architecture(
    stages=STAGES, in_channels=2, out_channels=2, prefill=(1.0, 3.0), skips="add", residual=True
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def simulated() -> Callable[..., Experiment]:
    """An experiment on simulated specimens; keywords go into its data."""

    def make(**data: Any) -> Experiment:
        train = {"simulate": {"specimens": ["particle_cluster", "membrane_texture"], "count": 10, "size": 64}}
        return Experiment.model_validate({"task": "inpaint", "data": {"train": train, **data}})

    return make


@pytest.fixture(scope="session")
def scan() -> np.ndarray:
    """Values and doses (2, H, W) of a wave that a path has crossed."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:150, :131]
    signal = (0.4 + 0.3 * np.sin(x / 9) * np.cos(y / 7)).astype(np.float32)
    config = PatternConfig(coverage=0.1, dose=50, truncated=0)
    pattern = draw_pattern(config, signal.shape, rng, kind="segments")
    return np.stack([measure(signal, pattern.dose, rng), pattern.dose])


@pytest.fixture(scope="session")
def module() -> Deployable:
    return make_module()


def make_module() -> Deployable:
    """A network whose head is not zero, so that it says something."""
    torch.manual_seed(0)
    network = build(SMALL)
    for weight in network.head.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    return Deployable(network, mean=0.4, std=0.25, half_dose=6.0)


@pytest.fixture(scope="session")
def bundle_path(tmp_path_factory: pytest.TempPathFactory, scan: np.ndarray) -> Path:
    torch.set_num_threads(1)
    spec = BundleSpec(
        name="small",
        deployable=make_module(),
        candidate=Candidate(architecture=SMALL),
        example=scan,
        task="inpaint",
        inputs=Inpaint.inputs,
        outputs=Inpaint.outputs,
        metrics={"validation": {"psnr": 20.0}},
        intensity_range=(0.0, 1.0),
    )
    return write_bundle(spec, tmp_path_factory.mktemp("bundles") / "small")


@pytest.fixture(scope="session")
def bundle(bundle_path: Path) -> Bundle:
    return load_bundle(bundle_path, threads=1)

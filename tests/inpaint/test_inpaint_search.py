"""From an experiment file to a completed scan, through the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from command_line import beamwright

from beamwright.tracking import RunFolder

pytestmark = pytest.mark.slow


def _succeed(folder: Path, *command: str) -> None:
    result = beamwright(*command, cwd=folder)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_search_ends_in_a_bundle_that_completes_scans(scan: np.ndarray, tmp_path: Path) -> None:
    experiment = {
        "task": "inpaint",
        "data": {"train": {"simulate": {"specimens": ["porous"], "count": 8, "size": 48}}},
        "space": {"networks": [], "fix": {"levels": 1, "width": 8, "flat_depth": 3, "batch_size": 4}},
        "search": {"trials": 1, "scheduler": "none", "sampler": "random"},
        "training": {"epochs": 1, "steps_per_epoch": 2},
        "resources": {"concurrent": 1},
        "storage": str(tmp_path / "runs"),
    }
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(experiment))
    np.save(tmp_path / "scan.npy", scan)
    _succeed(tmp_path, "run", "experiment.yaml")
    run = RunFolder.latest(tmp_path / "runs")
    _succeed(tmp_path, "export", str(run.path), "-o", "bundle.zip")
    _succeed(tmp_path, "predict", "bundle.zip", "scan.npy", "-o", "complete.npy")
    names = {row["name"] for row in run.baselines()}
    assert names == {"normalised convolution", "nearest", "linear", "biharmonic", "total variation"}
    deployed = run.records()[0].deployed
    assert deployed is not None
    assert deployed.keys() == {"psnr", "ssim", "error_correlation", "error_bias"}
    assert np.load(tmp_path / "complete.npy").shape == scan.shape[1:]
    assert np.load(tmp_path / "complete-log_squared_error.npy").shape == scan.shape[1:]


def test_names_are_listed() -> None:
    assert "inpaint" in beamwright("list", "tasks").stdout
    assert "inpaint" in beamwright("list", "spaces").stdout
    assert "membrane_texture" in beamwright("list", "specimens").stdout

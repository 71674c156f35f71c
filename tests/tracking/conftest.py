"""A run folder as a search leaves it, with simulated curves: what the tracking tests look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from beamwright.experiment import load_experiment
from beamwright.tracking import RunFolder, TrialRecord, save_examples

EPOCHS = 20
SPACE: dict[str, Any] = {
    "learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "width": IntDistribution(8, 64, step=8),
    "block": CategoricalDistribution(("plain", "residual", "convnext")),
    "optimizer": CategoricalDistribution(("adam", "adamw", "sgd")),
    "levels": IntDistribution(1, 4),
    "augment_dihedral": CategoricalDistribution((True, False)),
}
NAMES = {0: "unet", 1: "resunet", 2: "segnet"}


def lattice(seed: int, side: int = 128) -> dict[str, np.ndarray | None]:
    """A lattice of atoms at a low dose, its restoration by a Gaussian, and itself."""
    from scipy.ndimage import gaussian_filter

    y, x = np.mgrid[:side, :side] + 0.3 * seed
    clean = 4 + 3 * np.cos(2 * np.pi * x / 11) * np.cos(2 * np.pi * (y + x / 2) / 13)
    noisy = np.random.default_rng(seed).poisson(clean).astype(np.float32)
    return {"input": noisy, "output": gaussian_filter(noisy, 2.0), "target": clean.astype(np.float32)}


def sample(rng: np.random.Generator, number: int) -> dict[str, Any]:
    drawn = {
        name: distribution.choices[rng.integers(len(distribution.choices))]
        if isinstance(distribution, CategoricalDistribution)
        else float(10 ** rng.uniform(-4, -2))
        if isinstance(distribution, FloatDistribution)
        else int(rng.integers(distribution.low, distribution.high + 1, endpoint=False))
        for name, distribution in SPACE.items()
    }
    drawn["width"] = 8 * int(rng.integers(1, 9))
    return drawn | (
        {"momentum": 0.9} if drawn["optimizer"] == "sgd" else {}
    )  # conditional, as in real spaces


def curve(rng: np.random.Generator, parameters: dict[str, Any], epochs: int) -> list[dict[str, float]]:
    penalty = abs(np.log10(parameters["learning_rate"]) + 2.7)
    end = 28.5 + 0.9 * np.log2(parameters["width"] / 8) - 1.2 * penalty + 0.3 * parameters["levels"]
    return [
        {
            "epoch": epoch,
            "train_loss": float(0.4 * np.exp(-epoch / 6) + 0.05 + 0.01 * rng.random()),
            "learning_rate": parameters["learning_rate"] * (1 - epoch / (EPOCHS + 1)),
            "grad_norm": float(rng.uniform(0.2, 1.0)),
            "seconds": 4.0,
            "psnr": float(end - 6 * np.exp(-epoch / 4) + 0.08 * rng.standard_normal()),
            "ssim": float(0.9 - 0.3 * np.exp(-epoch / 5)),
        }
        for epoch in range(1, epochs + 1)
    ]


def write_trial(run: RunFolder, number: int, *, state: str, rng: np.random.Generator) -> TrialRecord:
    parameters = sample(rng, number)
    epochs = {"finished": EPOCHS, "stopped": 1 if number % 2 else 6, "running": 9}.get(state, 0)
    points = curve(rng, parameters, epochs)
    weights = 1100 * parameters["width"] * parameters["levels"]
    trial = run.trial(number)
    for point in points:
        trial.append_metrics(point)
    best = max(points, key=lambda point: point["psnr"]) if points else None
    reasons = {
        "failed": "The loss is not finite at epoch 3, step 17; lower learning_rate.",
        "infeasible": "A training step needs 9.1 GiB <of> memory; the device has 4.0 GiB.",
        "stopped": "asha: not among the best third at epoch 6",
    }
    trial.record = record = TrialRecord(
        number=number,
        name=NAMES.get(number),
        state=state,  # type: ignore[arg-type]
        reason=reasons.get(state, ""),
        parameters=parameters,
        cost={
            "parameters": weights,
            "macs_per_pixel": 1.7 * weights,
            "training_bytes": 10**8,
            "inference_bytes_per_pixel": 400.0,
        },
        latency=weights / 350 if state == "finished" else None,
        epochs=epochs,
        seconds=4.1 * epochs,
        best=best,
        deployed={
            "psnr": best["psnr"] - 0.02,
            "ssim": best["ssim"],
            "resolution": 0.31,
            "resolution_0143": None,
        }
        if state == "finished" and best
        else None,
    )
    if state == "finished":
        trial.onnx.write_bytes(b"\0" * (4 * weights))
    return record


def write_study(run: RunFolder, records: list[TrialRecord], objectives: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(run.journal))),
        study_name=run.name,
        directions=["maximize", "minimize"][:objectives],
    )
    states = {"finished": optuna.trial.TrialState.COMPLETE, "stopped": optuna.trial.TrialState.PRUNED}
    for record in records:
        values = (
            [record.deployed["psnr"], record.cost["parameters"]] if record.deployed and record.cost else None
        )
        study.add_trial(
            optuna.trial.create_trial(
                state=states.get(record.state, optuna.trial.TrialState.FAIL),
                values=values[:objectives] if values else None,
                params=record.parameters,
                distributions={
                    name: SPACE.get(name, FloatDistribution(0.0, 1.0)) for name in record.parameters
                },
            )
        )


STATES = ("finished",) * 9 + ("stopped", "failed", "infeasible", "stopped", "stopped", "finished")
BASELINES = [
    {"name": "noisy input", "parameters": {}, "metrics": {"psnr": 19.2, "ssim": 0.31}, "latency": 0.0},
    {
        "name": "gaussian",
        "parameters": {"sigma": 1.25},
        "metrics": {"psnr": 25.4, "ssim": 0.71},
        "latency": 21.0,
    },
    {
        "name": "nlm",
        "parameters": {"h": 0.8, "fast": True},
        "metrics": {"psnr": 26.9, "ssim": 0.78},
        "latency": 2400.0,
    },
]
FINGERPRINT = {
    "files": {"train": 12, "validation": 3, "test": 3},
    "shapes": [[512, 512]],
    "mean": 4.02,
    "noise": {"sigma": 2.0, "poisson_share": 0.97, "gain": 1.0, "correlation_length_x": 2.4},
    "warnings": ["The noise is correlated over 2.4 px along x: blind-spot training <would> learn nothing."],
}

MakeRun = Callable[..., RunFolder]


def build_run(
    storage: Path,
    states: tuple[str, ...] = STATES,
    *,
    objectives: tuple[str, ...] = ("quality",),
    complete: bool = True,
    baselines: list[dict[str, Any]] | None = None,
) -> RunFolder:
    """Make a run: the states of its trials, and whether it has come to its end."""
    rng = np.random.default_rng(3)
    experiment = load_experiment(
        {
            "task": "denoise",
            "data": {"train": "/data/micrographs"},
            "training": {"epochs": EPOCHS},
            "search": {"objectives": list(objectives)},
        }
    )
    run = RunFolder.create(storage, "lattice", experiment=experiment, command="beamwright run lattice.yaml")
    records = [write_trial(run, number, state=state, rng=rng) for number, state in enumerate(states)]
    write_study(run, records, len(objectives))
    if complete:
        run.update(state="finished", seconds=1234.0, versions={"python": "3.12", "torch": "2.13.0"})
        run.write("fingerprint.json", FINGERPRINT)
        run.write("baselines.json", BASELINES if baselines is None else baselines)
        save_examples(run.examples, [lattice(1), lattice(2)])
        exported = [record for record in records if record.deployed]
        if exported:
            best = max(exported, key=lambda record: (record.deployed or {})["psnr"])
            run.write("test.json", make_test(best))
    return run


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return `build_run` with a storage of the test's own."""

    def make(*, storage: Path = tmp_path / "runs", **options: Any) -> RunFolder:
        return build_run(storage, **options)

    return make


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A finished run that tests only read."""
    return build_run(tmp_path_factory.mktemp("runs"))


def make_test(best: TrialRecord) -> dict[str, Any]:
    return {
        "trial": best.number,
        "name": best.label,
        "metrics": {"psnr": 30.87, "ssim": 0.884, "resolution": 0.302},
        "interval": [30.61, 31.12],
        "level": 0.95,
        "interval_over": "blocks",
        "notes": {"psnr_kind": "clean"},
        "baselines": [{"name": "nlm", "metrics": {"psnr": 26.5}}],
    }

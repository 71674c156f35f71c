"""What only a card can show; run by ``make test-gpu``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from beamwright.data import write_image
from beamwright.experiment import Experiment, TrainingConfig, load_experiment
from beamwright.export import export_onnx, parity
from beamwright.search_spaces import SpaceLimits, estimate_cost, named
from beamwright.tasks.denoise import Denoise
from beamwright.training import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA card, and torch sees none"),
]


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    for index in range(4):
        clean = 20 + 8 * (np.sin(0.7 * x + index) + np.sin(0.6 * y))
        write_image(tmp_path / f"movie{index}.mrc", rng.poisson(clean, (2, 128, 128)).astype(np.float32))
    data = {"train": str(tmp_path), "validation": 0.25, "test": 0.25, "stack": "movie"}
    return load_experiment({"task": "denoise", "data": data})


def _train(experiment: Experiment, device: str, precision: str, *, epochs: int = 2) -> Trainer:
    task = Denoise()
    data = task.prepare(experiment)
    config = TrainingConfig(epochs=epochs, steps_per_epoch=10, precision=precision)  # type: ignore[arg-type]
    trainer = Trainer(named("unet", limits=data.limits), task, data, config=config, device=device, seed=1)
    for _ in range(epochs):
        trainer.run_epoch()
    return trainer


def test_the_card_learns_what_the_cpu_learns(experiment: Experiment) -> None:
    qualities = {device: _train(experiment, device, "float32").best["psnr"] for device in ("cpu", "cuda")}  # type: ignore[index]
    assert qualities["cuda"] == pytest.approx(qualities["cpu"], abs=0.5)


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "auto"])
def test_mixed_precision_learns_as_well(experiment: Experiment, precision: str) -> None:
    full = _train(experiment, "cuda", "float32").best
    mixed = _train(experiment, "cuda", precision).best
    assert full is not None
    assert mixed is not None
    assert mixed["psnr"] == pytest.approx(full["psnr"], abs=0.7)


def test_a_checkpoint_of_the_card_goes_on_on_the_cpu(experiment: Experiment, tmp_path: Path) -> None:
    trainer = _train(experiment, "cuda", "auto")
    trainer.save(tmp_path / "checkpoint.pt")
    task = Denoise()
    data = task.prepare(experiment)
    config = TrainingConfig(epochs=3, steps_per_epoch=10)
    other = Trainer(trainer.candidate, task, data, config=config, device="cpu", seed=1)
    other.restore(tmp_path / "checkpoint.pt")
    assert other.epoch == 2
    other.run_epoch()
    assert other.epoch == 3


def test_a_model_of_the_card_exports_to_the_same_numbers(experiment: Experiment, tmp_path: Path) -> None:
    model = _train(experiment, "cuda", "auto").deployable()
    export_onnx(model, tmp_path / "model.onnx")
    batch = np.random.default_rng(0).poisson(20, (1, 1, 96, 80)).astype(np.float32)
    assert parity(model, tmp_path / "model.onnx", [batch]) < 1e-4


def test_the_memory_estimate_holds_on_the_card(experiment: Experiment) -> None:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    trainer = _train(experiment, "cuda", "float32", epochs=1)
    estimate = estimate_cost(named("unet", limits=SpaceLimits(patch_sizes=(trainer.recipe.patch_size,))))
    assert 0.3 < torch.cuda.max_memory_allocated() / estimate.training_bytes < 3

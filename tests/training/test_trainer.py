from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from beamwright.errors import RunError
from beamwright.experiment import TrainingConfig
from beamwright.search_spaces import Candidate
from beamwright.tasks import TaskData
from beamwright.tasks.denoise import Denoise
from beamwright.training import Deployable, DivergedError, Trainer, trainer, untrained
from beamwright.training.checkpoint import read_checkpoint

Data = Callable[[str], TaskData]
Tiny = Callable[..., Candidate]
SHORT = TrainingConfig(epochs=4, steps_per_epoch=5)


def make(candidate: Candidate, data: TaskData, config: TrainingConfig = SHORT, *, seed: int = 0) -> Trainer:
    return Trainer(candidate, Denoise(), data, config=config, device="cpu", seed=seed)


def equal(first: object, second: object) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


@pytest.mark.parametrize("regime", ["clean", "synthetic", "noise2noise", "blind_spot"])
def test_a_few_seconds_of_training_beat_the_noisy_input(lattice_data: Data, tiny: Tiny, regime: str):
    """By three decibels against the truth, whatever the regime learned from."""
    config = TrainingConfig(epochs=4, steps_per_epoch=60)
    training = make(tiny(), lattice_data(regime), config)
    figures = [training.run_epoch() for _ in range(4)]
    assert figures[-1]["train_loss"] < figures[0]["train_loss"]
    task, truth = Denoise(), lattice_data("clean")
    noisy = task.evaluate(lambda image: image, truth, "test").metrics["psnr"]
    reached = task.evaluate(training.predict, truth, "test").metrics["psnr"]
    assert reached > noisy + 3


@pytest.mark.parametrize(
    "recipe",
    [
        {"optimizer": "adam", "dropout": 0.2, "ema": 0.9, "augment_noise": 0.1},
        {"optimizer": "sgd", "momentum": 0.9, "schedule": "one_cycle", "grad_clip": 1.0},
        {"optimizer": "nadam", "weight_decay": 1e-3, "schedule": "step", "loss": "ssim_l1"},
        {"optimizer": "radam", "warmup": 0.2, "loss": "l1", "augment_intensity": 0.2},
    ],
)
def test_a_restored_training_goes_on_bit_by_bit(
    lattice_data: Data, tiny: Tiny, tmp_path: Path, recipe: dict[str, object]
):
    data = lattice_data("clean")
    through, before, after = (make(tiny(**recipe), data) for _ in range(3))
    expected = [through.run_epoch() for _ in range(4)]
    for _ in range(2):
        before.run_epoch()
    before.save(tmp_path / "checkpoint.pt")
    torch.rand(3)  # what others draw from torch's generator makes no difference
    after.restore(tmp_path / "checkpoint.pt")
    found = [after.run_epoch() for _ in range(2)]
    clocks = {"seconds", "pixels_per_second"}
    for one, other in zip(expected[2:], found, strict=True):
        assert {k: v for k, v in one.items() if k not in clocks} == {
            k: v for k, v in other.items() if k not in clocks
        }
    assert equal(through.state_dict(), after.state_dict())


def test_the_seed_decides_everything_and_training_leaves_torchs_generator_alone(
    lattice_data: Data, tiny: Tiny
):
    data = lattice_data("clean")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = (make(tiny(dropout=0.3), data, seed=seed) for seed in (1, 1, 2))
    losses = [training.run_epoch()["train_loss"] for training in (first, again, other)]
    assert losses[0] == losses[1] != losses[2]
    assert torch.equal(torch.rand(3), expected)


def test_an_epoch_reports_its_figures(lattice_data: Data, tiny: Tiny):
    training = make(tiny(schedule="constant"), lattice_data("noise2noise"))
    figures = training.run_epoch()
    assert {
        "train_loss",
        "learning_rate",
        "grad_norm",
        "seconds",
        "pixels_per_second",
        "psnr",
    } <= figures.keys()
    assert all(type(value) is float and np.isfinite(value) for value in figures.values())
    assert figures["learning_rate"] == 4e-3
    assert training.epoch == 1
    assert training.best is not None
    assert training.best["psnr"] == figures["psnr"]


def test_the_best_epoch_is_deployed_not_the_last(lattice_data: Data, tiny: Tiny):
    data = lattice_data("clean")
    training = make(tiny(), data, TrainingConfig(epochs=3, steps_per_epoch=40))
    training.run_epoch()
    image = np.asarray(data.fields["test"][0].frames[0])
    good = training.predict(image)
    with torch.no_grad():
        for weight in training.network.parameters():
            weight.mul_(3.0)
    training.run_epoch()
    assert training.best is not None
    assert training.best["epoch"] == 1
    with torch.inference_mode():
        best, last = (
            training.deployable(best=flag)(torch.from_numpy(image)[None, None]) for flag in (True, False)
        )
    np.testing.assert_allclose(best[0, 0].numpy(), good, atol=1e-3)
    assert not np.allclose(last[0, 0].numpy(), good, atol=1)


def test_the_average_of_weights_is_what_is_judged_and_deployed(lattice_data: Data, tiny: Tiny):
    training = make(tiny(ema=0.9), lattice_data("clean"))
    training.run_epoch()
    deployed = training.deployable(best=False).network.state_dict()
    assert equal(dict(deployed), dict(training.judged.state_dict()))
    assert not equal(dict(deployed), dict(training.network.state_dict()))


def test_the_deployable_takes_and_gives_counts(lattice_data: Data, tiny: Tiny):
    data = lattice_data("clean")
    module = untrained(tiny(), data)
    assert isinstance(module, Deployable)
    assert not module.training
    assert (module.ndim, module.divisor) == (2, 2)
    assert module.halo == module.network.halo
    counts = 1e4 + 100 * torch.rand(1, 1, 40, 33)
    inside = module.network((counts - data.mean) / data.std)
    torch.testing.assert_close(module(counts), inside * data.std + data.mean)


def test_tiles_give_what_the_whole_image_gives(
    lattice_data: Data, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
):
    training = make(tiny(), lattice_data("clean"))
    training.run_epoch()
    image = np.random.default_rng(0).poisson(10, (210, 190)).astype(np.float32)
    whole = training.predict(image)
    monkeypatch.setattr(trainer, "WHOLE_IMAGE_MEMORY", 2_000_000)
    np.testing.assert_allclose(training.predict(image), whole, atol=1e-3)


def test_a_diverged_training_says_when_and_what_to_do(lattice_data: Data, tiny: Tiny):
    training = make(tiny(optimizer="sgd", learning_rate=1e9), lattice_data("clean"))
    with pytest.raises(
        DivergedError,
        match=r"The loss is (nan|inf) in epoch 1, step \d; lower learning_rate \(is 1e\+09\) or set",
    ):
        training.run_epoch()


def test_a_quality_that_is_no_number_is_a_divergence(lattice_data: Data, tiny: Tiny):
    training = make(tiny(grad_clip=0.5), lattice_data("clean"), TrainingConfig(epochs=1, steps_per_epoch=1))
    with torch.no_grad():
        next(training.judged.head.parameters()).fill_(float("nan"))
    training._train = lambda: (1.0, 1.0)  # type: ignore[method-assign]
    with pytest.raises(
        DivergedError, match=r"The validation psnr is nan after epoch 1; .* or lower grad_clip \(is 0.5\)"
    ):
        training.run_epoch()


def test_gradients_are_clipped_and_the_norm_before_is_reported(lattice_data: Data, tiny: Tiny):
    config = TrainingConfig(epochs=1, steps_per_epoch=1)
    start, clipped, free = (
        make(tiny(optimizer="sgd", grad_clip=clip), lattice_data("clean"), config) for clip in (0, 1e-3, 0)
    )
    figures = clipped.run_epoch()
    assert figures["grad_norm"] == pytest.approx(free.run_epoch()["grad_norm"])
    moved = [_distance(training, start) for training in (clipped, free)]
    assert moved[0] == pytest.approx(4e-3 * 1e-3, rel=0.01)
    assert moved[1] > 10 * moved[0]


def _distance(first: Trainer, second: Trainer) -> float:
    one, other = (
        torch.cat([weight.detach().flatten() for weight in training.network.parameters()])
        for training in (first, second)
    )
    return float(torch.dist(one, other))


def test_a_checkpoint_executes_nothing_and_an_interrupted_write_leaves_the_old_one(
    lattice_data: Data, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    training = make(tiny(), lattice_data("clean"))
    path = tmp_path / "checkpoint.pt"
    training.save(path)
    assert read_checkpoint(path)["epoch"] == 0
    training.run_epoch()
    monkeypatch.setattr(torch, "save", lambda state, to: Path(to).write_bytes(b"half") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        training.save(path)
    assert read_checkpoint(path)["epoch"] == 0
    assert [item.name for item in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"cos\nsystem\n(S'false'\ntR."])
def test_a_damaged_checkpoint_is_named_with_the_cure(
    lattice_data: Data, tiny: Tiny, tmp_path: Path, content: bytes
):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(
        RunError, match=r'checkpoint\.pt" cannot be read: .*; delete it to train the trial anew\.'
    ):
        make(tiny(), lattice_data("clean")).restore(path)


def test_a_checkpoint_of_another_architecture_is_refused(lattice_data: Data, tiny: Tiny, tmp_path: Path):
    data, candidate = lattice_data("clean"), tiny()
    make(candidate, data).save(tmp_path / "checkpoint.pt")
    other = candidate.model_copy(
        update={"architecture": candidate.architecture.model_copy(update={"activation": "gelu"})}
    )
    with pytest.raises(
        RunError, match="goes on with the architecture it was made with, and this one has another"
    ):
        make(other, data).restore(tmp_path / "checkpoint.pt")


def test_another_recipe_goes_on_from_the_same_weights(lattice_data: Data, tiny: Tiny, tmp_path: Path):
    """What population-based training does: the donor's state, one's own hyperparameters."""
    data = lattice_data("clean")
    donor = make(tiny(), data)
    donor.run_epoch()
    donor.save(tmp_path / "checkpoint.pt")
    for change in ({"weight_decay": 0.1, "learning_rate": 1e-3}, {"optimizer": "sgd"}, {"ema": 0.9}):
        heir = make(tiny(**change), data)
        heir.restore(tmp_path / "checkpoint.pt")
        assert equal(dict(heir.network.state_dict()), dict(donor.network.state_dict()))
        assert equal(dict(heir.judged.state_dict()), dict(donor.network.state_dict()))
        assert heir.optimizer.param_groups[0]["weight_decay"] == change.get("weight_decay", 0)
        assert np.isfinite(heir.run_epoch()["psnr"])
        assert heir.epoch == 2

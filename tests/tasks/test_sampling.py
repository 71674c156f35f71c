from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from beamwright.errors import DataError
from beamwright.experiment import Experiment
from beamwright.search_spaces import Recipe
from beamwright.tasks import TaskData
from beamwright.tasks.fields import Field, Frames
from beamwright.tasks.preparing import prepare
from beamwright.tasks.sampling import PatchSampler

Make = Callable[..., Experiment]
REGIMES = ["clean", "synthetic", "noise2noise", "blind_spot"]


def sampler(data: TaskData, *, seed: int = 0, **recipe: Any) -> PatchSampler:
    return PatchSampler(data, Recipe(batch_size=8, patch_size=32, **recipe), seed=seed)


def with_training(data: TaskData, *fields: Field) -> TaskData:
    return replace(data, fields={**data.fields, "train": fields}, mean=0.0, std=1.0)


@pytest.mark.parametrize("regime", REGIMES)
def test_a_batch_follows_from_seed_and_step(experiment: Make, regime: str):
    data = prepare(experiment(regime))
    recipe = {"augment_intensity": 0.2, "augment_noise": 0.1}
    first, again, other_seed = (sampler(data, seed=seed, **recipe) for seed in (3, 3, 4))
    again.batch(0)
    for name, value in first.batch(7).items():
        assert value.shape == (8, 1, 32, 32)
        assert value.dtype == torch.float32
        assert torch.equal(value, again.batch(7)[name])
    assert not torch.equal(first.batch(7)["input"], first.batch(8)["input"])
    assert not torch.equal(first.batch(7)["input"], other_seed.batch(7)["input"])


@pytest.mark.parametrize("regime", REGIMES)
def test_batches_are_normalised(experiment: Make, regime: str):
    patches = sampler(prepare(experiment(regime)))
    inputs = torch.cat([patches.batch(step)["input"] for step in range(20)])
    assert float(inputs.mean()) == pytest.approx(0, abs=0.1)
    assert float(inputs.std()) == pytest.approx(1, abs=0.1)


def test_files_on_disk_give_the_same_batches(experiment: Make):
    kept, left = (sampler(prepare(experiment("noise2noise", memory_limit=limit))) for limit in (1.0, 1e-5))
    assert torch.equal(kept.batch(5)["input"], left.batch(5)["input"])
    assert torch.equal(kept.batch(5)["target"], left.batch(5)["target"])


def test_input_and_target_are_cut_turned_and_scaled_alike(experiment: Make):
    image = np.random.default_rng(0).random((1, 64, 80), np.float32)
    data = with_training(prepare(experiment("clean")), Field("a", Frames((image,)), Frames((image,))))
    batch = sampler(data, augment_intensity=0.3).batch(0)
    torch.testing.assert_close(batch["input"], batch["target"])


def test_all_eight_turns_occur_and_rows_stay_rows_where_noise_runs_along_them(experiment: Make):
    corner = np.zeros((1, 32, 32), np.float32)
    corner[0, 0, 1] = 1
    data = with_training(prepare(experiment("blind_spot")), Field("a", Frames((corner,))))
    assert len(corners(sampler(data))) == 8
    assert corners(sampler(replace(data, mask_run=2))) == {(0, 1), (0, 30), (31, 1), (31, 30)}
    assert corners(sampler(data, augment_dihedral=False)) == {(0, 1)}


def corners(patches: PatchSampler) -> set[tuple[int, int]]:
    """Where the one bright pixel goes."""
    targets = torch.cat([patches.batch(step)["target"] for step in range(20)])
    return {(int(row), int(column)) for _, _, row, column in targets.nonzero()}


def test_noise2noise_gives_two_different_frames_in_both_orders(experiment: Make):
    frames = np.stack([np.full((40, 40), value, np.float32) for value in range(3)])
    patches = sampler(with_training(prepare(experiment("noise2noise")), Field("a", Frames((frames,)))))
    pairs = {
        (float(a[0, 0, 0]), float(b[0, 0, 0]))
        for step in range(20)
        for a, b in zip(patches.batch(step)["input"], patches.batch(step)["target"], strict=True)
    }
    assert pairs == {(a, b) for a in range(3) for b in range(3) if a != b}


def test_blind_spot_weighs_only_hidden_pixels(experiment: Make):
    batch = sampler(prepare(experiment("blind_spot"))).batch(0)
    hidden = batch["weight"] == 1
    assert 0.05 < float(hidden.float().mean()) < 0.08
    assert torch.equal(batch["input"][~hidden], batch["target"][~hidden])
    assert (
        float((batch["input"] != batch["target"])[hidden].float().mean()) > 0.8
    )  # counts may be equal by chance


def test_synthetic_noise_is_new_in_every_batch_and_has_the_dose(experiment: Make):
    data = prepare(experiment("synthetic", noise={"dose": 4.0}))
    patches = sampler(data)
    batches = [patches.batch(step) for step in range(40)]
    counts = torch.cat([batch["input"] for batch in batches]) * data.std + data.mean
    expected = torch.cat([batch["target"] for batch in batches]) * data.std + data.mean
    assert torch.allclose(counts, counts.round(), atol=1e-3)
    assert float(counts.mean()) == pytest.approx(4, rel=0.05)
    assert float((counts - expected).square().mean()) == pytest.approx(4, rel=0.05)


@pytest.mark.parametrize(
    ("regime", "noisier"), [("clean", True), ("noise2noise", False), ("blind_spot", False)]
)
def test_noise_is_added_where_it_teaches_no_wrong_level(experiment: Make, regime: str, noisier: bool):
    data = prepare(experiment(regime))
    plain, noisy = (sampler(data, augment_noise=level).batch(0) for level in (0.0, 0.5))
    assert torch.equal(plain["target"], noisy["target"])
    assert torch.equal(plain["input"], noisy["input"]) is not noisier


def test_fields_are_drawn_by_their_area(experiment: Make):
    small, large = (
        Frames((np.full((1, edge, edge), value, np.float32),)) for edge, value in ((32, 0), (96, 1))
    )
    patches = sampler(with_training(prepare(experiment("blind_spot")), Field("s", small), Field("l", large)))
    share = np.mean([float(patches.batch(step)["target"].mean()) for step in range(100)])
    assert share == pytest.approx(0.9, abs=0.04)


def test_patches_larger_than_an_image_are_refused(experiment: Make):
    data = prepare(experiment("blind_spot"))
    with pytest.raises(
        DataError, match=r"patch_size = 192 px, but .* has 160 x 160 px; set space.fix.patch_size to 160"
    ):
        PatchSampler(data, Recipe(patch_size=192), seed=0)

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beamwright.data import ImageFile
from beamwright.errors import DataError
from beamwright.experiment import Experiment
from beamwright.tasks.preparing import prepare

Make = Callable[..., Experiment]


@pytest.mark.parametrize(
    ("regime", "frames", "has_target"),
    [("clean", 1, True), ("synthetic", 1, False), ("noise2noise", 4, False), ("blind_spot", 1, False)],
)
def test_each_regime_has_its_fields(experiment: Make, regime: str, frames: int, has_target: bool):
    data = prepare(experiment(regime))
    assert data.regime == regime
    assert [len(data.fields[role]) for role in ("train", "validation", "test")] == [5, 1, 1]
    for field in data.fields["train"]:
        assert (len(field.frames), field.target is not None) == (frames, has_target)
        assert field.size == (160, 160)


@pytest.mark.parametrize("regime", ["clean", "synthetic", "noise2noise", "blind_spot"])
def test_normalisation_is_that_of_the_noisy_input(experiment: Make, regime: str):
    data = prepare(experiment(regime))
    assert data.mean == pytest.approx(10, rel=0.05)
    assert data.std == pytest.approx((10 + 125) ** 0.5, rel=0.05)


@pytest.mark.parametrize("regime", ["clean", "noise2noise", "blind_spot"])
def test_auto_finds_the_regime(experiment: Make, regime: str):
    found = experiment(regime)
    automatic = found.model_copy(update={"data": found.data.model_copy(update={"regime": "auto"})})
    assert prepare(automatic).regime == regime


def test_even_and_odd_sums_are_scaled_to_one_frame(experiment: Make, lattices: Path):
    data = prepare(experiment("noise2noise", pairs="even_odd"))
    field = data.fields["train"][0]
    movie = np.load(field.name)
    np.testing.assert_allclose(field.frames[0], movie[::2].mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(field.frames[1], movie[1::2].mean(axis=0), rtol=1e-6)
    assert len(field.frames) == 2


def test_second_frames_may_lie_in_a_second_folder(experiment: Make, lattices: Path):
    train = {"images": str(lattices / "noisy"), "targets": str(lattices / "second")}
    field = prepare(experiment("noise2noise", train=train)).fields["train"][0]
    np.testing.assert_array_equal(field.frames[0], np.load(field.name))
    np.testing.assert_array_equal(field.frames[1], np.load(lattices / "second" / Path(field.name).name))
    assert len(field.frames) == 2


def test_unrelated_images_of_one_file_are_fields_of_their_own(experiment: Make, lattices: Path):
    train = {"images": str(lattices / "movies")}
    data = prepare(experiment("blind_spot", train=train, stack="images"))
    fields = [field for role in data.fields.values() for field in role]
    assert len(fields) == 7 * 4
    assert {len(field.frames) for field in fields} == {1}


def test_data_beyond_the_memory_limit_stay_on_disk(experiment: Make):
    kept, left = (prepare(experiment("noise2noise", memory_limit=limit)) for limit in (1.0, 1e-5))
    assert isinstance(kept.fields["train"][0].frames.sources[0], np.ndarray)
    assert isinstance(left.fields["train"][0].frames.sources[0], ImageFile)
    np.testing.assert_array_equal(kept.fields["train"][1].frames[2], left.fields["train"][1].frames[2])
    assert len(pickle.dumps(left)) < 20_000


def test_the_record_survives_a_pickle(experiment: Make):
    data = prepare(experiment("clean"))
    again = pickle.loads(pickle.dumps(data))
    assert (again.mean, again.limits, again.provenance) == (data.mean, data.limits, data.provenance)
    np.testing.assert_array_equal(again.fields["test"][0].frames[0], data.fields["test"][0].frames[0])


def test_provenance_names_inputs_and_targets(experiment: Make, lattices: Path):
    provenance = prepare(experiment("clean")).provenance
    assert len(provenance) == 14
    path = lattices / "clean" / "3.npy"
    assert provenance[str(path)] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_regimes_with_clean_targets_search_the_noise_of_augmentation(experiment: Make):
    assert prepare(experiment("clean")).limits.fixed == {}
    for regime in ("noise2noise", "blind_spot"):
        limits = prepare(experiment(regime)).limits
        assert limits.fixed == {"augment_noise": 0.0}
        assert "ssim_l1" not in limits.losses


def test_what_the_experiment_fixes_is_in_the_limits(experiment: Make):
    plain = experiment("blind_spot")
    fixed = plain.model_copy(update={"space": plain.space.model_copy(update={"fix": {"patch_size": 48}})})
    assert prepare(fixed).limits.fixed == {"augment_noise": 0.0, "patch_size": 48}


def test_correlated_noise_widens_the_blind_spot(tmp_path: Path, experiment: Make):
    rng = np.random.default_rng(0)
    for index in range(5):
        white = rng.standard_normal((200, 230))
        noise = sum(0.6**step * white[:, 30 - step : 230 - step] for step in range(30))
        np.save(tmp_path / f"{index}.npy", (100 + 5 * noise).astype(np.float32))
    correlated = prepare(experiment("blind_spot", train=str(tmp_path)))
    # exp(-run / length) = 1/20 with exp(-1 / length) = 0.6
    assert correlated.mask_run == pytest.approx(np.log(20) / -np.log(0.6), abs=1.5)
    assert prepare(experiment("blind_spot")).mask_run == 0


@pytest.mark.parametrize(
    ("regime", "rule"),
    [
        ("clean", "needs clean targets, and data.{role} has none; name them under data.{role}.targets"),
        ("noise2noise", "needs files of two or more frames, or second images as data.{role}.targets; these"),
    ],
)
def test_roles_without_a_second_image_are_named_all_at_once(
    experiment: Make, lattices: Path, monkeypatch: pytest.MonkeyPatch, regime: str, rule: str
):
    monkeypatch.setattr("beamwright.tasks.preparing.fingerprint", None)  # nothing is looked at before
    single = str(lattices / "noisy" / "0.npy")
    with pytest.raises(DataError) as caught:
        prepare(experiment(regime, validation=single, test=single))
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    for line, role in zip(lines, ("validation", "test"), strict=True):
        assert rule.format(role=role) in line
        assert "data.train" not in line


@pytest.mark.parametrize("empty", [1, 5])
def test_synthetic_noise_needs_electrons(experiment: Make, tmp_path: Path, empty: int):
    rng = np.random.default_rng(0)
    for index in range(5):
        image = np.zeros((64, 64)) if index < empty else rng.poisson(9, (64, 64))
        np.save(tmp_path / f"{index}.npy", image.astype(np.float32))
    with pytest.raises(DataError, match=r"\d\.npy: the regime .* and the mean of this one is 0; remove it"):
        prepare(experiment("synthetic", train=str(tmp_path)))


def test_empty_images_are_refused(experiment: Make, tmp_path: Path):
    for index in range(4):
        np.save(tmp_path / f"{index}.npy", np.full((64, 64), 7, np.float32))
    with pytest.raises(DataError, match=r"must show something, and all pixels are 7; check"):
        prepare(experiment("blind_spot", train=str(tmp_path)))

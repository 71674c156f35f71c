from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from beamwright.experiment import Experiment
from beamwright.tasks import TASKS, Scores, TaskData
from beamwright.tasks import cases as cases_module
from beamwright.tasks.cases import Cases
from beamwright.tasks.denoise import Denoise
from beamwright.tasks.fields import Field, Frames

Make = Callable[..., Experiment]


def identity(image: np.ndarray) -> np.ndarray:
    return image


def smooth(image: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(image, 0.7)


def blur(image: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(image, 5)


def with_fields(data: TaskData, *sizes: tuple[int, int]) -> TaskData:
    rng = np.random.default_rng(0)
    fields = tuple(
        Field(str(index), Frames((rng.poisson(9, (2, *size)).astype(np.float32),)))
        for index, size in enumerate(sizes)
    )
    return replace(data, fields={**data.fields, "validation": fields}, data_range={"validation": 10.0})


@pytest.fixture
def task() -> Denoise:
    return Denoise()


def test_the_task_is_registered(task: Denoise):
    assert TASKS.load("denoise") is Denoise
    assert task.quality in task.metrics
    assert task.default_space == "denoise"


@pytest.mark.parametrize(
    ("regime", "kind", "metrics"),
    [
        ("clean", "clean", {"psnr", "ssim", "resolution", "resolution_0143"}),
        ("synthetic", "clean", {"psnr", "ssim", "resolution", "resolution_0143"}),
        ("noise2noise", "unbiased", {"psnr", "resolution", "resolution_0143"}),
        ("blind_spot", "masked", {"psnr"}),
    ],
)
def test_each_regime_is_measured_against_what_is_known(
    experiment: Make, task: Denoise, regime: str, kind: str, metrics: set[str]
):
    data = task.prepare(experiment(regime))
    blurred, smoothed = (task.evaluate(predict, data, "test") for predict in (blur, smooth))
    assert smoothed.notes["psnr_kind"] == kind
    assert set(smoothed.metrics) == metrics <= {metric.name for metric in task.metrics}
    assert smoothed.metrics["psnr"] > blurred.metrics["psnr"] + 3
    assert smoothed.per_image[0]["name"] == data.fields["test"][0].name


def test_noise2noise_figures_are_those_against_the_truth(experiment: Make, task: Denoise):
    """The same fields, once with the second frames and once with the clean images: within 0.3 dB."""
    pairs, clean = (task.prepare(experiment(regime)) for regime in ("noise2noise", "clean"))
    pairs = replace(pairs, data_range=clean.data_range)
    for predict in (identity, smooth):
        unbiased, true = (task.evaluate(predict, data, "test").metrics["psnr"] for data in (pairs, clean))
        assert unbiased == pytest.approx(true, abs=0.3)


def test_synthetic_noise_is_drawn_once_and_is_that_of_the_whole_field(experiment: Make, task: Denoise):
    data = task.prepare(experiment("synthetic"))
    whole, crop, again = (Cases(data, "test", pixels)[0] for pixels in (None, 128**2, None))
    np.testing.assert_array_equal(whole.image, again.image)
    np.testing.assert_array_equal(whole.image[16:144, 16:144], crop.image)
    other = task.prepare(experiment("synthetic").model_copy(update={"seed": 1}))
    assert not np.array_equal(Cases(other, "train")[0].image, Cases(data, "train")[0].image)


def test_cases_are_made_once_per_split(experiment: Make, task: Denoise):
    data = task.prepare(experiment("blind_spot"))
    seen: list[int] = []
    for _ in range(2):
        task.evaluate(lambda image: seen.append(id(image)) or image, data, "validation", max_pixels=10_000)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("budget", [20_000, 40_000, 300_000])
def test_crops_stay_within_their_budget(experiment: Make, task: Denoise, budget: int):
    data = with_fields(task.prepare(experiment("noise2noise")), *[(300, 200)] * 6)
    cases = Cases(data, "validation", budget)
    assert 0.3 * budget < sum(case.image.size for case in cases) <= budget
    assert all(side % 32 == 0 or side in (300, 200) for case in cases for side in case.image.shape)


def test_whole_fields_are_measured_without_a_budget(experiment: Make, task: Denoise):
    data = with_fields(task.prepare(experiment("noise2noise")), (150, 100), (65, 130))
    assert [case.image.shape for case in Cases(data, "validation")] == [(150, 100), (65, 130)]


@pytest.mark.parametrize(("count", "over"), [(3, "blocks"), (20, "images")])
def test_the_interval_is_over_images_or_blocks_and_holds_the_figure(
    experiment: Make, task: Denoise, count: int, over: str
):
    data = with_fields(task.prepare(experiment("noise2noise")), *[(130, 110)] * count)
    scores = task.evaluate(identity, data, "validation")
    low, high = scores.interval()
    assert scores.interval_over == over
    assert low < scores.metrics["psnr"] < high
    assert high - low < 2
    assert scores.interval() == scores.interval()


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Mean squared errors from a known distribution, 400 times."""
    rng = np.random.default_rng(0)
    hits = 0
    for draw in range(400):
        errors = rng.chisquare(20, size=40) / 20
        blocks = tuple(np.array([[error * 100, 100.0]]) for error in errors)
        low, high = Scores({}, (), blocks, np.log).interval(seed=draw, draws=400)
        hits += low < -0.0508 < high  # the mean of log(chi2_20 / 20): digamma(10) - log(10)
    assert 0.90 < hits / 400 < 0.98


def test_estimates_below_zero_give_a_finite_psnr(experiment: Make, task: Denoise):
    data = with_fields(task.prepare(experiment("noise2noise")), (64, 64))
    second = np.asarray(data.fields["validation"][0].frames[1])
    scores = task.evaluate(lambda _: second, data, "validation")
    assert np.isfinite(scores.metrics["psnr"])


def test_examples_are_pictures_with_their_targets(experiment: Make, task: Denoise):
    for regime, has_target in (("clean", True), ("blind_spot", False)):
        data = task.prepare(experiment(regime))
        pictures = task.examples(smooth, data, "train", count=2)
        assert len(pictures) == 2
        for picture in pictures:
            shown: Any = picture["input"]
            assert shown.shape == picture["output"].shape == (160, 160)
            assert (picture["target"] is not None) is has_target
            np.testing.assert_array_equal(shown, np.rint(shown))  # counts: nothing is hidden in them


def test_splits_beyond_the_memory_are_made_anew_and_are_the_same(
    experiment: Make, task: Denoise, monkeypatch: pytest.MonkeyPatch
):
    data = task.prepare(experiment("synthetic"))
    kept = task.evaluate(smooth, data, "test")
    monkeypatch.setattr(cases_module, "KEPT_PIXELS", 0)
    assert Denoise().evaluate(smooth, data, "test").metrics == kept.metrics
    assert not isinstance(Cases(data, "test").keep(), tuple)


def test_real_frame_pairs_rank_filters(shared_data: Path, tmp_path: Path, task: Denoise):
    """Two acquisitions of a replica grating: smoothing gains ten decibels, too much of it loses some."""
    with np.load(shared_data / "nist_tomo_tilt_series" / "replica_multiframe.npz") as archive:
        acquisitions = archive["frames"]  # (2, 2, 512, 512)
    for index, frames in enumerate(acquisitions):
        for side, half in enumerate(np.split(frames, 2, axis=2)):
            np.save(tmp_path / f"{index}{side}.npy", half)
    train, validation, test = ([str(tmp_path / name)] for name in ("00.npy", "01.npy", "11.npy"))
    data = task.prepare(
        Experiment.model_validate(
            {
                "task": "denoise",
                "data": {"train": train, "validation": validation, "test": test, "stack": "movie"},
            }
        )
    )
    assert (data.regime, data.pixel_size) == ("noise2noise", None)
    psnr = {
        sigma: task.evaluate(partial(ndimage.gaussian_filter, sigma=sigma), data, "test").metrics["psnr"]
        for sigma in (0, 1.8, 8)
    }
    assert psnr[1.8] > psnr[0] + 8
    assert psnr[1.8] > psnr[8] + 2

"""Split by file, the same for a seed, and every reason why it cannot be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.data import resolve_regime, split_files, write_image
from beamwright.data.splits import _draw, _needed
from beamwright.errors import DataError, DataWarning
from beamwright.experiment import DataConfig

IMAGE = np.random.default_rng(0).normal(100, 10, (20, 30)).astype(np.float32)
CLEAN = np.add.outer(np.arange(20), np.arange(30)).astype(np.float32)


def _fill(folder: Path, names: list[str], array: np.ndarray = IMAGE, **options: Any) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        write_image(folder / name, array + number, **options)
    return str(folder)


def _names(pairs: Any) -> list[str]:
    return [image.stem for image, _ in pairs]


@settings(max_examples=25, deadline=None)
@given(count=st.integers(5, 12), share=st.floats(0.05, 0.35), seed=st.integers(0, 1000))
def test_shares_are_drawn_by_file(
    tmp_path_factory: pytest.TempPathFactory, count: int, share: float, seed: int
) -> None:
    folder = _fill(tmp_path_factory.mktemp("data"), [f"{number:02}.npy" for number in range(count)])
    config = DataConfig(train=folder, validation=share, test=share)  # type: ignore[arg-type]
    split = split_files(config, seed=seed)
    roles = [_names(split.train), _names(split.validation), _names(split.test)]
    assert sorted(name for names in roles for name in names) == [f"{number:02}" for number in range(count)]
    assert len(roles[1]) == len(roles[2]) == max(round(share * count), 1)
    assert all(names == sorted(names) for names in roles)
    assert split == split_files(config, seed=seed)


def test_sets_that_are_named_are_taken_as_they_are(tmp_path: Path) -> None:
    train = _fill(tmp_path / "train", ["a.npy", "b.npy", "c.npy"])
    test = _fill(tmp_path / "test", ["d.npy"])
    split = split_files(DataConfig(train=train, validation=0.3, test=test), seed=0)  # type: ignore[arg-type]
    assert _names(split.test) == ["d"]
    assert len(split.train) == 2
    assert {role: len(files) for role, files in split.inputs().items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }
    everything = DataConfig(train=train, validation=test, test=test)  # type: ignore[arg-type]
    assert len(split_files(everything, seed=0).train) == 3


def test_too_few_files_for_the_shares(tmp_path: Path) -> None:
    folder = _fill(tmp_path, ["a.mrc", "b.mrc"], np.stack([IMAGE] * 4))
    with pytest.raises(DataError) as caught:
        split_files(DataConfig(train=folder), seed=0)  # type: ignore[arg-type]
    assert str(caught.value) == (
        "Data are split by file, and 2 training files cannot give the shares validation 0.2, test 0.2: give "
        "at least 3 files, or name files for data.validation and data.test; if the frames of a file are "
        "unrelated images, set data.stack: images."
    )
    config = DataConfig(train=folder, stack="images")  # type: ignore[arg-type]
    assert len(split_files(config, seed=0).train) == 4


@given(validation=st.floats(0.05, 0.6), test=st.floats(0.05, 0.39))
def test_the_number_of_files_that_is_asked_for_is_enough(validation: float, test: float) -> None:
    shares = {"validation": validation, "test": test}
    drawn = _draw([None] * _needed(shares), shares, 0)  # type: ignore[list-item]
    assert min(len(group) for group in drawn.values()) >= 1


def test_shares_must_leave_something(tmp_path: Path) -> None:
    folder = _fill(tmp_path, ["a.npy", "b.npy", "c.npy"])
    with pytest.raises(DataError, match=r"The shares validation 0\.6, test 0\.5 leave nothing to train on"):
        split_files(DataConfig(train=folder, validation=0.6, test=0.5), seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "targets"),
    [
        (["a.npy", "b.npy", "c.npy"], ["a.tif", "b.tif", "c.tif"]),
        (
            ["f1_noisy.npy", "f2_noisy.npy", "f10_noisy.npy"],
            ["f1_clean.npy", "f2_clean.npy", "f10_clean.npy"],
        ),
        (["n1.npy", "n2.npy", "n3.npy"], ["mean_1.npy", "mean_2.npy", "mean_3.npy"]),
    ],
)
def test_targets_are_paired_by_name(tmp_path: Path, inputs: list[str], targets: list[str]) -> None:
    train = {
        "images": _fill(tmp_path / "in", inputs, CLEAN),
        "targets": _fill(tmp_path / "out", targets, CLEAN),
    }
    config = DataConfig(train=train)  # type: ignore[arg-type]
    split = split_files(config, seed=0)
    for image, target in (*split.train, *split.validation, *split.test):
        assert target is not None
        np.testing.assert_array_equal(image.read(), target.read())
    assert resolve_regime(config, split) == "clean"


def test_targets_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    inputs = _fill(tmp_path / "in", ["a.npy", "b.npy", "c.npy"])
    wrong = {"images": inputs, "targets": _fill(tmp_path / "out", ["a.npy", "b.npy", "x.npy", "y.npy"])}
    with pytest.raises(DataError) as caught:
        split_files(DataConfig(train=wrong), seed=0)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith("3 inputs and 4 targets must pair by file name:")
    assert "in/c.npy has no target" in message
    assert "out/x.npy has no input" in message
    assert message.endswith("Rename them, or name only those that belong together.")
    small = {"images": inputs, "targets": _fill(tmp_path / "small", ["a.npy", "b.npy", "c.npy"], IMAGE[:18])}
    with pytest.raises(DataError, match=r"must have one shape:\n.*a\.npy \(20, 30\) and .*a\.npy \(18, 30\)"):
        split_files(DataConfig(train=small), seed=0)  # type: ignore[arg-type]


def test_names_that_occur_twice_are_named(tmp_path: Path) -> None:
    _fill(tmp_path / "in" / "one", ["a.npy"])
    inputs = _fill(tmp_path / "in", ["a.npy"])
    targets = _fill(tmp_path / "out", ["a.npy", "b.npy"])
    with pytest.raises(DataError, match=r"in/one/a\.npy shares its name with another"):
        split_files(DataConfig(train={"images": inputs, "targets": targets}), seed=0)  # type: ignore[arg-type]


def test_a_clean_image_may_be_the_target_of_a_movie(tmp_path: Path) -> None:
    names = ["a.npy", "b.npy", "c.npy"]
    train = {
        "images": _fill(tmp_path / "in", names, np.stack([IMAGE] * 3)),
        "targets": _fill(tmp_path / "out", names, CLEAN),
    }
    assert len(split_files(DataConfig(train=train), seed=0).train) == 1  # type: ignore[arg-type]


def test_the_pixel_size_fills_in_and_must_not_contradict(tmp_path: Path) -> None:
    bare = _fill(tmp_path / "bare", ["a.npy", "b.npy", "c.npy"])
    split = split_files(DataConfig(train=bare, pixel_size=0.5), seed=0)  # type: ignore[arg-type]
    assert split.train[0][0].pixel_size == 0.5
    sized = _fill(tmp_path / "sized", ["a.mrc", "b.mrc", "c.mrc"], pixel_size=0.2)
    with pytest.raises(
        DataError, match=r"a\.mrc: its header says a pixel size of 0\.2 nm, data\.pixel_size says 0\.5"
    ):
        split_files(DataConfig(train=sized, pixel_size=0.5), seed=0)  # type: ignore[arg-type]


def test_regimes(tmp_path: Path) -> None:
    names = ["a.npy", "b.npy", "c.npy"]
    single = _fill(tmp_path / "single", names)
    movies = _fill(tmp_path / "movies", names, np.stack([IMAGE, IMAGE + 1]))
    pairs = {"images": single, "targets": _fill(tmp_path / "clean", names, CLEAN)}
    for train, regime in ((single, "blind_spot"), (movies, "noise2noise"), (pairs, "clean")):
        config = DataConfig(train=train)  # type: ignore[arg-type]
        assert resolve_regime(config, split_files(config, seed=0)) == regime
    wrong = (
        (single, "noise2noise", "these have one frame: .* Use blind_spot for single images"),
        (single, "clean", r"needs clean targets, and data\.train has none"),
        (pairs, "synthetic", r"data\.train\.targets have no use; remove them"),
    )
    for train, regime, message in wrong:
        with pytest.raises(DataError, match=message):
            split_files(DataConfig(train=train, regime=regime), seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize("averaged", [1, 4])
def test_noisy_targets_are_not_taken_for_clean_ones_in_silence(tmp_path: Path, averaged: int) -> None:
    rng = np.random.default_rng(0)
    names = ["a.npy", "b.npy", "c.npy"]
    noisy, other = (rng.normal(100, 10 / np.sqrt(count), (64, 64)) for count in (1, averaged))
    train = {"images": _fill(tmp_path / "in", names, noisy), "targets": _fill(tmp_path / "out", names, other)}
    if averaged == 1:
        message = r"about as noisy as the inputs \(sigma .* counts\): .*, set data\.regime: noise2noise; if"
        with pytest.warns(DataWarning, match=message):
            split_files(DataConfig(train=train), seed=0)  # type: ignore[arg-type]
        split_files(DataConfig(train=train, regime="noise2noise"), seed=0)  # type: ignore[arg-type]
        split_files(DataConfig(train=train, regime="clean"), seed=0)  # type: ignore[arg-type]
    else:
        split_files(DataConfig(train=train), seed=0)  # type: ignore[arg-type]

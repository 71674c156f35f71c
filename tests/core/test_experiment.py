from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from beamwright.errors import ExperimentError
from beamwright.experiment import Experiment, SearchConfig, TrainingConfig, load_experiment

SMALLEST = {"task": "denoise", "data": {"train": "images"}}


def _message(content: dict[str, Any], *overrides: str) -> str:
    with pytest.raises(ExperimentError) as raised:
        load_experiment(content, overrides)
    return str(raised.value)


def test_resolved_file_is_complete_and_runs_again(tmp_path: Path) -> None:
    first = load_experiment(SMALLEST)
    resolved = tmp_path / "deeper" / "experiment.yaml"
    resolved.parent.mkdir()
    resolved.write_text(first.to_yaml())
    assert load_experiment(resolved) == first
    assert "steps_per_epoch" in first.to_yaml()


@given(
    trials=st.integers(1, 10_000),
    epochs=st.integers(1, 500),
    hours=st.none() | st.floats(0.01, 1e4),
    objectives=st.sets(st.sampled_from(["parameters", "macs", "latency"])),
    name=st.none() | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,20}", fullmatch=True),
    seed=st.integers(0, 2**31 - 1),
)
def test_yaml_round_trip_is_exact(
    trials: int, epochs: int, hours: float | None, objectives: set[str], name: str | None, seed: int
) -> None:
    experiment = Experiment(
        task="denoise",
        name=name,
        data={"train": ["/a", "/b"], "test": {"images": "/x", "targets": "/y"}},  # type: ignore[arg-type]
        search=SearchConfig(trials=trials, hours=hours, objectives=("quality", *sorted(objectives))),
        training=TrainingConfig(epochs=epochs),
        seed=seed,
    )
    assert load_experiment(yaml.safe_load(experiment.to_yaml())) == experiment


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("task: denoise\ndata: {train: [a, /b], test: {images: c, targets: d}}\n")
    data = load_experiment(file).data
    assert data.train.images == (str(tmp_path / "a"), "/b")
    assert data.test.images == (str(tmp_path / "c"),)  # type: ignore[union-attr]
    assert data.test.targets == (str(tmp_path / "d"),)  # type: ignore[union-attr]


def test_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_experiment(SMALLEST).seed = 3  # type: ignore[misc]


def test_overrides_are_yaml_and_nested() -> None:
    experiment = load_experiment(
        SMALLEST, ["search.trials=7", "space.fix={width: 16}", "data.noise.dose=2.5"]
    )
    assert experiment.search.trials == 7
    assert experiment.space.fix == {"width": 16}
    assert experiment.data.noise.dose == 2.5
    assert experiment.data.train.images


def test_unknown_keys_get_proposals_and_all_faults_come_at_once() -> None:
    message = _message(
        {"task": "denoise", "data": {"train": "x", "validatio": 1}, "serch": {}, "search": {"trial": 1}}
    )
    assert "breaks 3 rules" in message
    assert 'data.validatio: there is no such key. Did you mean "validation"?' in message
    assert 'search.trial: there is no such key. Did you mean "trials"?' in message
    assert 'serch: there is no such key. Did you mean "search"?' in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("search.trials=0", "search.trials: must be greater than or equal to 1 (is 0)"),
        (
            "search.grace_epochs=50",
            "search.grace_epochs = 50 must not exceed training.epochs = 20; lower the first",
        ),
        ("search.objectives=[latency]", "must contain quality"),
        ("search.objectives=[quality, quality]", "names one twice"),
        ("resources={device: cpu, gpus: 1}", "contradicts resources.gpus = 1; set gpus: 0"),
        ("resources={device: cuda, gpus: 0}", "contradicts resources.gpus = 0; set gpus: 1"),
        ("search={scheduler: pbt, trials: 3}", "search.trials = 3 is too small a population for pbt"),
        ("data.test=2", "data.test: must be images or a share between 0 and 1 (is 2)"),
        ("training.epochs=.inf", "training.epochs"),
        ("name=../x", "name: must be letters, digits, points, - and _, and begin with a letter or digit (is"),
        ("data.regime=n2n", "'blind_spot' (is 'n2n'). Did you mean \"noise2noise\"?"),
        ("data.regime=noise2nose", "(is 'noise2nose'). Did you mean \"noise2noise\"?"),
        ("data.validation=null", "data.validation: must be images or a share between 0 and 1 (is None)"),
        ("data.validation={images: 3}", "data.validation.images: must be a list (is 3)"),
        ("data.train=5", "data.train: must be images: a path, a list of paths, or a mapping with images and"),
        ("space.fix=8", "space.fix: must be a mapping, such as {width: 16} (is 8)"),
        ("space.fix={width: [8]}", "space.fix.width: must be one value: a number, a text, true or false (is"),
        ("search=8", "search: must be a mapping of keys (is 8)"),
    ],
)
def test_fields_are_checked_against_each_other(override: str, words: str) -> None:
    message = _message(SMALLEST, override)
    assert words in message
    assert "breaks 1 rule:" in message


@pytest.mark.parametrize("override", ["search.trials", "=3", "a..b=1"])
def test_override_without_key_or_value(override: str) -> None:
    assert "--set takes key=value" in _message(SMALLEST, override)


def test_override_that_is_not_yaml() -> None:
    assert "is not YAML; quote it" in _message(SMALLEST, "name=[")


def test_override_through_a_value() -> None:
    assert "task" in _message(SMALLEST, "task.name=3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", "must be a mapping with at least"),
        ("task: [", "is not plain YAML"),
        ("task: !!python/object/apply:os.system ['true']\n", "is not plain YAML"),
        ("task: denoise\n", "data: this key is needed"),
    ],
)
def test_files_that_are_no_experiments(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(text)
    with pytest.raises(ExperimentError, match=words):
        load_experiment(file)


def test_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match='"beamwright init" writes one'):
        load_experiment(tmp_path / "none.yaml")


def test_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ExperimentError, match="cannot be read as an experiment file"):
        load_experiment(file)

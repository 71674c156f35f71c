"""The command line as a user meets it; searches themselves are in tests/search."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import beamwright

from beamwright.cli import KINDS
from beamwright.data import write_image
from beamwright.experiment import load_experiment
from beamwright.tracking import RunFolder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    folder = tmp_path / "my images"
    folder.mkdir()
    for index in range(5):
        clean = 30 + 10 * np.sin(np.arange(64) / 3)[None] * np.cos(np.arange(64) / (4 + index))[:, None]
        write_image(folder / f"image{index}.mrc", rng.poisson(clean).astype(np.float32), pixel_size=0.1)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_lists_one_line_each(kind: str) -> None:
    result = beamwright("list", kind)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines
    assert all(len(line.split()) > 2 for line in lines)


def test_list_of_nothing_known() -> None:
    result = beamwright("list", "network")
    assert result.returncode == 2
    assert result.stderr == (
        'error: There is no list of "network". Did you mean "networks"? '
        "Known: tasks, environments, baselines, spaces, networks, samplers, schedulers, specimens.\n"
    )


def test_doctor_says_what_is_here_and_what_is_not() -> None:
    result = beamwright("doctor")
    assert result.returncode == 0
    for word in ("cores", "memory", "gpu", "torch", "onnxruntime", "[search]"):
        assert word in result.stdout


def test_init_writes_a_file_that_validates_and_is_never_overwritten(images: Path, tmp_path: Path) -> None:
    target = tmp_path / "experiment.yaml"
    result = beamwright("init", str(images), "--output", str(target))
    assert result.returncode == 0, result.stderr
    experiment = load_experiment(target)
    assert experiment.data.train.images == (str(images),)
    assert experiment.name == "my-images"
    again = beamwright("init", str(images), "--output", str(target))
    assert again.returncode == 2
    assert "exists and is not overwritten; choose another name with --output" in again.stderr


def test_init_of_nothing(tmp_path: Path) -> None:
    result = beamwright("init", str(tmp_path / "none"), "--output", str(tmp_path / "x.yaml"))
    assert result.returncode == 2
    assert "give the folder or the file of your images" in result.stderr
    assert not (tmp_path / "x.yaml").exists()


def test_inspect_in_words_and_as_json(images: Path) -> None:
    words = beamwright("inspect", str(images))
    assert words.returncode == 0, words.stderr
    assert "64 x 64" in words.stdout
    content = json.loads(beamwright("inspect", str(images), "--json").stdout)
    assert content["files"] == {"data": 5}
    assert content["noise"]["sigma"] > 0


def test_init_of_an_empty_folder_says_what_images_are(tmp_path: Path) -> None:
    result = beamwright("init", str(tmp_path), "--output", str(tmp_path / "x.yaml"))
    assert result.returncode == 2
    assert "the folder holds no image; known suffixes are .ali," in result.stderr
    assert not (tmp_path / "x.yaml").exists()


def test_inspect_an_experiment_shows_all_roles(images: Path, tmp_path: Path) -> None:
    (images / "copy.mrc").write_bytes((images / "image0.mrc").read_bytes())
    experiment = tmp_path / "experiment.yaml"
    data = {"train": str(images), "validation": str(images / "copy.mrc"), "test": str(images / "image1.mrc")}
    experiment.write_text(json.dumps({"task": "denoise", "data": data}))
    result = beamwright("inspect", str(experiment))
    assert result.returncode == 0, result.stderr
    assert "train 6, validation 1, test 1" in result.stdout
    assert "two roles, for instance a test file in the training folder" in " ".join(result.stdout.split())


def test_inspect_takes_stacks_as_the_experiment_would(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).poisson(30, (4, 64, 64)).astype(np.float32)
    write_image(tmp_path / "stack.npy", stack)
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text("task: denoise\ndata: {train: stack.npy}\n")
    for source in (tmp_path / "stack.npy", experiment):
        content = json.loads(beamwright("inspect", str(source), "--stack", "images", "--json").stdout)
        assert sum(content["files"].values()) == 4
    refused = beamwright("inspect", str(tmp_path / "stack.npy"), "--stack", "film")
    assert refused.returncode == 2
    assert all(word in refused.stderr for word in ("--stack", "film", "auto", "images", "movie"))


def test_inspect_nothing_names_the_folder_that_was_searched(tmp_path: Path) -> None:
    result = beamwright("inspect", "nothing", cwd=tmp_path)
    assert result.stderr == (
        f"error: nothing: there is no such file or folder; the nearest folder that exists is {tmp_path}.\n"
    )


def test_run_of_a_folder(tmp_path: Path) -> None:
    result = beamwright("run", str(tmp_path))
    assert result.returncode == 2
    assert result.stderr == (
        f'error: "{tmp_path}" is a folder, not an experiment file; "beamwright init {tmp_path}" writes one '
        "for it.\n"
    )


def test_a_storage_that_cannot_be_made(images: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(f"task: denoise\ndata: {{train: '{images}'}}\nstorage: '{tmp_path}/runs'\n")
    result = beamwright("run", str(experiment))
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith(f'error: No run can be kept in "{tmp_path}/runs":')
    assert "Traceback" not in result.stderr


def test_a_run_without_trials_says_so(tmp_path: Path) -> None:
    experiment = load_experiment({"task": "denoise", "data": {"train": "x"}})
    run = RunFolder.create(tmp_path, "empty", experiment=experiment)
    result = beamwright("leaderboard", str(run.path))
    assert result.returncode == 0, result.stderr
    assert result.stdout == f'No trial of "{run.path}" has figures yet; the run is interrupted.\n'


def test_units_are_in_the_help() -> None:
    text = beamwright("predict", "--help", env={"COLUMNS": "200"}).stdout
    assert "Edge of tiles [px]" in text
    assert "Memory for one tile [GiB]" in text


@pytest.mark.parametrize(
    ("option", "value", "least"), [("--threads", "-3", "1"), ("--tile", "0", "1"), ("--memory", "0", "0.001")]
)
def test_settings_of_predict_are_checked(option: str, value: str, least: str) -> None:
    result = beamwright("predict", "x.zip", "y.mrc", "-o", "z.mrc", option, value, env={"COLUMNS": "200"})
    assert result.returncode == 2
    assert option in result.stderr
    assert f"greater than or equal to {least} " in result.stderr


def test_inspect_names_every_bad_file_at_once(images: Path) -> None:
    (images / "empty.mrc").write_bytes(b"")
    np.save(images / "nan.npy", np.full((64, 64), np.nan, np.float32))
    result = beamwright("inspect", str(images))
    assert result.returncode == 2
    assert "2 files cannot be read" in result.stderr
    assert "empty.mrc" in result.stderr
    assert "nan.npy" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["leaderboard", "report", "export", "resume", "review"])
def test_commands_without_a_run_say_how_to_get_one(command: str, tmp_path: Path) -> None:
    result = beamwright(command, cwd=tmp_path)
    assert result.returncode == 2
    assert 'There is no run in "runs"; "beamwright run EXPERIMENT.yaml" starts one.' in result.stderr


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    result = beamwright("leaderboard", str(tmp_path), cwd=tmp_path)
    assert result.returncode == 2
    assert "is not the folder of a run" in result.stderr


def test_predict_without_a_bundle(images: Path, tmp_path: Path) -> None:
    result = beamwright("predict", str(tmp_path / "none.zip"), str(images), "-o", str(tmp_path / "out"))
    assert result.returncode == 2
    assert "none.zip" in result.stderr
    assert not (tmp_path / "out").exists()


def test_version_and_help_are_quick_to_load() -> None:
    code = (
        "import sys; from beamwright import cli\n"
        "heavy = {'torch', 'ray', 'optuna', 'numpy', 'scipy', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert beamwright("--version").stdout.strip() == "0.1.0"


def test_a_missing_extra_is_named(images: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "site"
    blocked.mkdir()
    (blocked / "optuna.py").write_text("raise ModuleNotFoundError('No module named optuna', name='optuna')\n")
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(f"task: denoise\ndata: {{train: '{images}'}}\nstorage: '{tmp_path}/runs'\n")
    result = beamwright("run", str(experiment), env={"PYTHONPATH": str(blocked)})
    assert result.returncode == 2
    assert 'needs the extra "search": pip install "beamwright[search]"' in result.stderr

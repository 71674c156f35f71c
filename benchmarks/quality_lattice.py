"""Single noisy images of lattices: who comes nearest to the truth that nobody was shown."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from images import Judge, lattice_experiment, recorded, write_lattices
from results import Section
from scoring import Contestant, difference, ranking
from tools import WORK, beamwright, foreign

from beamwright.runtime import load_bundle
from beamwright.tasks import Predict

__all__ = ["measure"]

TRIALS = 12
TRAINING = {"epochs": 20, "steps_per_epoch": 50}
EPOCHS = (30, 100)
"""Of Noise2Void, trained on one image."""
FOLDER_EPOCHS = (4, 12)
"""Of Noise2Void, trained on all eight: as many steps."""


def measure(folder: Path = WORK / "lattice") -> Section:
    """Train everybody on the noisy lattices, and score them with the clean ones."""
    shutil.rmtree(folder, ignore_errors=True)
    write_lattices(folder)
    judge = Judge.of_lattices(folder)
    rows = [*_classical(judge), *_bm3d(judge), *_ours(judge, folder), *_topaz(judge), *_noise2void(judge)]
    return Section("quality_lattice", "Single noisy lattices, ten electrons a pixel", _text(rows))


def _contestant(judge: Judge, name: str, predict: Predict, remark: str = "") -> Contestant:
    scores = {"held out": judge.score(predict, "test"), "trained on": judge.score(predict, "train")}
    return Contestant(name, scores, remark)


def _classical(judge: Judge) -> Iterator[Contestant]:
    """Tune each row with the clean validation lattices: an advantage that no user has."""
    for name, parameters, predict in judge.task.baselines(judge.data):
        values = ", ".join(f"{key} {value:.3g}" for key, value in parameters.items())
        yield _contestant(judge, name, predict, f"tuned on clean images: {values}" if values else "")


def _both(judge: Judge) -> np.ndarray:
    return np.concatenate([judge.noisy("test"), judge.noisy("train")])


def _bm3d(judge: Judge) -> Iterator[Contestant]:
    truths = [field.target[0] for field in judge.data.fields["validation"] if field.target]
    crop = (slice(None), slice(0, 192), slice(0, 192))
    arrays = {
        "predict": _both(judge),
        "tune": judge.noisy("validation")[crop],
        "truth": np.stack(truths)[crop],
    }
    found = foreign("bm3d_rows.py", arrays, "--poisson", "--sigma", str(10**0.5))
    for key, name in (("bm3d", "bm3d"), ("anscombe", "Anscombe + bm3d")):
        remark = f"tuned on clean images: sigma {float(found[f'sigma_{key}']):.3g}"
        yield _contestant(judge, name, recorded(_both(judge), found[key]), remark)


def _ours(judge: Judge, folder: Path) -> Iterator[Contestant]:
    runs: dict[str, dict[str, Any]] = {
        "beamwright, winner of the search": {
            "search": {"trials": TRIALS, "scheduler": "asha", "grace_epochs": 4},
            "space": {"max_macs": 50_000},
        },
        "U-Net, default recipe": {
            "search": {"trials": 1, "scheduler": "none"},
            "space": {"networks": ["unet"]},
        },
    }
    for index, (name, sections) in enumerate(runs.items()):
        seconds = _search(folder, f"run{index}", sections)
        predict = load_bundle(folder / f"run{index}.zip").predict
        remark = f"{sections['search']['trials']} trial(s), {seconds / 60:.1f} min with two workers"
        yield _contestant(judge, name, predict, remark)


def _search(folder: Path, name: str, sections: dict[str, Any]) -> float:
    """Run a search on the noisy lattices by the command line; return its seconds."""
    experiment = lattice_experiment(
        folder, name=name, storage=str(folder / "runs"), training=TRAINING, seed=0, **sections
    )
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(experiment), encoding="utf-8")
    seconds = beamwright("run", path)
    run = max((folder / "runs").glob(f"{name}-*"))
    beamwright("export", run, "--output", folder / f"{name}.zip", "--overwrite")
    return seconds


def _topaz(judge: Judge) -> Iterator[Contestant]:
    images = _both(judge)
    for model, outputs in foreign("topaz_denoise.py", {"predict": images}).items():
        fitted = np.stack([affine(*pair) for pair in zip(outputs, images, strict=True)])
        remark = "as shipped; gain and offset fitted to the input"
        yield _contestant(judge, f"topaz, {model}", recorded(images, fitted), remark)


def affine(output: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Return the output with the gain and offset that fit the input best: topaz normalises for itself."""
    gain, offset = np.polyfit(output.ravel(), image.ravel(), 1)
    return (gain * output + offset).astype(np.float32)


def _noise2void(judge: Judge) -> Iterator[Contestant]:
    images, train = judge.noisy("test"), judge.noisy("train")
    each = foreign("noise2void.py", {"predict": images}, "--each", "--epochs", *map(str, EPOCHS))
    folder = foreign(
        "noise2void.py", {"predict": _both(judge), "train": train}, "--epochs", *map(str, FOLDER_EPOCHS)
    )
    for epochs, folder_epochs in zip(EPOCHS, FOLDER_EPOCHS, strict=True):
        seconds = each[f"seconds_{epochs}"].mean()
        remark = f"a network for every image, trained on the image itself: {seconds:.0f} s each"
        predict = recorded(images, each[f"epochs_{epochs}"])
        name = "CAREamics Noise2Void"
        alone = f"{name}, {epochs} epochs of the image"
        yield Contestant(alone, {"held out": judge.score(predict, "test")}, remark)
        spent = float(folder[f"seconds_{folder_epochs}"])
        remark = f"trained on the folder that beamwright had: {spent:.0f} s"
        predict = recorded(_both(judge), folder[f"epochs_{folder_epochs}"])
        yield _contestant(judge, f"{name}, {folder_epochs} epochs of the folder", predict, remark)


def _text(rows: list[Contestant]) -> str:
    winner, *rivals = sorted(rows, key=lambda one: one.name != "beamwright, winner of the search")
    gaps = "\n".join(f"* over {one.name}: {difference(winner, one, 'held out')}" for one in rivals)
    return f"""\
Lattices of four kinds (hexagonal, honeycomb of two elements, perovskite, dumbbells) with vacancies,
substitutions and varying thickness, 512 x 512 px, Poisson noise at ten electrons a pixel. Everybody sees
single noisy images: eight to train, four to validate, four held out; the clean ones only score. The
classical rows are the exception: they are tuned with the clean validation lattices. PSNR refers to one
range for all,
from the 0.1 to the 99.9 percentile of the clean images; intervals are 95 % bootstraps over blocks.

{ranking(rows, ("held out", "trained on"), ssim="held out")}

The winner of the search, paired by image (bootstrap over images, 95 %):

{gaps}
"""

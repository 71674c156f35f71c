"""Real pairs of frames with correlated noise: who comes nearest to an acquisition that nobody saw."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from images import Judge, recorded
from quality_lattice import EPOCHS, affine
from results import Section
from scoring import Contestant, difference, ranking
from tools import ROOT, WORK, beamwright, foreign

from beamwright.experiment import load_experiment
from beamwright.runtime import load_bundle
from beamwright.tasks import Predict

__all__ = ["measure"]

EXPERIMENT = ROOT / "examples" / "denoise-replica.yaml"


def measure(folder: Path = WORK / "replica") -> Section:
    """Run the example and everybody else on the same files, and score the held-out acquisition."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    experiment = load_experiment(EXPERIMENT)
    judge = Judge(experiment.model_dump(mode="json"))
    rows = [*_classical(judge), *_bm3d(judge), *_ours(judge, folder), *_topaz(judge), *_noise2void(judge)]
    return Section("quality_replica", "Pairs of frames of a replica grating", _text(rows))


def _contestant(judge: Judge, name: str, predict: Predict, remark: str = "") -> Contestant:
    return Contestant(name, {"held out": judge.score(predict, "test")}, remark)


def _classical(judge: Judge) -> Iterator[Contestant]:
    for name, parameters, predict in judge.task.baselines(judge.data):
        values = ", ".join(f"{key} {value:.3g}" for key, value in parameters.items())
        yield _contestant(judge, name, predict, f"tuned on the validation pair: {values}" if values else "")


def _bm3d(judge: Judge) -> Iterator[Contestant]:
    """Tune BM3D against the second frame: its noise is independent, so the best level is the true one."""
    frames = judge.data.fields["validation"][0].frames
    first, second = (np.asarray(frames[index], np.float32) for index in (0, 1))
    arrays = {
        "noise": (first - second) / np.float32(2**0.5),
        "predict": judge.noisy("test"),
        "tune": first[None],
        "truth": second[None],
    }
    sigma = float(judge.data.fingerprint.noise.sigma)
    found = foreign("bm3d_rows.py", arrays, "--sigma", str(sigma))
    for key, name in (("bm3d", "bm3d"), ("spectrum", "bm3d told the noise's correlation")):
        remark = f"tuned on the validation pair: sigma {float(found[f'sigma_{key}']):.3g}"
        yield _contestant(judge, name, recorded(judge.noisy("test"), found[key]), remark)


def _ours(judge: Judge, folder: Path) -> Iterator[Contestant]:
    runs = {
        "beamwright, winner of the search": (),
        "U-Net, default recipe": (
            *("--set", "space.networks=[unet]", "--set", "search.trials=1"),
            *("--set", "search.scheduler=none"),
        ),
    }
    for index, (name, options) in enumerate(runs.items()):
        storage = folder / f"runs{index}"
        seconds = beamwright("run", EXPERIMENT, "--set", f"storage={storage}", *options)
        bundle = folder / f"run{index}.zip"
        beamwright("export", next(storage.iterdir()), "--output", bundle, "--overwrite")
        trials = 1 if options else _content(EXPERIMENT)["search"]["trials"]
        remark = f"{trials} trial(s), {seconds / 60:.1f} min"
        yield _contestant(judge, name, load_bundle(bundle).predict, remark)


def _content(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def _topaz(judge: Judge) -> Iterator[Contestant]:
    images = judge.noisy("test")
    for model, outputs in foreign("topaz_denoise.py", {"predict": images}).items():
        fitted = np.stack([affine(*pair) for pair in zip(outputs, images, strict=True)])
        remark = "as shipped; gain and offset fitted to the input"
        yield _contestant(judge, f"topaz, {model}", recorded(images, fitted), remark)


def _noise2void(judge: Judge) -> Iterator[Contestant]:
    """Let Noise2Void train on either frame of the training pairs, and once on the test image itself."""
    images = judge.noisy("test")
    train = np.concatenate(
        [
            np.stack([np.asarray(f, np.float32) for f in _frames(field)])
            for field in judge.data.fields["train"]
        ]
    )
    itself = tuple(7 * count for count in EPOCHS)  # an epoch of this small image is a single step
    for name, arrays, counts, options, remark in (
        ("Noise2Void", {"train": train}, EPOCHS, (), "trained on the training frames"),
        ("Noise2Void", {}, itself, ("--each",), "trained on the test image itself"),
        ("structN2V", {"train": train}, EPOCHS, ("--struct",), "horizontal mask, the training frames"),
    ):
        found = foreign(
            "noise2void.py", {"predict": images, **arrays}, *options, "--epochs", *map(str, counts)
        )
        for count in counts:
            seconds = float(np.mean(found[f"seconds_{count}"]))
            label = f"CAREamics {name}, {count} epochs"
            predict = recorded(images, found[f"epochs_{count}"])
            yield _contestant(judge, label, predict, f"{remark}: {seconds:.0f} s")


def _frames(field: Any) -> list[np.ndarray]:
    return [field.frames[index] for index in range(len(field.frames))]


def _text(rows: list[Contestant]) -> str:
    winner, *rivals = sorted(rows, key=lambda one: one.name != "beamwright, winner of the search")
    gaps = "\n".join(f"* over {one.name}: {difference(winner, one, 'held out')}" for one in rivals)
    return f"""\
`examples/denoise-replica.yaml`: TEM of a replica grating, two frames of every field, noise correlated along
x. The held-out part is another area in another acquisition. PSNR is the unbiased estimate against its second
frame, which no predictor saw; intervals are 95 % bootstraps over blocks of the image.

{ranking(rows, ("held out",))}

The winner of the search, paired by block (bootstrap over blocks, 95 %):

{gaps}
"""

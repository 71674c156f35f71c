"""CAREamics' Noise2Void, trained and run as its documentation says; runs in the benchmarks' own venv.

``python noise2void.py IN.npz OUT.npz --epochs 30 100``: trains on ``train`` ``(N, H, W)``, or with ``--each``
once on every image of ``predict``, and denoises ``predict`` ``(M, H, W)``. What it writes is ``epochs_30``,
``epochs_100`` and the seconds of training.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import stand_in

stand_in.install()

import torch  # noqa: E402
from careamics import CAREamist  # noqa: E402
from careamics.config.factories import create_advanced_n2v_config  # noqa: E402
from pytorch_lightning import Callback, seed_everything  # noqa: E402

GRID = 4
"""Sides of what its U-Net denoises must be multiples of this [px]."""


class Snapshots(Callback):
    """Keep checkpoints after certain epochs: what a training of so many epochs would have ended with.

    The rate follows the validation loss only (ReduceLROnPlateau), so the epochs to come change nothing.
    """

    def __init__(self, folder: Path, epochs: list[int]) -> None:
        self.folder, self.epochs = folder, epochs
        self.seconds: dict[int, float] = {}
        self.start = time.perf_counter()

    def path(self, epochs: int) -> Path:
        return self.folder / f"epochs_{epochs}.ckpt"

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        epochs = trainer.current_epoch + 1
        if epochs in self.epochs:
            self.seconds[epochs] = time.perf_counter() - self.start
            trainer.save_checkpoint(self.path(epochs))


def denoise(train: np.ndarray, images: np.ndarray, options: argparse.Namespace) -> dict[str, np.ndarray]:
    """Train on a stack and denoise another, with the weights of every snapshot."""
    seed_everything(options.seed, workers=True)
    config = create_advanced_n2v_config(
        experiment_name="benchmark",
        data_type="array",
        axes="SYX",
        patch_size=[64, 64],
        batch_size=options.batch_size,
        num_epochs=max(options.epochs),
        augmentations=[] if options.struct else None,
        struct_n2v_axes="horizontal" if options.struct else "none",
        num_workers=0,
        trainer_params={"accelerator": "cpu"},
    )
    with tempfile.TemporaryDirectory() as folder:
        snapshots = Snapshots(Path(folder), options.epochs)
        tool = CAREamist(
            config, work_dir=Path(folder), callbacks=[snapshots], enable_progress_bar=options.verbose
        )
        tool.train(train_data=train)
        found: dict[str, np.ndarray] = {}
        height, width = images.shape[1:]
        padded = np.pad(images, ((0, 0), (0, -height % GRID), (0, -width % GRID)), mode="reflect")
        for epochs, seconds in snapshots.seconds.items():
            outputs, _ = tool.predict(padded, batch_size=1, checkpoint=snapshots.path(epochs))
            stack = np.concatenate([np.asarray(item).reshape(-1, *padded.shape[1:]) for item in outputs])
            found[f"epochs_{epochs}"] = stack[:, :height, :width].astype(np.float32)
            found[f"seconds_{epochs}"] = np.array(seconds)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--epochs", type=int, nargs="+", default=[30, 100])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--each", action="store_true", help="train anew on every image to be denoised")
    parser.add_argument("--struct", action="store_true", help="structN2V with a horizontal mask")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    given = np.load(options.input)
    images = given["predict"].astype(np.float32)
    if options.each:
        parts = [denoise(image[None], image[None], options) for image in images]
        found = {name: np.concatenate([np.atleast_1d(part[name]) for part in parts]) for name in parts[0]}
    else:
        found = denoise(given["train"].astype(np.float32), images, options)
    np.savez(options.output, **found)


if __name__ == "__main__":
    main()

"""The images of the comparisons, as files for beamwright and as arrays for the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from lattices import KINDS, simulate

from beamwright.data import write_image
from beamwright.experiment import load_experiment
from beamwright.tasks import TASKS, Predict, Scores, Task, TaskData
from beamwright.tasks.task import Role

__all__ = ["SEEDS", "Judge", "lattice_experiment", "recorded", "write_lattices"]

SEEDS: Mapping[Role, range] = {"train": range(0, 2), "validation": range(10, 11), "test": range(30, 31)}
"""Seeds of the lattices of each role; every seed gives one image of every kind."""
ROLES: tuple[Role, ...] = ("train", "validation", "test")

Stack = npt.NDArray[np.float32]


def write_lattices(folder: Path) -> None:
    """Write ``ROLE/NAME.tif`` and the truth, which only scoring sees, as ``truth/ROLE/NAME.tif``."""
    for role in ROLES:
        for seed in SEEDS[role]:
            for kind in KINDS:
                lattice = simulate(kind, seed=seed)
                name = f"{kind.replace(' ', '-')}-{seed:02d}.tif"
                for place, image in (
                    (folder / role, lattice.noisy),
                    (folder / "truth" / role, lattice.clean),
                ):
                    place.mkdir(parents=True, exist_ok=True)
                    write_image(place / name, image)


def lattice_experiment(folder: Path, **sections: Any) -> dict[str, Any]:
    """Return an experiment on the noisy lattices alone."""
    data = {role: str(folder / role) for role in ROLES}
    return {"task": "denoise", "data": {**data, "regime": "blind_spot", "stack": "images"}, **sections}


class Judge:
    """Scores everybody against the same truth, by beamwright's own `evaluate`.

    Parameters
    ----------
    experiment
        Its data section says what is known for scoring: clean targets or second frames.
    """

    def __init__(self, experiment: dict[str, Any]) -> None:
        self.task: Task = TASKS.load(experiment["task"])()
        self.data: TaskData = self.task.prepare(load_experiment(experiment))

    @classmethod
    def of_lattices(cls, folder: Path) -> Judge:
        """Return the judge who knows the clean lattices."""
        pairs = {
            role: {"images": str(folder / role), "targets": str(folder / "truth" / role)} for role in ROLES
        }
        return cls({"task": "denoise", "data": {**pairs, "regime": "clean", "stack": "images"}})

    def noisy(self, role: Role) -> Stack:
        """Return what predictors see, ``(N, H, W)``."""
        return np.stack([np.asarray(field.frames[0], np.float32) for field in self.data.fields[role]])

    def score(self, predict: Predict, role: Role) -> Scores:
        """Measure a predictor on whole images."""
        return self.task.evaluate(predict, self.data, role)


def recorded(images: Stack, outputs: Stack) -> Predict:
    """Return a predictor that knows by heart what another tool made of these images."""
    known = {image.tobytes(): output for image, output in zip(images, outputs, strict=True)}
    return lambda image: known[np.ascontiguousarray(image).tobytes()]

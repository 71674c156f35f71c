"""Training batches of ``inpaint``: patches, each measured along a pattern of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from beamwright.tasks.patterns import draw_pattern, measure, recorded
from beamwright.tasks.sampling import PatchSampler
from beamwright.tasks.scaling import normalise_sparse
from beamwright.tasks.task import Batch, TaskData

if TYPE_CHECKING:
    from beamwright.search_spaces import Recipe

__all__ = ["SparseSampler"]


class SparseSampler(PatchSampler):
    """Random patches, measured along random patterns with random doses.

    Parameters
    ----------
    data
        What the task prepared.
    recipe
        Batch size, patch size and augmentation.
    seed
        With the step, it determines a batch entirely.

    Raises
    ------
    DataError
        If patches are larger than an image.
    """

    def __init__(self, data: TaskData, recipe: Recipe, *, seed: int) -> None:
        super().__init__(data, recipe, seed=seed)
        assert data.sparse is not None  # this task's preparation sees to it
        self.sparse = data.sparse

    def batch(self, step: int) -> Batch:
        """Return ``input`` ``(B, 2, P, P)``, ``target`` and ``weight`` ``(B, 1, P, P)``, normalised."""
        rng = np.random.default_rng((self.seed, step))
        seen, truth = self._cut(rng)  # each (B, P, P)
        contrast = 1 + self.recipe.augment_intensity * rng.uniform(-1, 1, (len(truth), 1, 1))
        seen, truth = (np.float32(contrast) * patches for patches in (seen, truth))
        doses = self._doses(truth.shape, rng)
        values = self._values(seen, doses, rng)
        images = torch.from_numpy(np.stack([values, doses], 1))  # (B, 2, P, P)
        data = self.data
        target = torch.from_numpy((truth - np.float32(data.mean)) / np.float32(data.std))[:, None]
        weight = torch.from_numpy((doses == 0).astype(np.float32))[:, None]
        return {
            "input": normalise_sparse(images, mean=data.mean, std=data.std, half_dose=self.sparse.half_dose),
            "target": target,
            # Where a noisy pixel was measured, its own noise would be learned.
            "weight": weight if data.regime == "blind_spot" else self.everywhere,
        }

    def _doses(self, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Return the electrons at each pixel ``(B, P, P)``."""
        patterns, field = self.sparse.patterns, (shape[1], shape[2])
        doses = np.stack([draw_pattern(patterns, field, rng).dose for _ in range(shape[0])])
        return doses if self.data.regime == "synthetic" else recorded(doses, self.data.noise.dose)

    def _values(self, seen: np.ndarray, doses: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return what is measured ``(B, P, P)``: fresh noise on clean images, else the recorded noise."""
        if self.data.regime != "synthetic":
            return np.where(doses > 0, seen, np.float32(0))
        return measure(seen, doses, rng, full_scale=self.sparse.full_scale)

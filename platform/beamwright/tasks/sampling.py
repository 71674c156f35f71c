"""Training batches: where patches are cut, and what is done to them in each regime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from beamwright.data import add_noise
from beamwright.errors import DataError
from beamwright.tasks.fields import Field
from beamwright.tasks.masking import Mask, draw_mask, hide
from beamwright.tasks.task import Batch, TaskData

if TYPE_CHECKING:
    from beamwright.search_spaces import Recipe

__all__ = ["PatchSampler"]


class PatchSampler:
    """Random patches of the training fields; fields are drawn by their area.

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
        self.data, self.recipe, self.seed = data, recipe, seed
        self.fields = data.fields["train"]
        smallest = min(self.fields, key=lambda item: min(item.size))
        if min(smallest.size) < recipe.patch_size:
            raise DataError(
                f"Patches must fit the images: patch_size = {recipe.patch_size} px, but {smallest.name} has "
                f"{smallest.size[0]} x {smallest.size[1]} px; set space.fix.patch_size to "
                f"{min(smallest.size)} or less, or leave the image out."
            )
        area = np.array([item.size[0] * item.size[1] for item in self.fields], dtype=np.float64)
        self.share = area / area.sum()
        shape = (recipe.batch_size, 1, recipe.patch_size, recipe.patch_size)
        self.everywhere = torch.ones(shape)

    def batch(self, step: int) -> Batch:
        """Return ``input``, ``target`` and ``weight`` of a step, each ``(B, 1, P, P)``, normalised."""
        rng = np.random.default_rng((self.seed, step))
        patches = self._cut(rng)  # (2, B, P, P)
        if self.data.regime == "synthetic":
            patches[0] = add_noise(patches[1], self.data.noise, rng, mean=self.data.noise.dose)
        self._normalise(patches, rng)
        weight = self.everywhere
        if self.data.regime == "blind_spot":
            mask = draw_mask(patches.shape[1:], rng, run=self.data.mask_run)
            patches[0] = hide(patches[1], mask, rng)
            weight = _weight(mask, self.everywhere.shape)
        images, targets = torch.from_numpy(patches)[:, :, None]
        return {"input": images, "target": targets, "weight": weight}

    def _cut(self, rng: np.random.Generator) -> np.ndarray:
        """Cut the same place of input and target, turned and flipped alike."""
        count, edge = self.recipe.batch_size, self.recipe.patch_size
        patches = np.empty((2, count, edge, edge), np.float32)
        chosen = rng.choice(len(self.fields), size=count, p=self.share)
        places = rng.random((count, 2))
        turns = rng.integers(4 if self.data.mask_run else 8, size=count) * self.recipe.augment_dihedral
        for index, field in enumerate(self.fields[i] for i in chosen):
            top, left = (places[index] * (np.array(field.size) - edge + 1)).astype(int)
            for side, frame in enumerate(self._pair(field, rng)):
                patch = _turn(frame[top : top + edge, left : left + edge], turns[index])
                np.multiply(patch, field.scale, out=patches[side, index], casting="unsafe")
        return patches

    def _pair(self, field: Field, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return what the input and what the target is cut from, each ``(H, W)``."""
        count = len(field.frames)
        first = int(rng.integers(count))
        frame = field.frames[first]
        if field.target is not None:
            return frame, field.target[min(first, len(field.target) - 1)]
        if self.data.regime != "noise2noise":
            return frame, frame
        other = (first + int(rng.integers(1, count))) % count
        return frame, field.frames[other]

    def _normalise(self, patches: np.ndarray, rng: np.random.Generator) -> None:
        """Normalise in place; contrast and brightness vary for both alike, noise in the input alone."""
        recipe, shape = self.recipe, (1, patches.shape[1], 1, 1)
        contrast = 1 + recipe.augment_intensity * rng.uniform(-1, 1, shape)
        brightness = recipe.augment_intensity * rng.uniform(-1, 1, shape)
        patches *= (contrast / self.data.std).astype(np.float32)
        patches += (brightness - contrast * self.data.mean / self.data.std).astype(np.float32)
        # With noisy targets more noise in the input teaches the wrong noise level, so it is left out there.
        if recipe.augment_noise and self.data.regime in ("clean", "synthetic"):
            level = recipe.augment_noise * rng.random(shape[1:], dtype=np.float32)
            patches[0] += level * rng.standard_normal(patches.shape[1:], dtype=np.float32)


def _turn(patch: np.ndarray, turn: int) -> np.ndarray:
    """Return one of the eight views of the dihedral group; the first four keep rows rows."""
    if turn & 4:
        patch = patch.T
    if turn & 2:
        patch = patch[::-1]
    return patch[:, ::-1] if turn & 1 else patch


def _weight(mask: Mask, shape: torch.Size) -> torch.Tensor:
    weight = np.zeros(shape, np.float32)
    weight[mask.image, 0, mask.row, mask.column] = 1
    return torch.from_numpy(weight)

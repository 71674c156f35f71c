"""The task ``denoise``: images without their noise, learned in one of four regimes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from beamwright.tasks.cases import Cases
from beamwright.tasks.evaluation import Case, evaluate
from beamwright.tasks.preparing import prepare
from beamwright.tasks.task import Batch, Channel, Metric, Predict, Role, Scores, TaskData

if TYPE_CHECKING:
    import torch

    from beamwright.experiment import Experiment
    from beamwright.search_spaces import Recipe
    from beamwright.tasks.sampling import PatchSampler

__all__ = ["Denoise"]

TUNING_PIXELS = 1 << 17
"""Validation pixels that classical rows are tuned on: eight crops of 128 px."""
EXAMPLE_EDGE = 384
"""Edge of pictures [px]."""


class Denoise:
    """Denoise images.

    Regimes: ``clean`` learns from pairs with clean targets; ``synthetic`` puts fresh noise on clean images in
    every batch; ``noise2noise`` learns one noisy frame from another of the same field; ``blind_spot`` learns
    hidden pixels of single noisy images from their surroundings.

    The quality is PSNR, and what it refers to depends on what is known (``notes["psnr_kind"]`` of the
    scores): the clean image; a second noisy frame, whose noise variance is subtracted (unbiased); or, where
    each field has one noisy frame, the values of hidden pixels, which rank predictors only. References,
    crops, noise and masks are drawn from the seed once, the same for every predictor.
    """

    name = "denoise"
    kind = "restore"
    inputs = (Channel("image", "counts", "noisy image, raw counts"),)
    outputs = (Channel("image", "counts", "image without its noise, in the units of the input"),)
    default_space = "denoise"
    quality = Metric("psnr", "dB", True, "peak signal-to-noise ratio")
    metrics = (
        quality,
        Metric("ssim", "", True, "structural similarity; where there are clean images"),
        Metric(
            "resolution", "nm or px", False, "Fourier ring correlation with the reference falls below 1/7"
        ),
        Metric("resolution_0143", "nm or px", False, "the same, below 0.143 as in cryo-EM"),
    )

    def __init__(self) -> None:
        self._kept: dict[tuple[Role, int | None], tuple[TaskData, Sequence[Case]]] = {}

    def prepare(self, experiment: Experiment) -> TaskData:
        """Read the files, resolve the regime, and look at the data.

        Raises
        ------
        DataError
            If files cannot be read, or do not fit the regime.
        """
        return prepare(experiment)

    def sampler(self, data: TaskData, recipe: Recipe, *, seed: int) -> PatchSampler:
        """Return the training batches of a recipe."""
        from beamwright.tasks.sampling import PatchSampler

        return PatchSampler(data, recipe, seed=seed)

    def loss(self, output: torch.Tensor, batch: Batch, recipe: Recipe) -> torch.Tensor:
        """Return the recipe's loss of a batch, a scalar."""
        from beamwright.tasks.losses import restoration_loss

        return restoration_loss(recipe.loss, output, batch["target"], batch["weight"])

    def evaluate(
        self, predict: Predict, data: TaskData, role: Role, *, max_pixels: int | None = None
    ) -> Scores:
        """Measure a predictor on a split, or on fixed central crops of `max_pixels` in all."""
        cases = self._cases(data, role, max_pixels)
        return evaluate(predict, cases, data_range=data.data_range[role], pixel_size=data.pixel_size)

    def examples(
        self, predict: Predict, data: TaskData, role: Role, *, count: int = 2
    ) -> list[dict[str, np.ndarray | None]]:
        """Return ``input``, ``output`` and ``target`` [counts] of a few central crops."""
        cases = Cases(data, role, count * EXAMPLE_EDGE**2, at_most=count)
        return [
            {
                "input": case.shown,
                "output": predict(case.shown),
                "target": None if case.kind == "masked" else case.reference,
            }
            for case in cases
        ]

    def baselines(self, data: TaskData) -> Iterator[tuple[str, dict[str, Any], Predict]]:
        """Yield the noisy input and classical denoisers, tuned on crops of the validation split."""
        from beamwright.tasks.classical import tuned

        yield from tuned(self._cases(data, "validation", TUNING_PIXELS), data)

    def _cases(self, data: TaskData, role: Role, max_pixels: int | None) -> Sequence[Case]:
        owner, cases = self._kept.get((role, max_pixels), (None, ()))
        if owner is not data:
            cases = Cases(data, role, max_pixels).keep()
            self._kept[role, max_pixels] = data, cases
        return cases

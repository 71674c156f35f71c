"""The task ``inpaint``: whole images from any path or mask, and how wrong they are likely to be."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from beamwright.tasks.inpaint_cases import SparseCase, SparseCases
from beamwright.tasks.inpaint_evaluation import evaluate_inpainting
from beamwright.tasks.inpaint_preparing import prepare_inpainting
from beamwright.tasks.task import Batch, Channel, Metric, Predict, Role, Scores, TaskData

if TYPE_CHECKING:
    import torch

    from beamwright.experiment import Experiment
    from beamwright.search_spaces import Recipe
    from beamwright.tasks.inpaint_sampling import SparseSampler

__all__ = ["Inpaint"]

TUNING_PIXELS = 1 << 17
"""Validation pixels that classical rows are tuned on: eight crops of 128 px."""
EXAMPLE_EDGE = 384
"""Edge of pictures [px]."""
FORECAST = 0.1
"""Weight of the predicted error beside the image in the loss; the image gets no gradient from it."""


class Inpaint:
    """Complete images of which few pixels were measured.

    Input: ``value``, counts per electron where the beam was and 0 elsewhere, and ``dose``, the electrons of
    each pixel, 0 where it was not. Output: ``image``, in the unit of the values, and ``log_squared_error``,
    the natural logarithm of the squared error to be expected of each of its pixels. Any path, mask and dwell
    times are two such maps.

    Regimes: ``synthetic`` measures clean images, recorded or simulated, along random patterns with random
    doses and the noise of counting; ``clean``, ``noise2noise`` and ``blind_spot`` take pixels of noisy images
    of ``data.noise.dose`` electrons as they are, and learn clean targets, another frame, or the pixels that
    the pattern leaves out.

    The quality is PSNR of the image over patterns of all kinds, coverages and doses of ``data.patterns``,
    drawn from the seed once, the same for every predictor. What it refers to is said as in `Denoise`.
    """

    name = "inpaint"
    kind = "restore"
    inputs = (
        Channel("value", "counts per electron", "measured values, 0 where nothing was measured"),
        Channel("dose", "electrons per pixel", "electrons at each pixel, 0 where nothing was measured"),
    )
    outputs = (
        Channel("image", "counts per electron", "the complete image"),
        Channel("log_squared_error", "1", "natural logarithm of the image's expected squared error"),
    )
    default_space = "inpaint"
    quality = Metric("psnr", "dB", True, "peak signal-to-noise ratio of the image")
    metrics = (
        quality,
        Metric("ssim", "", True, "structural similarity of the image; where there are clean ones"),
        Metric(
            "error_correlation",
            "",
            True,
            "rank correlation of predicted and true squared error; where there are clean images",
        ),
        Metric("error_bias", "dB", False, "distance of the predicted from the true mean squared error"),
    )

    def __init__(self) -> None:
        self._kept: dict[tuple[Role, int | None], tuple[TaskData, Sequence[SparseCase]]] = {}

    def prepare(self, experiment: Experiment) -> TaskData:
        """Read or simulate images, resolve the regime, and look at the data.

        Raises
        ------
        DataError
            If files cannot be read, or do not fit the regime.
        """
        return prepare_inpainting(experiment)

    def sampler(self, data: TaskData, recipe: Recipe, *, seed: int) -> SparseSampler:
        """Return the training batches of a recipe."""
        from beamwright.tasks.inpaint_sampling import SparseSampler

        return SparseSampler(data, recipe, seed=seed)

    def loss(self, output: torch.Tensor, batch: Batch, recipe: Recipe) -> torch.Tensor:
        """Return the recipe's loss of the image and that of the predicted error, a scalar."""
        from beamwright.tasks.losses import expected_error_loss, restoration_loss

        image, target, weight = output[:, :1].float(), batch["target"], batch["weight"]
        forecast = expected_error_loss(output[:, 1:], (image - target).square(), weight)
        return restoration_loss(recipe.loss, image, target, weight) + FORECAST * forecast

    def evaluate(
        self, predict: Predict, data: TaskData, role: Role, *, max_pixels: int | None = None
    ) -> Scores:
        """Measure a predictor on a split, or on fixed central crops of `max_pixels` in all.

        Predictors that return the image alone have no figures of predicted errors.
        """
        return evaluate_inpainting(
            predict, self._cases(data, role, max_pixels), data_range=data.data_range[role]
        )

    def examples(
        self, predict: Predict, data: TaskData, role: Role, *, count: int = 2
    ) -> list[dict[str, np.ndarray | None]]:
        """Return ``input`` and ``output`` ``(2, H, W)`` and ``target`` ``(H, W)`` of a few central crops."""
        cases = SparseCases(data, role, count * EXAMPLE_EDGE**2, at_most=count)
        return [
            {
                "input": case.image,
                "output": predict(case.image),
                "target": None if case.kind == "masked" else case.reference,
            }
            for case in cases[:count]
        ]

    def baselines(self, data: TaskData) -> Iterator[tuple[str, dict[str, Any], Predict]]:
        """Yield classical interpolations, tuned on crops of the validation split."""
        from beamwright.tasks.inpaint_classical import tuned_inpainting

        yield from tuned_inpainting(self._cases(data, "validation", TUNING_PIXELS), data)

    def _cases(self, data: TaskData, role: Role, max_pixels: int | None) -> Sequence[SparseCase]:
        owner, cases = self._kept.get((role, max_pixels), (None, ()))
        if owner is not data:
            cases = SparseCases(data, role, max_pixels).keep()
            self._kept[role, max_pixels] = data, cases
        return cases

"""What a task is, what it prepares, and what it says of a predictor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

import numpy as np

from beamwright.tasks.fields import Field

if TYPE_CHECKING:
    import torch

    from beamwright.data import Fingerprint
    from beamwright.experiment import Experiment, NoiseConfig, PatternConfig, Regime
    from beamwright.search_spaces import Recipe, SpaceLimits

__all__ = [
    "ROLES",
    "Batch",
    "BatchSampler",
    "Channel",
    "Metric",
    "Predict",
    "Role",
    "Scores",
    "SparseScans",
    "Task",
    "TaskData",
]

Role: TypeAlias = Literal["train", "validation", "test"]
ROLES: tuple[Role, ...] = ("train", "validation", "test")
Predict: TypeAlias = Callable[[np.ndarray], np.ndarray]
"""``(H, W)`` float32 in raw counts -> ``(H, W)`` in the same units: torch, ONNX and classical rows alike.

Where a task has several channels, they are a leading axis: ``(C, H, W)`` -> ``(K, H, W)``."""
Batch: TypeAlias = "dict[str, torch.Tensor]"
"""``input`` ``(B, C, P, P)``, ``target`` and ``weight`` ``(B, 1, P, P)``, float32 in normalised units."""

IMAGES_FOR_BOOTSTRAP = 20


@dataclass(frozen=True)
class Metric:
    """A figure of merit: its name and unit, and which way is better."""

    name: str
    unit: str
    maximise: bool
    summary: str

    def better(self, value: float, than: float) -> bool:
        """Tell whether `value` is an improvement; not-a-number never is."""
        return value > than if self.maximise else value < than


@dataclass(frozen=True)
class Channel:
    """What a channel of a task's input or output holds."""

    name: str
    unit: str
    summary: str


@dataclass(frozen=True)
class Scores:
    """One predictor on one split.

    Parameters
    ----------
    metrics
        Mean over the images, by name of the metric.
    per_image
        The same for every image, with its ``name``.
    blocks
        For every image, what the quality is made of: ``(blocks, 2)``, the sum of the estimated squared
        error and the number of pixels in blocks of the image.
    quality
        From mean squared errors ``(...,)`` to the primary metric ``(...,)``.
    notes
        How to read the metrics, such as ``psnr_kind``.
    """

    metrics: dict[str, float]
    per_image: tuple[dict[str, float | str], ...]
    blocks: tuple[np.ndarray, ...]
    quality: Callable[[np.ndarray], np.ndarray]
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def interval_over(self) -> Literal["images", "blocks"]:
        """What is resampled: images from twenty on, blocks within each image where there are fewer."""
        return "images" if len(self.blocks) >= IMAGES_FOR_BOOTSTRAP else "blocks"

    def interval(self, level: float = 0.95, *, seed: int = 0, draws: int = 2000) -> tuple[float, float]:
        """Return a bootstrap interval of the primary metric, `interval_over` images or blocks.

        Blocks tell how sure the figure is for these images; only images tell it for others like them.
        """
        rng = np.random.default_rng(seed)
        resample = _over_images if self.interval_over == "images" else _over_blocks
        values = resample(self.blocks, self.quality, draws, rng)  # (draws,)
        low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)


Quality: TypeAlias = Callable[[np.ndarray], np.ndarray]
Blocks: TypeAlias = tuple[np.ndarray, ...]


def _over_images(blocks: Blocks, quality: Quality, draws: int, rng: np.random.Generator) -> np.ndarray:
    errors = np.array([total.sum() / count.sum() for total, count in (block.T for block in blocks)])
    values = quality(errors)
    return values[rng.integers(len(values), size=(draws, len(values)))].mean(axis=1)


def _over_blocks(blocks: Blocks, quality: Quality, draws: int, rng: np.random.Generator) -> np.ndarray:
    values = np.zeros(draws)
    for block in blocks:
        drawn = block[rng.integers(len(block), size=(draws, len(block)))].sum(axis=1)  # (draws, 2)
        values += quality(drawn[:, 0] / drawn[:, 1])
    return values / len(blocks)


@dataclass(frozen=True)
class SparseScans:
    """How images are measured of which only a part is.

    Parameters
    ----------
    patterns
        Where, and with how many electrons.
    full_scale
        Value of a pixel where every electron is counted.
    half_dose
        The dose at which the variance of a pixel's noise is that of the contrast [e-]; it goes into the
        exported model.
    """

    patterns: PatternConfig
    full_scale: float
    half_dose: float


@dataclass(frozen=True)
class TaskData:
    """Everything that trials need of the data; picklable, placed once per node.

    Parameters
    ----------
    regime
        ``clean``, ``synthetic``, ``noise2noise`` or ``blind_spot``; never ``auto``.
    fields
        The fields of view of each role.
    mean, std
        Of the training inputs [counts]; they go into the exported model.
    data_range
        Per role, the range that PSNR and SSIM refer to: from the 0.1 to the 99.9 percentile of the
        reference images, fixed for all predictors [counts].
    limits
        What the data allow the space to suggest.
    noise
        What the regime ``synthetic`` adds.
    mask_run
        Blind spot: half the length of the horizontal mask [px], 0 for single pixels.
    pixel_size
        [nm], where it is known and the same in all files.
    provenance
        SHA-256 of every file, by path.
    units
        Of metrics whose unit depends on the data, by name.
    sparse
        Of tasks whose input is values and doses.
    """

    regime: Regime
    fields: Mapping[Role, tuple[Field, ...]]
    mean: float
    std: float
    data_range: Mapping[Role, float]
    limits: SpaceLimits
    fingerprint: Fingerprint
    noise: NoiseConfig
    seed: int = 0
    mask_run: int = 0
    pixel_size: float | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    sparse: SparseScans | None = None


class BatchSampler(Protocol):
    """A source of training batches without memory: the batch follows from the seed and the step."""

    def batch(self, step: int) -> Batch:
        """Return the batch of a step."""
        ...


class Task(Protocol):
    """A problem, from files to figures.

    `prepare` runs once per search, in the driver; its result goes to all trials. A trial asks for a
    `sampler`, its training loop for `loss`, and after every epoch for `evaluate`. The winner and the
    `baselines` are measured by the same `evaluate`, through the exported model.
    """

    name: str
    kind: Literal["classify", "detect", "segment", "restore", "regress"]
    inputs: tuple[Channel, ...]
    outputs: tuple[Channel, ...]
    metrics: tuple[Metric, ...]
    quality: Metric
    default_space: str

    def prepare(self, experiment: Experiment) -> TaskData:
        """Read the files, resolve the regime, and look at the data.

        Raises
        ------
        DataError
            If files cannot be read or do not fit the regime.
        """
        ...

    def sampler(self, data: TaskData, recipe: Recipe, *, seed: int) -> BatchSampler:
        """Return the training batches of a recipe."""
        ...

    def loss(self, output: torch.Tensor, batch: Batch, recipe: Recipe) -> torch.Tensor:
        """Return the loss of a batch, a scalar."""
        ...

    def evaluate(
        self, predict: Predict, data: TaskData, role: Role, *, max_pixels: int | None = None
    ) -> Scores:
        """Measure a predictor on a split, or on fixed crops of it of at most `max_pixels` in all."""
        ...

    def examples(
        self, predict: Predict, data: TaskData, role: Role, *, count: int = 2
    ) -> list[dict[str, np.ndarray | None]]:
        """Return ``input``, ``output`` and ``target`` (or None) of a few crops, for pictures.

        Of several channels pictures show the first.
        """
        ...

    def baselines(self, data: TaskData) -> Iterator[tuple[str, dict[str, Any], Predict]]:
        """Yield classical predictors, tuned on the validation split: name, parameters, predictor."""
        ...

"""The experiment file: a YAML file that says what to search for, on which data, and for how long.

An `Experiment` is frozen and complete: every default is written into the resolved file that a run
keeps, so that this file runs again to the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from beamwright.errors import ExperimentError
from beamwright.faults import explain_faults
from beamwright.yaml_files import copied, merged, read_overrides, read_yaml

__all__ = [
    "DataConfig",
    "Experiment",
    "ImageSet",
    "NoiseConfig",
    "Pattern",
    "PatternConfig",
    "Regime",
    "ResourcesConfig",
    "SearchConfig",
    "SimulateConfig",
    "SpaceConfig",
    "TrainingConfig",
    "load_experiment",
]

Regime = Literal["auto", "clean", "synthetic", "noise2noise", "blind_spot"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Pattern = Literal["segments", "spiral", "lissajous", "raster", "grid", "jittered", "random"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, (str, Path)) else value


Paths = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class SimulateConfig(_Frozen):
    """Images of simulated specimens, for tasks of which nobody has enough recorded ones.

    They are clean, between 0 and 1, and follow from this section alone.
    """

    specimens: tuple[str, ...] = Field(("particle_cluster",), min_length=1)
    """Classes of specimens, in equal shares: ``beamwright list specimens``."""
    count: int = Field(64, ge=1)
    """Number of images."""
    size: int = Field(128, ge=16)
    """Edge of the square images [px]."""
    pixel_size: float | None = Field(None, gt=0)
    """Pixel size [nm]; by default each class has its natural one."""
    background: float = Field(0.0, ge=0, lt=1)
    """Uniform pedestal under the signal, as a share of the full scale."""
    held_out: bool = False
    """Draw from the specimens that the environments keep for their tests, instead of those for training."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Decides which specimens; two sets with different seeds share none."""


class ImageSet(_Frozen):
    """Images, and where there are any the images that they should become; or simulated ones."""

    images: Paths | None = None
    """Folders, files or glob patterns; relative to the experiment file."""
    targets: Paths | None = None
    """Clean images (or second noisy ones, for Noise2Noise), paired with `images` by file name."""
    simulate: SimulateConfig | None = None
    """Simulated specimens instead of files; see below."""

    @model_validator(mode="after")
    def _check_together(self) -> ImageSet:
        if (self.images is None) == (self.simulate is None):
            raise ValueError("must have either images, which are paths, or simulate, and not both")
        if self.simulate is not None and self.targets is not None:
            raise ValueError("simulated images are clean and need no targets; remove targets")
        return self


def _as_image_set(value: Any) -> Any:
    if isinstance(value, (str, Path, list, tuple)):
        return {"images": value}
    if isinstance(value, (dict, ImageSet)):
        return value
    raise ValueError(
        "must be images: a path, a list of paths, or a mapping with images and targets, or with simulate"
    )


def _as_share(value: Any) -> Any:
    if isinstance(value, (int, float)) and 0 < value < 1:
        return value
    raise ValueError("must be images or a share between 0 and 1")


def _as_value(value: Any) -> Any:
    if isinstance(value, (bool, int, float, str)):
        return value
    raise ValueError("must be one value: a number, a text, true or false")


def _branch(value: Any) -> str:
    return "[images]" if isinstance(value, (str, Path, list, tuple, dict, ImageSet)) else "[share]"


Images = Annotated[ImageSet, BeforeValidator(_as_image_set)]
Share = Annotated[float, Field(gt=0, lt=1), BeforeValidator(_as_share)]
ImagesOrShare = Annotated[
    Annotated[Images, Tag("[images]")] | Annotated[Share, Tag("[share]")], Discriminator(_branch)
]
Value = Annotated[bool | int | float | str, BeforeValidator(_as_value)]


class NoiseConfig(_Frozen):
    """The noise that the regime ``synthetic`` puts on clean images."""

    dose: float = Field(10.0, gt=0)
    """Mean number of electrons per pixel [e-]."""
    readout: float = Field(0.0, ge=0)
    """Standard deviation of the readout noise [e-]."""
    scan: float = Field(0.0, ge=0)
    """Standard deviation of the scan noise, correlated along the fast axis [e-]."""
    scan_length: float = Field(2.0, gt=0)
    """Correlation length of the scan noise along the fast axis [px]."""


def _as_pair(value: Any) -> Any:
    return (value, value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value


LowHigh = Annotated[tuple[float, float], BeforeValidator(_as_pair)]


class PatternConfig(_Frozen):
    """Where and with how many electrons the task ``inpaint`` measures; each patch has its own pattern."""

    kinds: tuple[Pattern, ...] = Field(get_args(Pattern), min_length=1)
    """Kinds of patterns, each as often as the others."""
    coverage: LowHigh = (0.01, 0.25)
    """Least and largest share of the pixels that a pattern measures, or one share; even in the logarithm."""
    dose: LowHigh = (5.0, 2000.0)
    """Least and largest number of electrons at a measured pixel [e-], or one number; likewise."""
    truncated: float = Field(0.5, ge=0, le=1)
    """Share of the patterns of which only the beginning was measured, as an agent sees them on its way."""
    full_scale: float | None = Field(None, gt=0)
    """Value of a pixel where every electron is counted; by default 1 for simulated images, for files the 99.9
    percentile of the training images. Only the regime ``synthetic`` uses it."""

    @model_validator(mode="after")
    def _check(self) -> PatternConfig:
        for name, (low, high) in {"coverage": self.coverage, "dose": self.dose}.items():
            if not 0 < low <= high:
                raise ValueError(f"{name} = [{low:g}, {high:g}] must be above zero, the least first")
        if self.coverage[1] > 1:
            raise ValueError(f"coverage = {self.coverage[1]:g} is a share of pixels and must not exceed 1")
        return self


class DataConfig(_Frozen):
    """Which images, in which role."""

    train: Images
    """Images to learn from. A path, a list of paths, or a mapping with ``images`` and ``targets``, or with
    ``simulate``."""
    validation: ImagesOrShare = 0.2
    """Images, or the share of the training files that is set aside."""
    test: ImagesOrShare = 0.2
    """Images, or the share of the training files that is set aside; looked at once, for the winner."""
    regime: Regime = "auto"
    """``auto``: synthetic for simulated images, clean if there are targets, noise2noise if files hold several
    frames, else blind_spot."""
    stack: Literal["auto", "images", "movie"] = "auto"
    """What a file of several frames is: unrelated images, or a movie of one field."""
    pairs: Literal["frames", "even_odd"] = "frames"
    """Noise2Noise from a movie: pairs of single frames, or sums of even and of odd frames."""
    noise: NoiseConfig = NoiseConfig()
    """The noise of the regime ``synthetic``; see below."""
    patterns: PatternConfig = PatternConfig()
    """Where the task ``inpaint`` measures; see below."""
    pixel_size: float | None = Field(None, gt=0)
    """Pixel size [nm], where the headers have none; a header that says otherwise is an error."""
    memory_limit: float = Field(2.0, gt=0)
    """Data larger than this [GiB] stay on disk, memory-mapped, instead of in the object store."""


class SpaceConfig(_Frozen):
    """Which candidates may be suggested."""

    name: str | None = None
    """A registered space; by default that of the task."""
    networks: tuple[str, ...] | None = None
    """Named networks that are tried first; by default the portfolio of the task. ``[]`` for none."""
    fix: dict[str, Value] = Field(default_factory=dict)
    """Parameters of the space that are held at one value, e.g. ``{width: 16}``."""
    max_parameters: int | None = Field(None, gt=0)
    """Largest number of weights."""
    max_macs: float | None = Field(None, gt=0)
    """Largest number of multiply-adds per input pixel."""
    max_memory: float | None = Field(None, gt=0)
    """Largest memory of a training step [GiB]; by default what the device has."""
    max_latency: float | None = Field(None, gt=0)
    """Longest time of the exported model [ms per megapixel]."""


class SearchConfig(_Frozen):
    """How to search, and when to stop."""

    sampler: str = "tpe"
    """Who suggests candidates: ``beamwright list samplers``."""
    scheduler: str = "asha"
    """Who stops weak trials: ``beamwright list schedulers``."""
    objectives: tuple[str, ...] = ("quality",)
    """``quality`` (the task's metric) and any of ``parameters``, ``macs``, ``latency``."""
    trials: int = Field(20, ge=1)
    """Number of trials that are trained, the enqueued networks among them."""
    hours: float | None = Field(None, gt=0)
    """No new trial starts, and running ones end, after this time [h]."""
    target: float | None = None
    """Stop as soon as the task's metric reaches this value."""
    population: int = Field(8, ge=2)
    """Size of a generation of the sampler ``nsga2``; the population of the scheduler ``pbt`` is `trials`."""
    grace_epochs: int = Field(1, ge=1)
    """Epochs that every trial gets before ``asha``, ``median`` or ``pbt`` may end or change it."""
    reduction_factor: int = Field(3, ge=2)
    """Of this many trials a scheduler lets one go on (``asha``, ``hyperband``)."""


class TrainingConfig(_Frozen):
    """The budget of one trial."""

    epochs: int = Field(20, ge=1)
    """Epochs of a trial that nobody stops."""
    steps_per_epoch: int = Field(50, ge=1)
    """Steps of the optimiser, each on one batch, between two validations."""
    patience: int | None = Field(None, ge=1)
    """End a trial after this many epochs without a better validation metric."""
    validation_pixels: float = Field(1.0, gt=0)
    """Pixels of validation images that are looked at after each epoch [megapixel]."""
    checkpoint_every: int = Field(1, ge=1)
    """Epochs between checkpoints."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """``auto``: mixed precision on a GPU that has it, float32 on a CPU."""


class ResourcesConfig(_Frozen):
    """What one trial may use."""

    cpus: float = Field(1, gt=0)
    """Cores per trial, and threads of its training."""
    gpus: float | None = Field(None, ge=0)
    """Cards per trial, fractions share one; by default one where there are any. 0 means the CPU."""
    concurrent: int | None = Field(None, ge=1)
    """Trials at the same time; by default as many as fit."""
    device: Device = "auto"
    """What trials compute on; ``auto`` prefers a CUDA card, then Apple's, then the CPU."""
    retries: int = Field(1, ge=0)
    """How often a trial whose worker died is started again from its checkpoint."""


class Experiment(_Frozen):
    """A whole experiment."""

    task: str
    """A registered task: ``beamwright list tasks``."""
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    """Name of the run folder's stem; by default the task's."""
    data: DataConfig
    """Which images, in which role; see below."""
    space: SpaceConfig = SpaceConfig()
    search: SearchConfig = SearchConfig()
    training: TrainingConfig = TrainingConfig()
    resources: ResourcesConfig = ResourcesConfig()
    seed: int = Field(0, ge=0, lt=2**31)
    """Of everything random: split by shares, suggestions, weights, batches, synthetic noise, masks."""
    storage: str = "runs"
    """Folder in which runs are kept, relative to the working directory."""

    @model_validator(mode="after")
    def _check_together(self) -> Experiment:
        search, training, resources = self.search, self.training, self.resources
        if search.grace_epochs > training.epochs:
            raise ValueError(
                f"search.grace_epochs = {search.grace_epochs} must not exceed training.epochs = "
                f"{training.epochs}; lower the first or raise the second."
            )
        if resources.device == "cpu" and resources.gpus:
            raise ValueError(
                f'resources.device = "cpu" contradicts resources.gpus = {resources.gpus:g}; set gpus: 0.'
            )
        if resources.device == "cuda" and resources.gpus == 0:
            raise ValueError('resources.device = "cuda" contradicts resources.gpus = 0; set gpus: 1.')
        if len(set(search.objectives)) != len(search.objectives):
            raise ValueError(
                f"search.objectives = {list(search.objectives)} names one twice; name each objective once."
            )
        if "quality" not in search.objectives:
            raise ValueError(
                f"search.objectives = {list(search.objectives)} must contain quality: the fastest network is "
                "an empty one."
            )
        if search.scheduler == "pbt" and search.trials < 4:
            raise ValueError(
                f"search.trials = {search.trials} is too small a population for pbt; give it at least 4."
            )
        return self

    def to_yaml(self) -> str:
        """Return the resolved file: every field, defaults included."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_experiment(source: str | Path | dict[str, Any], overrides: Sequence[str] = ()) -> Experiment:
    """Read, override and check an experiment.

    Parameters
    ----------
    source
        A YAML file, or what one holds. Paths of data in a file are relative to that file and come out
        absolute.
    overrides
        ``"a.b=value"`` as on the command line; the value is YAML.

    Raises
    ------
    ExperimentError
        If the file cannot be read, has unknown keys, or values that break a rule; all faults at once.
    """
    base = Path.cwd()
    if isinstance(source, dict):
        content, origin = source, "The experiment"
    else:
        path = Path(source)
        content, origin = _read(path), str(path)
        base = path.resolve().parent
    content = _anchor_paths(copied(content), base)
    changes = read_overrides(overrides, example="search.trials=10")
    content = merged(content, _anchor_paths(changes, Path.cwd()))
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        raise ExperimentError(explain_faults(error, Experiment, origin)) from None


def _read(path: Path) -> dict[str, Any]:
    if path.is_dir():
        cure = f'"beamwright init {path}" writes one for it.'
    else:
        cure = '"beamwright init" writes one to start from.'
    return read_yaml(path, needs='"task" and "data"', cure=cure)


def _anchor_paths(content: dict[str, Any], base: Path) -> dict[str, Any]:
    """Make the paths of `data` absolute, so that the resolved file runs from anywhere."""
    data = content.get("data")
    if not isinstance(data, dict):
        return content
    for role in ("train", "validation", "test"):
        value = data.get(role)
        if isinstance(value, dict):
            data[role] = {key: _anchor(item, base) for key, item in value.items()}
        elif isinstance(value, (str, list)):
            data[role] = _anchor(value, base)
    return content


def _anchor(value: Any, base: Path) -> Any:
    if isinstance(value, list):
        return [_anchor(item, base) for item in value]
    if not isinstance(value, str):
        return value
    path = Path(value).expanduser()
    return str(path if path.is_absolute() else base / path)

"""Everything that a bundle tells about a model."""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, cast

import yaml
from torch import nn

from beamwright.plain import plain
from beamwright.search_spaces import NETWORKS, Architecture, Candidate, estimate_cost

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from beamwright.tasks import Channel

__all__ = ["BundleSpec", "least_size"]

_PACKAGES = ("beamwright", "torch", "onnx", "onnxruntime", "numpy", "bioimageio.spec", "bioimageio.core")


@dataclass(frozen=True)
class BundleSpec:
    """What `write_bundle` turns into a bundle.

    Parameters
    ----------
    name
        Name of the model, as users will see it.
    deployable
        Raw counts (B, C, *spatial) to (B, K, *spatial). Its ``halo`` [px] (None: it must see the whole
        image), ``divisor`` [px], ``mean`` and ``std`` [counts] are written down.
    candidate
        Architecture and recipe.
    example
        An image of raw counts (*spatial), or (C, *spatial) for several channels; the test tensors are cut
        from it.
    task
        Name of the task.
    inputs, outputs
        What the channels hold; by default raw counts without names.
    quality, unit
        The primary metric.
    metrics
        ``{"validation": {metric: value}, "test": {metric: value}}``.
    deployed
        Whether the metrics are those of the exported model, and not those of the training loop.
    interval
        95 % interval of the quality on the test split.
    baselines
        The classical rows: ``name``, ``parameters``, ``metrics`` (validation) and, where it was measured,
        ``test`` with ``metrics`` and ``interval``.
    pixel_size_range
        Least and largest pixel size of the training images [nm].
    intensity_range
        Least and largest value of the training images [counts].
    noise
        The noise of the training images, in words.
    trained_on
        The training data, in words.
    provenance
        SHA-256 of every file that was read, by path.
    experiment
        The resolved experiment file.
    command
        The command line that reproduces the run.
    seed
        Of the run.
    authors, licence, citations
        Names; an SPDX identifier; publications as (text, DOI), besides that of a named network.
    """

    name: str
    deployable: nn.Module
    candidate: Candidate
    example: npt.NDArray[np.generic]
    task: str = "denoise"
    inputs: Sequence[Channel] = ()
    outputs: Sequence[Channel] = ()
    quality: str = "psnr"
    unit: str = "dB"
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    deployed: bool = True
    interval: tuple[float, float] | None = None
    baselines: Sequence[Mapping[str, Any]] = ()
    pixel_size_range: tuple[float, float] | None = None
    intensity_range: tuple[float, float] | None = None
    noise: str = ""
    trained_on: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)
    experiment: str = ""
    command: str = ""
    seed: int = 0
    authors: Sequence[str] = ("unnamed",)
    licence: str = "CC-BY-4.0"
    citations: Sequence[tuple[str, str]] = ()

    @property
    def architecture(self) -> Architecture:
        """The architecture of the candidate."""
        return self.candidate.architecture

    @property
    def halo(self) -> int | None:
        """Receptive radius [px]; None for a network that must see the whole image."""
        halo = getattr(self.deployable, "halo", None)
        return halo if halo is None else int(halo)

    @property
    def divisor(self) -> int:
        """Downsampling of the network [px]."""
        return int(getattr(self.deployable, "divisor", self.architecture.divisor))

    @property
    def axes(self) -> list[str]:
        """Names of the spatial axes."""
        return list("zyx"[-self.architecture.ndim :])

    def describe(self) -> dict[str, Any]:
        """Return the part of ``beamwright.json`` that is known before the export, as JSON can hold it."""
        description = {
            "name": self.name,
            "task": self.task,
            "inputs": [self._tensor("input", self.architecture.in_channels, self.inputs)],
            "outputs": [self._tensor("output", self.architecture.out_channels, self.outputs)],
            "halo": self.halo,
            "divisor": self.divisor,
            "inference_bytes_per_pixel": estimate_cost(self.candidate).inference_bytes_per_pixel,
            "parameters": estimate_cost(self.candidate).parameters,
            "normalisation": self._normalisation(),
            "pixel_size_range": self.pixel_size_range,
            "intensity_range": self.intensity_range,
            "noise": self.noise,
            "trained_on": self.trained_on,
            "quality": {"name": self.quality, "unit": self.unit},
            "deployed": self.deployed,
            "metrics": {role: dict(values) for role, values in self.metrics.items()},
            "interval": self.interval,
            "baselines": [dict(row) for row in self.baselines],
            "candidate": self.candidate.to_dict(),
            "provenance": dict(self.provenance),
            "experiment": _portable_experiment(self.experiment) if self.experiment else "",
            "command": _portable_command(self.command),
            "seed": self.seed,
            "authors": list(self.authors),
            "licence": self.licence,
            "citations": [list(citation) for citation in self.citations] + _sources(self.candidate),
            "versions": {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
        }
        return cast("dict[str, Any]", portable(plain(description)))

    def _tensor(self, name: str, count: int, channels: Sequence[Channel]) -> dict[str, Any]:
        unnamed = [f"channel{index}" for index in range(count)]
        return {
            "name": name,
            "axes": ["batch", "channel", *self.axes],
            "channels": count,
            "dtype": "float32",
            "channel_names": [item.name for item in channels] or unnamed,
            "units": [item.unit for item in channels] or ["counts"] * count,
            "meanings": [item.summary for item in channels] or ["raw counts"] * count,
        }

    def _normalisation(self) -> dict[str, float] | None:
        mean, std = (getattr(self.deployable, key, None) for key in ("mean", "std"))
        return None if mean is None or std is None else {"mean": float(mean), "std": float(std)}


def least_size(halo: int | None, divisor: int, *, edge: int = 1) -> int:
    """Return the least multiple of the divisor that holds `edge` pixels and more than two halos."""
    return -(-max(edge, 2 * (halo or 0) + 1) // divisor) * divisor


_PATH = re.compile(r"(?<![\w.~:/])/(?:[^\s/,;:'\"()\[\]{}]+/)+[^\s/,;:'\"()\[\]{}]*")


def portable(value: Any) -> Any:
    """Return metadata whose absolute paths have their last two parts only: a bundle is shared, a disk is not.

    A text that begins as a path does is one, spaces and all; in other texts paths end at a space.
    """
    if isinstance(value, dict):
        return {portable(key): portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [portable(item) for item in value]
    if not isinstance(value, str):
        return value
    if value.startswith("/") and "\n" not in value:
        return _shorten(value)
    return _PATH.sub(lambda match: _shorten(match[0]), value)


def _shorten(path: str) -> str:
    return "/".join([part for part in path.split("/") if part][-2:])


def _portable_command(command: str) -> str:
    """Shorten word by word: quoted paths may have spaces."""
    return shlex.join(map(portable, shlex.split(command)))


def _portable_experiment(experiment: str) -> str:
    return yaml.safe_dump(portable(yaml.safe_load(experiment)), sort_keys=False, allow_unicode=True)


def _sources(candidate: Candidate) -> list[list[str]]:
    """Return the publication of a named network as [[text, DOI]]."""
    if candidate.name is None or candidate.name not in NETWORKS:
        return []
    source = NETWORKS[candidate.name].source
    number = re.search(r"arXiv:(\d+\.\d+)", source)
    return [[source, f"10.48550/arXiv.{number[1]}"]] if number else []

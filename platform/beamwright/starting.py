"""An experiment file to start from."""

from __future__ import annotations

import os
import re
from pathlib import Path

from beamwright.errors import DataError, ExperimentError

__all__ = ["write_experiment"]

_TEMPLATE = """\
# An experiment of beamwright. Every key but task and data may be left out.
task: {task}
name: {name}
data:
  train: {data}
  # Files that are set aside: a share, or a path of their own.
  validation: 0.2
  test: 0.2            # looked at once, for the winner
{regime}search:
  sampler: tpe         # beamwright list samplers
  scheduler: asha      # beamwright list schedulers
  objectives: [quality]   # and any of parameters, macs, latency
  trials: 20
  # hours: 2
training:
  epochs: 20
  steps_per_epoch: 50
resources:
  cpus: 1              # per trial; trials run side by side
  # gpus: 0.5          # per trial, fractions share a card; by default one where there is any
seed: 0
storage: runs
"""


_REGIMES = {
    "denoise": """\
  # auto: noise2noise where files hold several frames, else blind_spot. For clean images that you want to
  # put noise on: regime: synthetic, with noise: {dose: 10} in electrons per pixel. For pairs of noisy and
  # clean images: train: {images: noisy/, targets: clean/} and regime: clean.
  regime: auto
""",
    "inpaint": """\
  # Full scans, which are measured along random patterns. Noisy ones (auto: blind_spot, or noise2noise where
  # files hold several frames) keep their noise; say with how many electrons per pixel they were recorded.
  # Clean ones, above zero: regime: synthetic; they get the noise of the doses below. Without any images:
  # train: {simulate: {specimens: [particle_cluster, membrane_texture], count: 256, size: 96}}
  regime: auto
  noise: {dose: 100}
  patterns:
    kinds: [segments, spiral, lissajous, raster, grid, jittered, random]
    coverage: [0.01, 0.25]   # least and largest share of the pixels that is measured
    dose: [5, 2000]          # electrons at a measured pixel, for regime: synthetic
""",
}
_ANY_REGIME = "  regime: auto\n"


def write_experiment(path: Path, *, task: str, data: Path) -> Path:
    """Write a commented experiment file.

    Parameters
    ----------
    path
        Where to; never overwritten.
    task
        Name of the task.
    data
        Folder or file of images; written relative to the file.

    Raises
    ------
    UnknownNameError, DataError, ExperimentError
        If there is no such task, no such data or no image in them, or the file exists.
    """
    from beamwright.data import expand_paths
    from beamwright.tasks import TASKS

    TASKS[task]
    if not data.exists():
        raise DataError(f'There is no "{data}"; give the folder or the file of your images.')
    expand_paths(data)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", data.resolve().stem).strip("-.") or task
    relative = os.path.relpath(data.resolve(), path.resolve().parent)
    try:
        with path.open("x", encoding="utf-8") as file:
            regime = _REGIMES.get(task, _ANY_REGIME)
            file.write(_TEMPLATE.format(task=task, name=name, data=_quote(relative), regime=regime))
    except FileExistsError:
        raise ExperimentError(
            f'"{path}" exists and is not overwritten; choose another name with --output.'
        ) from None
    except OSError as error:
        raise ExperimentError(
            f'"{path}" cannot be written: {error.strerror}. Choose another --output.'
        ) from None
    return path


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

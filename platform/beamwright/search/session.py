"""A Ray session of our own, and what it has to offer."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import ray

from beamwright.cores import usable_cores
from beamwright.errors import ExperimentError

if TYPE_CHECKING:
    from beamwright.experiment import ResourcesConfig

__all__ = ["Slots", "check_resources", "open_session", "plan_slots", "resolve_gpus"]

_QUIET = {
    "RAY_DEDUP_LOGS": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}


@dataclass(frozen=True, slots=True)
class Slots:
    """How many trials run at once, and what each may use.

    Parameters
    ----------
    count
        Trials at the same time.
    memory
        Memory of the host for one trial [GiB].
    """

    count: int
    memory: float


@contextmanager
def open_session(*, gpus: int | None = None) -> Iterator[None]:
    """Start Ray on this machine for the time of the block, or use the session that is there.

    Parameters
    ----------
    gpus
        Number of cards to tell Ray of; by default those it finds.
    """
    if ray.is_initialized():
        yield
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    # Sockets live in it: a path of more than about 100 characters fails.
    folder = tempfile.mkdtemp(prefix="bw-", dir="/tmp" if os.path.isdir("/tmp") else None)
    try:
        ray.init(
            address="local",  # a plain init attaches to whatever cluster it finds
            num_cpus=usable_cores(),
            num_gpus=gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=folder,
        )
        yield
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


def check_resources(resources: ResourcesConfig) -> None:
    """Check before anything starts that at least one trial fits.

    Raises
    ------
    ExperimentError
        If not: Ray would wait for ever.
    """
    there = _available()
    for name, key, wanted in (("cpus", "CPU", resources.cpus), ("gpus", "GPU", resources.gpus or 0.0)):
        has = there.get(key, 0.0)
        if wanted > has:
            raise ExperimentError(
                f"resources.{name} = {wanted:g} is more than there is: {has:g}. "
                f"Set resources.{name} to {has:g} or less."
            )


def resolve_gpus(resources: ResourcesConfig) -> ResourcesConfig:
    """Return the resources with the number of cards that the default stands for."""
    if resources.gpus is not None:
        return resources
    wanted = resources.device in ("auto", "cuda") and _available().get("GPU", 0) >= 1
    return resources.model_copy(update={"gpus": 1.0 if wanted or resources.device == "cuda" else 0.0})


def plan_slots(resources: ResourcesConfig) -> Slots:
    """Return how many trials fit into the session.

    Raises
    ------
    ExperimentError
        If not even one does.
    """
    check_resources(resources)
    there = _available()
    shares = [
        there[key] / wanted for key, wanted in (("CPU", resources.cpus), ("GPU", resources.gpus)) if wanted
    ]
    count = int(min(shares) + 1e-9)
    if resources.concurrent is not None:
        count = min(count, resources.concurrent)
    return Slots(count=count, memory=there.get("memory", 0.0) / 2**30 / count)


def _available() -> dict[str, float]:
    """Return what the session has, or what a session on this machine would have."""
    if ray.is_initialized():
        return dict(ray.cluster_resources())
    import torch

    return {"CPU": float(usable_cores()), "GPU": float(torch.cuda.device_count())}

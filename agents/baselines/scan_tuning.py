"""Baselines tune themselves: what is best on training specimens of the environment that they are to play."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch

from beamwright.agents.baselines.scan_base import WholeScan, training_simulation, training_streams
from beamwright.envs.sparse_scan import ScanSimulation

__all__ = ["EPISODES", "remembered", "training_error"]

EPISODES = 96
"""Training episodes by which choices are made."""
_KEPT = 32
_memory: dict[Hashable, Any] = {}
Made = TypeVar("Made")


def remembered(simulation: ScanSimulation, key: Hashable, make: Callable[[ScanSimulation], Made]) -> Made:
    """Return what was made for an environment, making it when it is first asked for.

    Parameters
    ----------
    simulation
        Of the environment; those that differ in the split alone share what is made of their training
        specimens.
    key
        What is made, with its options.
    make
        Makes it from the simulation with training specimens.
    """
    config = simulation.scan_config.model_copy(update={"split": "train"})
    whole = (type(simulation), config.model_dump_json(), key)
    if whole not in _memory:
        while len(_memory) >= _KEPT:
            _memory.pop(next(iter(_memory)))
        with torch.no_grad():
            _memory[whole] = make(training_simulation(simulation))
    made: Made = _memory[whole]
    return made


def training_error(simulation: ScanSimulation, scan: WholeScan) -> float:
    """Return the mean logarithm of the squared error of a scan on training specimens.

    Parameters
    ----------
    simulation
        With training specimens.
    scan
        What is flown.
    """
    streams = training_streams(simulation, EPISODES)
    scan.prepare(simulation)
    after = scan.scan(simulation, simulation.initial(streams), streams)
    return float(after.error.clamp_min(1e-12).log().mean())

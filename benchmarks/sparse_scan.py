"""How fast the scanning environments step, and the built-in reconstruction, on one thread."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from results import Section, table

from beamwright.envs.microscope.paths import spiral
from beamwright.envs.microscope.points import sample, splat
from beamwright.envs.microscope.specimens import SpecimenConfig, specimen_pool
from beamwright.envs.sparse_scan import (
    Interpolation,
    SparseScanEnv,
    SparseScanTilesEnv,
    SparseScanTilesVectorEnv,
    SparseScanVectorEnv,
)

__all__ = ["measure"]

BATCH, STEPS, REPEATS = 64, 45, 3
CASES: tuple[tuple[Any, Any, str | None, str], ...] = (
    (SparseScanEnv, SparseScanVectorEnv, "fast-vector", "64 x 64, vectors, no noise (aim: 5,000)"),
    (SparseScanEnv, SparseScanVectorEnv, "images", "64 x 64, maps, Poisson noise (aim: 1,500)"),
    (SparseScanEnv, SparseScanVectorEnv, "noisy", "64 x 64, maps, all faults, choice of dwell"),
    (SparseScanEnv, SparseScanVectorEnv, "localised", "96 x 96, maps"),
    (SparseScanTilesEnv, SparseScanTilesVectorEnv, "fast-vector", "tiles, 64 x 64, vectors, no noise"),
)


def measure() -> Section:
    """Return steps per second of processor time, batched and single."""
    torch.set_num_threads(1)
    rows = []
    for single, vector, preset, what in CASES:
        batched = _median(partial(_play, vector(BATCH, preset=preset), BATCH))
        alone = _median(partial(_play, single(preset=preset), 1))
        rows.append([f"`{preset}`", what, f"{batched:,.0f}", f"{alone:,.0f}", f"{batched / alone:.1f}"])
    found = table(["preset", "", f"batch of {BATCH} [steps/s]", "single [steps/s]", "ratio"], rows)
    times = table(
        ["field", "per image [us]"],
        [[f"{edge} x {edge}", f"{_interpolation(edge):.0f}"] for edge in (64, 96, 128)],
    )
    text = (
        "Steps per second of processor time on one thread, random allowed actions, resets included; median "
        f"of {REPEATS} runs of {STEPS} steps.\n\n{found}\n\nThe built-in reconstruction with its predicted "
        f"error, batch of {BATCH}:\n\n{times}\n"
    )
    return Section("sparse_scan", "Sparse scanning environments", text)


def _median(run: Callable[[], float]) -> float:
    return statistics.median(run() for _ in range(REPEATS))


def _play(env: Any, count: int) -> float:
    """Return the steps per second of processor time, after a few to warm up."""
    rng = np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    spent = 0.0
    for step in range(STEPS + 5):
        allowed = _mask(env, observation)
        action = (rng.random(allowed.shape) * allowed).argmax(-1)
        start = time.process_time()
        observation, _, terminated, truncated, _ = env.step(action)
        if count == 1 and (terminated or truncated):
            observation, _ = env.reset()
        spent += (time.process_time() - start) * (step >= 5)
    return count * STEPS / spent


def _mask(env: Any, observation: Any) -> np.ndarray:
    if isinstance(observation, dict):
        return observation["action_mask"]
    return observation[..., env.unwrapped.simulation.observer.layout["action_mask"]]


def _interpolation(edge: int) -> float:
    """Return the processor time of one image [us]."""
    pool = specimen_pool(SpecimenConfig(pool=BATCH), shape=(edge, edge))
    points = spiral(edge * edge // 20, (edge, edge)).expand(BATCH, -1, -1).round()
    total, dose = splat(sample(pool.specimens.signal, points), points, (edge, edge))
    values, interpolate, times = total / dose.clamp_min(1), Interpolation((edge, edge)), []
    for _ in range(25):
        start = time.process_time()
        interpolate(values, dose)
        times.append(time.process_time() - start)
    return 1e6 * statistics.median(times[5:]) / BATCH

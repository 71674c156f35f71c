"""How many steps of every environment a core does in a second, alone and in a batch."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import numpy as np
import torch
from results import Section, table

from beamwright.envs import ENVIRONMENTS
from beamwright.testing.playing import sample

__all__ = ["measure"]

BATCH = 64
SECONDS = 3.0  # of processor time, for each figure
CASES = (
    ("beamwright/SparseScan-v0", "vector", "fast-vector"),
    ("beamwright/SparseScan-v0", "images", "images"),
    ("beamwright/SparseScan-v0", "images, all effects", "noisy"),
    ("beamwright/SparseScanTiles-v0", "vector", "fast-vector"),
    ("beamwright/SparseScanTiles-v0", "images", None),
    ("beamwright/AlignSTEM-v0", "vector", "vector"),
    ("beamwright/AlignSTEM-v0", "cross-spectrum of a pair", "lattice"),
    ("beamwright/AlignSTEM-v0", "images of a pair", "images"),
    ("beamwright/AlignTEM-v0", "vector", "vector"),
    ("beamwright/AlignTEM-v0", "images of a tableau", "images"),
    ("beamwright/TrackDrift-v0", "vector", None),
    ("beamwright/TrackDrift-v0", "images", "images"),
)
"""Environment, what it shows, preset."""


def measure() -> Section:
    """Return steps per second of processor time, episodes' beginnings included."""
    torch.set_num_threads(1)
    forgotten = set(ENVIRONMENTS.names()) - {name for name, *_ in CASES}
    if forgotten:
        raise ValueError(f"CASES needs rows for {', '.join(sorted(forgotten))}.")
    rows = []
    for name, shown, preset in CASES:
        alone, together = (_steps_per_second(name, preset, count) for count in (1, BATCH))
        figures = [
            f"{alone:,.0f}",
            f"{together:,.0f}",
            f"{together / alone:.1f}",
            f"{_picture(name, preset):.0f}",
        ]
        rows.append([f"`{name}`", shown, f"`{preset}`" if preset else "", *figures])
    head = ["environment", "observation", "preset", "alone", f"batch of {BATCH}", "ratio", "a picture [ms]"]
    text = (
        f"Steps in a second of processor time on one thread, with random actions; an episode that ends is "
        f'followed by the next. "Alone" is a batch of one through the same vector environment.\n\n'
        f"{table(head, rows)}\n"
    )
    return Section("environments", "Speed of the environments", text)


def _steps_per_second(name: str, preset: str | None, count: int) -> float:
    env, rng = gymnasium.make_vec(name, count, preset=preset), np.random.default_rng(0)
    observation, _ = env.reset(seed=0)
    spent, steps = 0.0, 0
    for step in range(1_000_000):
        actions = sample(env.single_action_space, observation, count, rng)
        start = time.process_time()
        observation, *_ = env.step(actions)
        if step >= 3:  # the first ones fill caches
            spent += time.process_time() - start
            steps += count
        if spent > SECONDS:
            break
    return steps / spent


def _picture(name: str, preset: str | None) -> float:
    """Return the processor time of a picture [ms]."""
    env: Any = gymnasium.make(name, preset=preset, render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    env.render()
    start = time.process_time()
    for _ in range(5):
        env.render()
    return (time.process_time() - start) / 5 * 1e3

"""How fast the alignment and tracking environments step, on one thread."""

from __future__ import annotations

import time
from typing import Any

import gymnasium
import torch
from results import Section, table

import beamwright.envs  # noqa: F401  (makes the ids known)

__all__ = ["measure"]

BATCH, STEPS, REPEATS = 64, 12, 5
CASES: tuple[tuple[str, str | None, str], ...] = (
    ("AlignSTEM", "vector", "sharpness in Fourier space (aim: 5,000)"),
    ("AlignTEM", "vector", "sharpness in Fourier space (aim: 5,000)"),
    ("TrackDrift", None, "offsets (aim: 5,000)"),
    ("AlignSTEM", "single", "one image with Poisson noise (aim: 1,500)"),
    ("AlignSTEM", "lattice", "cross-spectrum of a pair of images (aim: 1,500)"),
    ("AlignSTEM", "ronchigram", "one Ronchigram (aim: 1,500)"),
    ("TrackDrift", "images", "two images of 96 x 96 px"),
    ("AlignTEM", None, "tableau of five images a step"),
)


def measure() -> Section:
    """Return steps per second of processor time, batched and single."""
    torch.set_num_threads(1)
    rows = []
    for name, preset, what in CASES:
        batched, alone = (_steps(name, preset, count) for count in (BATCH, 1))
        label = f"`{name}`, `{preset}`" if preset else f"`{name}`"
        rows.append([label, what, f"{batched:,.0f}", f"{alone:,.0f}", f"{batched / alone:.1f}"])
    found = table(
        ["environment, preset", "", f"batch of {BATCH} [steps/s]", "single [steps/s]", "ratio"], rows
    )
    text = (
        "64 x 64 px unless said otherwise; steps per second of processor time on one thread, small actions; "
        f"the best of {REPEATS} runs of {STEPS} steps.\n\n{found}\n"
    )
    return Section("alignment", "Alignment and tracking environments", text)


def _steps(name: str, preset: str | None, count: int) -> float:
    """Return environment steps per second."""
    options: dict[str, Any] = {"preset": preset, "vectorization_mode": "vector_entry_point"}
    env = gymnasium.make_vec(f"beamwright/{name}-v0", num_envs=count, **options)
    env.reset(seed=0)
    env.action_space.seed(0)
    action = 0.1 * env.action_space.sample()
    times = []
    for _ in range(REPEATS + 1):
        start = time.process_time()
        for _ in range(STEPS):
            env.step(action)
        times.append(time.process_time() - start)
    env.close()
    return count * STEPS / min(times[1:])


if __name__ == "__main__":
    print(measure().text)

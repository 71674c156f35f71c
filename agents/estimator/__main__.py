"""Train an estimator and write its bundle: ``python -m beamwright.agents.estimator -o align-lattice.zip``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from beamwright.agents.estimator.bundle import write_estimator
from beamwright.agents.estimator.training import TrainingPlan, examine, train_estimator
from beamwright.errors import BeamwrightError

_EPISODES = 256


def main(arguments: list[str] | None = None) -> None:
    """Train and write, as the command line says."""
    defaults = TrainingPlan()
    parser = argparse.ArgumentParser(prog="python -m beamwright.agents.estimator", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="where the bundle goes, a .zip")
    parser.add_argument("--preset", default=defaults.preset, help="of AlignSTEM-v0 (%(default)s)")
    parser.add_argument("--rounds", type=int, default=defaults.rounds, help="length of the training (%(default)s)")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="of weights and episodes (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of the training (%(default)s)")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    plan = TrainingPlan(preset=chosen.preset, rounds=chosen.rounds, seed=chosen.seed)
    try:
        _run(plan, chosen.out)
    except BeamwrightError as error:
        parser.exit(1, f"{error}\n")


def _run(plan: TrainingPlan, path: Path) -> None:
    begun = time.monotonic()

    def report(rounds: int, left: float) -> None:
        print(f"{rounds:6d} rounds  {left:6.3f} rad left  {time.monotonic() - begun:6.0f} s", flush=True)

    network = train_estimator(plan, report=report)
    found = examine(network, plan, episodes=_EPISODES)
    for name, value in found.figures.items():
        print(f"{name}: {value:.3f}")
    write_estimator(network, path, plan=plan, knobs=found.knobs, example=found.pictures, figures=found.figures)
    print(f"{path}, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

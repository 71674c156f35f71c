"""Measure everything that RESULTS.md says: ``python benchmarks/run.py [NAME ...]``."""

from __future__ import annotations

import argparse
import importlib
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from results import update

NAMES = (
    "startup",
    "predict_throughput",
    "search_overhead",
    "quality_replica",
    "quality_lattice",
    "simulator",
    "sparse_scan",
    "environments",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; by default all")
    chosen = parser.parse_args().names or NAMES
    for name in chosen:
        if name not in NAMES:
            parser.error(f'there is no benchmark "{name}"; known: {", ".join(NAMES)}')
    for name in chosen:
        section = importlib.import_module(name).measure()
        print(f"\n{section.title}\n\n{section.text}", flush=True)
        update(section)


if __name__ == "__main__":
    main()

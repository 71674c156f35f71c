"""What this machine has, and what would not work on it."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from beamwright.cores import usable_cores

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["examine"]

_EXTRAS = {
    "base": ("numpy", "onnxruntime", "mrcfile", "tifffile", "zarr", "pydantic"),
    "search": ("torch", "ray", "optuna", "tensorboard", "scikit-image", "plotly", "onnx", "bioimageio.core"),
    "formats": ("rosettasciio",),
    "bm3d": ("bm3d",),
}
_MISSING = {
    "search": "run, resume, export and report will not work",
    "formats": "DM3, DM4, EMD, SER, HSPY and BLO files cannot be read",
    "bm3d": "the leaderboard has no BM3D row (its licence is non-commercial)",
}


def examine(console: Console) -> None:
    """Print cores, memory, cards, versions and faults."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in (*_machine(), *_cards(), *_packages()):
        table.add_row(name, value)
    console.print(table, highlight=False)
    faults = _faults()
    for fault in faults:
        console.print(f"[yellow]![/] {fault}", highlight=False, soft_wrap=True)
    if not faults:
        console.print("everything works here", highlight=False)


def _machine() -> list[tuple[str, str]]:
    free = shutil.disk_usage(".").free / 2**30
    return [
        ("system", f"{platform.system()} {platform.release()} on {platform.machine()}"),
        ("python", f"{platform.python_version()} at {sys.executable}"),
        ("cores", f"{usable_cores()} usable of {os.cpu_count()}"),
        ("memory", f"{_memory():.1f} GiB"),
        ("free disk", f"{free:.1f} GiB here"),
        ("threads", f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')}"),
    ]


def _cards() -> list[tuple[str, str]]:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return []
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
        return [
            (f"gpu {i}", f"{card.name}, {card.total_memory / 2**30:.0f} GiB") for i, card in enumerate(cards)
        ]
    if torch.backends.mps.is_available():
        return [("gpu", "Apple Metal")]
    return [("gpu", "none that torch can use; trials run on the CPU")]


def _packages() -> list[tuple[str, str]]:
    return [
        (
            f"\\[{extra}]" if extra != "base" else "base",
            ", ".join(f"{name} {_version(name) or '-'}" for name in names),
        )
        for extra, names in _EXTRAS.items()
    ]


def _faults() -> list[str]:
    faults = []
    for extra, consequence in _MISSING.items():
        absent = [name for name in _EXTRAS[extra] if _version(name) is None]
        if absent:
            faults.append(
                f'{", ".join(absent)} not installed: {consequence}; pip install "beamwright\\[{extra}]"'
            )
    if _memory() < 4:
        faults.append(f"{_memory():.1f} GiB of memory is little: set resources.concurrent: 1")
    if shutil.disk_usage(".").free < 2 * 2**30:
        faults.append("less than 2 GiB of disk is free here: set storage to a larger disk")
    shared = _shared_memory()
    if shared is not None and shared < 1:
        faults.append(
            f"/dev/shm has {shared:.2f} GiB: Ray keeps data on disk, which is slower; raise --shm-size"
        )
    return faults


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _memory() -> float:
    """Return the memory of the machine [GiB]."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _shared_memory() -> float | None:
    return shutil.disk_usage("/dev/shm").free / 2**30 if os.path.isdir("/dev/shm") else None

"""Simulated specimens as the data of a task: clean images that were never files."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from beamwright.data import MemoryImage

if TYPE_CHECKING:
    from beamwright.envs.microscope.specimens import SpecimenPool
    from beamwright.experiment import SimulateConfig

__all__ = ["simulated_images", "simulated_specimens"]


def simulated_specimens(config: SimulateConfig) -> SpecimenPool:
    """Return the specimens of a set: maps, and where there are atoms their positions and numbers.

    For tasks that need more than images; `simulated_images` has the images of the same specimens, in the
    same order.

    Raises
    ------
    UnknownNameError, MicroscopeError
        If there is no such class, or there are more classes than specimens.
    """
    from beamwright.envs.microscope.specimens import SpecimenConfig, SpecimenPool

    specimens = SpecimenConfig(
        classes=config.specimens, pool=config.count, seed=config.seed, background=config.background
    )
    return SpecimenPool(
        specimens,
        shape=(config.size, config.size),
        pixel_size=config.pixel_size,
        split="test" if config.held_out else "train",
    )


def simulated_images(config: SimulateConfig) -> list[MemoryImage]:
    """Return the scattering power of the specimens of a set as images, between 0 and 1.

    Their names have the class, so that figures can be told apart by it, and a digest of `config`, so that
    sets never share a name unless they are the same.

    Raises
    ------
    UnknownNameError, MicroscopeError
        If there is no such class, or there are more classes than specimens.
    """
    pool = simulated_specimens(config)
    digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:8]
    specimens = pool.specimens
    return [
        MemoryImage.of(
            signal, f"simulated-{digest}/{pool.kinds[kind]}-{index:04d}", pixel_size=float(f"{size:.6g}")
        )
        for index, (signal, kind, size) in enumerate(
            zip(
                specimens.signal.numpy(),
                specimens.kind.tolist(),
                specimens.pixel_size.tolist(),
                strict=True,
            )
        )
    ]

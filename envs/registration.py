"""The environments that come with beamwright, under their ids.

Only names are registered: torch and the simulator are imported when the first environment is made.
"""

from __future__ import annotations

import importlib.util

from beamwright.registry import Entry, Registry

__all__ = ["ENVIRONMENTS", "register_environments", "vector_target"]

ENVIRONMENTS = Registry(
    "environment",
    Entry(
        name="beamwright/SparseScan-v0",
        summary="where the beam goes next: straight segments on a budget of electrons and time",
        target="beamwright.envs.sparse_scan:SparseScanEnv",
        source="J. M. Ede, arXiv:2004.02786",
    ),
    Entry(
        name="beamwright/SparseScanTiles-v0",
        summary="which tile to scan next after a coarse survey",
        target="beamwright.envs.sparse_scan:SparseScanTilesEnv",
    ),
    Entry(
        name="beamwright/AlignSTEM-v0",
        summary="focus, stigmators and coma of a scanning microscope from few exposures",
        target="beamwright.envs.alignment:AlignSTEMEnv",
    ),
    Entry(
        name="beamwright/AlignTEM-v0",
        summary="focus, astigmatism and beam-tilt coma from Thon rings of amorphous film",
        target="beamwright.envs.alignment:AlignTEMEnv",
    ),
    Entry(
        name="beamwright/TrackDrift-v0",
        summary="hold focus and position while everything drifts",
        target="beamwright.envs.track_drift:TrackDriftEnv",
    ),
)


def register_environments() -> None:
    """Make the environments known to ``gymnasium.make`` and ``gymnasium.make_vec``.

    Importing `beamwright.envs` calls this. Where Gymnasium is not installed (on a microscope's
    computer, which runs policies and trains none) there is nothing to do.
    """
    if importlib.util.find_spec("gymnasium") is None:
        return
    from gymnasium.envs.registration import register, registry

    for entry in ENVIRONMENTS:
        if entry.name not in registry:
            register(entry.name, entry_point=entry.target, vector_entry_point=vector_target(entry.target))


def vector_target(target: str) -> str:
    """Return where the batched sibling of a single environment lives: ``XVectorEnv`` beside ``XEnv``."""
    return f"{target.removesuffix('Env')}VectorEnv"

"""Specimens: generators by name, and pools of them for environments."""

from beamwright.envs.microscope.specimens.config import SpecimenConfig
from beamwright.envs.microscope.specimens.images import crops
from beamwright.envs.microscope.specimens.kinds import SPECIMENS
from beamwright.envs.microscope.specimens.pool import SpecimenPool, specimen_pool
from beamwright.envs.microscope.specimens.rendering import keep_atoms, render_atoms, render_phase
from beamwright.envs.microscope.specimens.specimen import Specimen

__all__ = [
    "SPECIMENS",
    "Specimen",
    "SpecimenConfig",
    "SpecimenPool",
    "crops",
    "keep_atoms",
    "render_atoms",
    "render_phase",
    "specimen_pool",
]

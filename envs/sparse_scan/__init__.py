"""Sparse scanning: where the beam goes next, and which tile deserves the electrons."""

from beamwright.envs.sparse_scan.config import SparseScanConfig, SparseScanTilesConfig
from beamwright.envs.sparse_scan.effects import EffectsConfig
from beamwright.envs.sparse_scan.env import (
    SparseScanEnv,
    SparseScanTilesEnv,
    SparseScanTilesVectorEnv,
    SparseScanVectorEnv,
)
from beamwright.envs.sparse_scan.interpolation import Interpolation
from beamwright.envs.sparse_scan.observation import NUMBERS
from beamwright.envs.sparse_scan.reconstruct import BundleReconstructor, Reconstructor
from beamwright.envs.sparse_scan.simulation import (
    ScanSimulation,
    SparseScanSimulation,
    SparseScanTilesSimulation,
)
from beamwright.envs.sparse_scan.types import Reconstruction, ScanState

__all__ = [
    "NUMBERS",
    "BundleReconstructor",
    "EffectsConfig",
    "Interpolation",
    "Reconstruction",
    "Reconstructor",
    "ScanSimulation",
    "ScanState",
    "SparseScanConfig",
    "SparseScanEnv",
    "SparseScanSimulation",
    "SparseScanTilesConfig",
    "SparseScanTilesEnv",
    "SparseScanTilesSimulation",
    "SparseScanTilesVectorEnv",
    "SparseScanVectorEnv",
]

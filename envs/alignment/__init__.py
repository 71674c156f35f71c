"""Environments in which a column is aligned: a scanning microscope, and one with a diffractogram tableau."""

from beamwright.envs.alignment.config import AlignConfig, ResponseConfig
from beamwright.envs.alignment.env import AlignSTEMEnv, AlignSTEMVectorEnv, AlignTEMEnv, AlignTEMVectorEnv
from beamwright.envs.alignment.estimator import BundleEstimator, Estimator
from beamwright.envs.alignment.simulation import AlignSimulation
from beamwright.envs.alignment.spectra import cross_spectrum, log_power_spectrum
from beamwright.envs.alignment.tilt import tilted
from beamwright.envs.alignment.types import AlignState
from beamwright.envs.alignment.variants import AlignSTEMConfig, AlignTEMConfig

__all__ = [
    "AlignConfig",
    "AlignSTEMConfig",
    "AlignSTEMEnv",
    "AlignSTEMVectorEnv",
    "AlignSimulation",
    "AlignState",
    "AlignTEMConfig",
    "AlignTEMEnv",
    "AlignTEMVectorEnv",
    "BundleEstimator",
    "Estimator",
    "ResponseConfig",
    "cross_spectrum",
    "log_power_spectrum",
    "tilted",
]

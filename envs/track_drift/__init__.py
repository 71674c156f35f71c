"""An environment in which a field of view is held in place and in focus while everything drifts."""

from beamwright.envs.track_drift.config import SteeringConfig, TrackDriftConfig
from beamwright.envs.track_drift.env import TrackDriftEnv, TrackDriftVectorEnv
from beamwright.envs.track_drift.simulation import TrackSimulation
from beamwright.envs.track_drift.types import TrackState

__all__ = [
    "SteeringConfig",
    "TrackDriftConfig",
    "TrackDriftEnv",
    "TrackDriftVectorEnv",
    "TrackSimulation",
    "TrackState",
]

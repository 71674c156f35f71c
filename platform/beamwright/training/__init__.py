"""Training of one candidate: loop, optimisers, checkpoints, and the module that is deployed."""

from beamwright.training.deployable import Deployable, untrained
from beamwright.training.device import resolve_device
from beamwright.training.trainer import DivergedError, Trainer

__all__ = ["Deployable", "DivergedError", "Trainer", "resolve_device", "untrained"]

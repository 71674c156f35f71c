"""The supervised estimator: a small network that reads aberrations from the cross-spectrum of a diagnostic pair."""

from beamwright.agents.estimator.bundle import write_estimator
from beamwright.agents.estimator.network import AberrationNet
from beamwright.agents.estimator.training import TrainingPlan, examine, train_estimator

__all__ = ["AberrationNet", "TrainingPlan", "examine", "train_estimator", "write_estimator"]

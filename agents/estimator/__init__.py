"""The supervised estimator: a small network that reads aberrations from the cross-spectrum of a diagnostic pair."""

from beamwright.agents.estimator.network import AberrationNet
from beamwright.agents.estimator.training import TrainingPlan, train_estimator

"""Tasks: the problems of electron microscopy that a network is searched for."""

from beamwright.registry import Entry, Registry
from beamwright.tasks.task import (
    Batch,
    BatchSampler,
    Channel,
    Metric,
    Predict,
    Scores,
    SparseScans,
    Task,
    TaskData,
)

__all__ = [
    "TASKS",
    "Batch",
    "BatchSampler",
    "Channel",
    "Metric",
    "Predict",
    "Scores",
    "SparseScans",
    "Task",
    "TaskData",
]

TASKS = Registry(
    "task",
    Entry(
        "denoise",
        "Remove noise, learned from clean targets, synthetic noise, pairs of noisy frames, or single images",
        "beamwright.tasks.denoise:Denoise",
    ),
    Entry(
        "inpaint",
        "Complete images of which any path or mask was measured, the dose of each point known",
        "beamwright.tasks.inpaint:Inpaint",
    ),
)

"""Tasks: the problems of electron microscopy that a network is searched for."""

from beamwright.registry import Entry, Registry
from beamwright.tasks.task import Batch, BatchSampler, Metric, Predict, Scores, Task, TaskData

__all__ = ["TASKS", "Batch", "BatchSampler", "Metric", "Predict", "Scores", "Task", "TaskData"]

TASKS = Registry(
    "task",
    Entry(
        "denoise",
        "Remove noise, learned from clean targets, synthetic noise, pairs of noisy frames, or single images",
        "beamwright.tasks.denoise:Denoise",
    ),
)

"""What a run measures: the metrics of its task."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beamwright.tasks import Metric
    from beamwright.tracking.run import RunFolder

__all__ = ["metrics_of", "with_unit"]


def metrics_of(run: RunFolder) -> tuple[Metric, ...]:
    """Return the metrics of the run's task, its quality first, in the units that its data have."""
    from beamwright.tasks import TASKS

    task = TASKS.load(run.experiment().task)()
    units = run.read("units.json") or {}
    others = (metric for metric in task.metrics if metric.name != task.quality.name)
    return tuple(replace(item, unit=units.get(item.name, item.unit)) for item in (task.quality, *others))


def with_unit(metric: Metric) -> str:
    """Return the metric's name with its unit: ``psnr [dB]``."""
    return f"{metric.name} [{metric.unit}]" if metric.unit else metric.name

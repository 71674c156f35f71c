"""What a candidate may cost, checked before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beamwright.experiment import Experiment
    from beamwright.search_spaces import Cost

__all__ = ["Limits"]

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a search; ``None`` is no limit.

    Parameters
    ----------
    parameters
        Number of weights.
    macs
        Multiply-adds per input pixel.
    memory
        Memory of a training step [GiB].
    latency
        Of the exported model [ms per megapixel]; measured by the trial, not estimated.
    """

    parameters: float | None = None
    macs: float | None = None
    memory: float | None = None
    latency: float | None = None

    @classmethod
    def of(cls, experiment: Experiment, *, device_memory: float | None) -> Limits:
        """Return the limits of an experiment.

        Parameters
        ----------
        device_memory
            What one trial may use of the device [GiB], where the file sets no limit.
        """
        space = experiment.space
        memory = space.max_memory if space.max_memory is not None else device_memory
        return cls(space.max_parameters, space.max_macs, memory, space.max_latency)

    def violations(self, cost: Cost) -> dict[str, float]:
        """Return for each limit the value over the limit, minus one: above zero means broken."""
        return {name: value / limit - 1 for name, (value, limit, _) in self._checks(cost).items()}

    def latency_violation(self, latency: float | None) -> dict[str, float]:
        """Return the violation of the measured latency."""
        if latency is None or self.latency is None:
            return {}
        return {"latency": latency / self.latency - 1}

    def explain(self, cost: Cost) -> str:
        """Say in words which limits are broken."""
        broken = [
            f"{name} {value:.3g}{unit} above {limit:.3g}{unit}"
            for name, (value, limit, unit) in self._checks(cost).items()
            if value > limit
        ]
        return "; ".join(broken)

    def _checks(self, cost: Cost) -> dict[str, tuple[float, float, str]]:
        values = {
            "parameters": (cost.parameters, self.parameters, ""),
            "multiply-adds per pixel": (cost.macs_per_pixel, self.macs, ""),
            "memory of a training step": (cost.training_bytes / _GIB, self.memory, " GiB"),
        }
        return {
            name: (value, limit, unit) for name, (value, limit, unit) in values.items() if limit is not None
        }

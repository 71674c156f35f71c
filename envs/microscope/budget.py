"""What an experiment may cost: electrons and seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from beamwright.envs.microscope.batching import Value, check_range

__all__ = ["Budget"]


@dataclass(frozen=True)
class Budget:
    """What may be spent, and what was; tensors are ``(B,)`` float64, so that sums of many small costs hold.

    Parameters
    ----------
    electrons, seconds
        What may be spent in all; infinite where there is no limit.
    spent_electrons, spent_seconds
        What was spent so far.
    """

    electrons: Tensor
    seconds: Tensor
    spent_electrons: Tensor
    spent_seconds: Tensor

    @classmethod
    def of(
        cls, electrons: Value, seconds: Value, count: int, *, device: str | torch.device = "cpu"
    ) -> Budget:
        """Return budgets of which nothing is spent.

        Parameters
        ----------
        electrons
            A number, or one per environment.
        seconds
            A number, or one per environment [s].
        count
            Environments in the batch, B.
        device
            Where the tensors shall be.

        Raises
        ------
        MicroscopeError
            If a budget is zero, negative, or not a number.
        """
        for value, what, unit in ((electrons, "electrons", ""), (seconds, "time", "s")):
            least = float(value.min()) if isinstance(value, Tensor) else value
            check_range(least, f"budget of {what}", unit, above=True, cure="leave it infinite for no limit")
        none = torch.zeros(count, dtype=torch.float64, device=device)
        return cls(none + electrons, none + seconds, none, none)

    def spend(self, electrons: Value, seconds: Value) -> Budget:
        """Return the budget after a cost; it may be overdrawn, which `exhausted` tells."""
        return replace(
            self,
            spent_electrons=self.spent_electrons + electrons,
            spent_seconds=self.spent_seconds + seconds,
        )

    @property
    def left(self) -> tuple[Tensor, Tensor]:
        """Electrons and seconds that are left, never negative, each ``(B,)``."""
        return (
            (self.electrons - self.spent_electrons).clamp_min(0),
            (self.seconds - self.spent_seconds).clamp_min(0),
        )

    @property
    def share_left(self) -> Tensor:
        """Shares of electrons and seconds that are left, ``(B, 2)`` float32; 1 where there is no limit."""
        used = torch.stack((self.spent_electrons / self.electrons, self.spent_seconds / self.seconds), 1)
        return (1 - used).clamp_(0, 1).float()

    @property
    def exhausted(self) -> Tensor:
        """Whether either is spent, ``(B,)`` bool."""
        return (self.spent_electrons >= self.electrons) | (self.spent_seconds >= self.seconds)

    def affords(self, electrons: Value, seconds: Value) -> Tensor:
        """Tell whether a cost is within what is left, ``(B,)`` bool."""
        return (self.spent_electrons + electrons <= self.electrons) & (
            self.spent_seconds + seconds <= self.seconds
        )

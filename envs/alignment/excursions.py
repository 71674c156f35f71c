"""What the exposures of a step change for a moment: as configured, and as the action chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from beamwright.envs.alignment.action import ActionLayout
from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.config import TILTS

__all__ = ["Excursions"]


class Excursions:
    """Changes of the E exposures of a step.

    What is a knob is changed through the knob, with its unknown response; what is none (the tilts of a
    tableau where coma has knobs of its own) follows exactly.

    Parameters
    ----------
    column
        Knobs, coefficients and their units.
    layout
        What the columns of a choice are.
    """

    def __init__(self, column: Column, layout: ActionLayout) -> None:
        self._column = column
        self._dwell = layout.choices.index("dwell") if "dwell" in layout.choices else None
        knobs = column.config.knobs
        others = [name if name not in knobs else "" for name in (*TILTS, *column.names)]
        # Chosen defocus is in radians, chosen tilt and configured changes are in mrad and nm.
        natural = {"C10": 1 / column.radians.get("C10", 1.0)} | dict.fromkeys(TILTS, 1.0)
        chosen = [{name: natural.get(name, 0.0)} for name in layout.choices]
        configured = column.config.diagnostic
        self._knobs = self._table(configured, knobs) * column.unit, self._table(chosen, knobs) * column.unit
        self._others = self._table(configured, others), self._table(chosen, others)

    def dwell(self, choice: Tensor) -> Tensor:
        """Return the dwell in units of the normal one, ``(B,)``."""
        if self._dwell is None:
            return torch.ones(len(choice), device=choice.device)
        return choice[:, self._dwell].exp2()

    def of_knobs(self, choice: Tensor) -> Tensor:
        """Return the changes of the knobs, ``(B, E, K)`` [rad]."""
        configured, chosen = self._knobs
        return configured + (choice @ chosen)[:, None]

    def of_others(self, choice: Tensor) -> Tensor:
        """Return the changes of tilts [mrad] and coefficients [nm] that are no knobs, ``(B, E, 2 + N)``."""
        configured, chosen = self._others
        return configured + (choice @ chosen)[:, None]

    def _table(self, changes: Sequence[Mapping[str, float]], names: Sequence[str]) -> Tensor:
        rows = [[change.get(name, 0.0) for name in names] for change in changes]
        return torch.tensor(rows, device=self._column.device).reshape(len(rows), len(names))

"""What a run leaves behind: its folder, TensorBoard's files, the leaderboard and the report."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from beamwright.tracking.images import save_examples
from beamwright.tracking.leaderboard import (
    LeaderboardRow,
    leaderboard_rows,
    leaderboard_table,
    leaderboard_text,
    write_leaderboard,
)
from beamwright.tracking.metrics import metrics_of
from beamwright.tracking.run import RunFolder, RunStatus
from beamwright.tracking.trial import TrialFolder, TrialRecord

if TYPE_CHECKING:
    from beamwright.tracking.report import write_report
    from beamwright.tracking.tensorboard import TensorBoardLogger

__all__ = [
    "LeaderboardRow",
    "RunFolder",
    "RunStatus",
    "TensorBoardLogger",
    "TrialFolder",
    "TrialRecord",
    "leaderboard_rows",
    "leaderboard_table",
    "leaderboard_text",
    "metrics_of",
    "save_examples",
    "write_leaderboard",
    "write_report",
]

_HEAVY = {"TensorBoardLogger": "tensorboard", "write_report": "report"}


def __getattr__(name: str) -> Any:
    """Import what needs torch or plotly when it is first asked for."""
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HEAVY[name]}"), name)

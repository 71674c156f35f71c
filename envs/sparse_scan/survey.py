"""Paths that are given and not chosen: a survey before the first action, a path in the options of a reset."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.core import Streams
from beamwright.envs.microscope.paths import PATTERNS
from beamwright.envs.sparse_scan.sections import SurveyConfig
from beamwright.envs.sparse_scan.types import Plan, ScanState

__all__ = ["path_plan", "survey_plan"]

_BY_LINES = ("raster", "grid")
"""Patterns in which the beam flies back to the left."""


def survey_plan(survey: SurveyConfig, state: ScanState, streams: Streams) -> Plan:
    """Return the plan of a survey.

    Raises
    ------
    UnknownNameError
        If there is no such pattern.
    """
    shape = (state.dose.shape[1], state.dose.shape[2])
    points = max(1, round(survey.coverage * shape[0] * shape[1]))
    path = PATTERNS.load(survey.pattern)(points, shape, streams=streams).to(state.dose.device)
    return path_plan(path, state, survey.dwell, by_lines=survey.pattern in _BY_LINES)


def path_plan(
    path: Tensor, state: ScanState, dwell: float, *, by_lines: bool = False, stay: bool = False
) -> Plan:
    """Return the plan of a given path.

    Parameters
    ----------
    path
        ``(B or 1, N, 2)`` [px].
    state
        Before it.
    dwell
        [us].
    by_lines
        Whether the beam flies back wherever it moves to the left.
    stay
        Whether the next segment begins where the path ends; by default where it would have begun without it.
    """
    count = len(state.position)
    still = torch.zeros(count, dtype=torch.bool, device=path.device)
    lines = None
    if by_lines:
        back = torch.diff(path[0, :, 1], prepend=path[0, :1, 1]) < 0
        lines = back.cumsum(0)  # (N,)
    return Plan(
        path=path.expand(count, -1, -1),
        wanted=torch.ones(count, path.shape[1], dtype=torch.bool, device=path.device),
        dwell=torch.full((count, 1), dwell, device=path.device),
        lines=lines,
        position=path[:, -1].expand(count, -1) if stay else state.position,
        heading=state.heading,
        stop=still,
        left=still,
    )

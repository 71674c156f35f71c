"""Scheduling of cards, with Ray's logical GPUs: trials then run on the CPU, but share cards as they would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from beamwright.tracking import RunFolder

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from beamwright.experiment import load_experiment
from beamwright.search import run_search
from beamwright.search.session import open_session
with open_session(gpus=1):
    run_search(load_experiment(sys.argv[1], sys.argv[2:]))
"""


def _run(path: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, str(path), *overrides]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=dict(os.environ))


def test_trials_share_a_card(
    tiny: dict[str, Any], write_experiment: Callable[[dict[str, Any]], Path]
) -> None:
    tiny["resources"] = {"gpus": 0.5}
    result = _run(write_experiment(tiny))
    assert result.returncode == 0, result.stderr
    records = RunFolder.latest(tiny["storage"]).records()
    assert [record.state for record in records] == ["finished"] * 3


def test_more_cards_than_there_are_is_an_error(
    tiny: dict[str, Any], write_experiment: Callable[[dict[str, Any]], Path]
) -> None:
    result = _run(write_experiment(tiny), "resources.gpus=2")
    assert result.returncode != 0
    assert "resources.gpus = 2 is more than there is: 1. Set resources.gpus to 1 or less." in result.stderr

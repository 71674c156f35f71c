"""The command line, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

__all__ = ["beamwright", "kill", "start_beamwright"]

COMMAND = [sys.executable, "-m", "beamwright.cli"]


def beamwright(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=300, env=environment, **options
    )


def start_beamwright(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start the command line, to be killed."""
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        **options,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """Kill a started command line as the operating system does when memory runs out."""
    process.kill()
    process.communicate()

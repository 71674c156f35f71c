"""One driver per run: a lock that the operating system releases even when the driver is killed."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from beamwright.errors import RunError

__all__ = ["hold_lock", "is_locked"]

_PATIENCE = 1.0  # [s]; a reader that asks `is_locked` holds the lock for an instant


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock file for the time of the block.

    Raises
    ------
    RunError
        If another process, or this one, holds it.
    """
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not _try_lock(file, patience=_PATIENCE):
            holder = os.read(file, 200).decode(errors="replace").strip() or "another process"
            raise RunError(
                f'The run "{path.parent}" is being driven by {holder}; wait until that ends, or stop it, '
                "before you resume the run."
            )
        os.truncate(file, 0)
        os.write(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(file)


def is_locked(path: Path) -> bool:
    """Tell whether a living process holds the lock."""
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(file, patience=0)
    finally:
        os.close(file)


def _try_lock(file: int, *, patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)

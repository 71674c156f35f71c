"""A run on disk: everything that executing an experiment leaves, in one folder that explains itself."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from beamwright.errors import RunError
from beamwright.experiment import Experiment, load_experiment
from beamwright.tracking.files import read_json, write_json, write_text
from beamwright.tracking.lock import hold_lock, is_locked
from beamwright.tracking.trial import TrialFolder, TrialRecord

__all__ = ["RunFolder", "RunStatus"]

RunState = Literal["running", "finished", "interrupted", "failed"]


class RunStatus(BaseModel):
    """The content of ``run.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    state: RunState = "running"
    command: str = ""
    """The command line that started it."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Of Python, beamwright and the packages that computed the result."""
    started: datetime
    seconds: float = Field(0.0, ge=0)
    """Time that the search took, all its sessions together [s]."""
    note: str = ""
    """Why it failed, or anything that a reader should know."""


class RunFolder:
    """The folder of a run.

    `create` makes one, `open` finds one. Its driver works inside ``with run.lock():``; others may read
    everything in it at any time, also while the run is going on.

    Parameters
    ----------
    path
        The folder; not checked, use `open`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f'RunFolder("{self.path}")'

    @classmethod
    def create(
        cls, storage: str | Path, name: str, *, experiment: Experiment, command: str = ""
    ) -> RunFolder:
        """Make the folder of a new run, ``<storage>/<name>-<date>-<time>``.

        Parameters
        ----------
        storage
            The folder of runs; made if it is missing.
        name
            Stem of the folder's name.
        experiment
            Kept as the resolved file.
        command
            The command line that started the run.

        Raises
        ------
        RunError
            If there can be no such folder.
        """
        now = datetime.now().astimezone()
        run = cls(_make_unique(Path(storage).absolute() / f"{name}-{now:%Y%m%d-%H%M%S}"))
        write_text(run.path / "experiment.yaml", experiment.to_yaml())
        run.status = RunStatus(started=now, command=command)
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Return the run in a folder.

        Raises
        ------
        RunError
            If the folder is not a run; the message names the runs that are near.
        """
        folder = Path(path)
        if (folder / "run.json").is_file() and (folder / "experiment.yaml").is_file():
            return cls(folder.absolute())
        fault = "is not the folder of a run" if folder.is_dir() else "does not exist"
        raise RunError(f'"{path}" {fault}. {_suggest_runs(folder)}')

    @classmethod
    def latest(cls, storage: str | Path) -> RunFolder:
        """Return the run that was started last.

        Raises
        ------
        RunError
            If there is none.
        """
        runs = find_runs(Path(storage))
        if not runs:
            raise RunError(f'There is no run in "{storage}"; "beamwright run EXPERIMENT.yaml" starts one.')
        return max(runs, key=lambda run: run.status.started)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """The journal of the Optuna study."""
        return self.path / "study.journal"

    @property
    def trials_path(self) -> Path:
        """The folder of trials, which is also TensorBoard's ``--logdir``."""
        return self.path / "trials"

    @property
    def examples(self) -> Path:
        """The winner's images, as `save_examples` keeps them."""
        return self.path / "examples.npz"

    @property
    def status(self) -> RunStatus:
        """The content of ``run.json``; assign to it to replace it."""
        path = self.path / "run.json"
        try:
            return RunStatus.model_validate(read_json(path))
        except (ValueError, ValidationError) as error:
            raise RunError(
                f'"{path}" is damaged ({str(error).splitlines()[0]}); restore it from a copy.'
            ) from None

    @status.setter
    def status(self, status: RunStatus) -> None:
        write_json(self.path / "run.json", status.model_dump(mode="json"))

    def update(self, **changes: Any) -> RunStatus:
        """Replace fields of the status and return the new one."""
        self.status = status = RunStatus.model_validate(self.status.model_dump() | changes)
        return status

    @property
    def state(self) -> RunState:
        """The state; a run that nobody drives any more is ``interrupted``, whatever its driver wrote last."""
        state = self.status.state
        return "interrupted" if state == "running" and not is_locked(self.path / "run.lock") else state

    @state.setter
    def state(self, state: RunState) -> None:
        self.update(state=state)

    def lock(self) -> AbstractContextManager[None]:
        """Hold the run while driving it; entering raises `RunError` if another living process does."""
        return hold_lock(self.path / "run.lock")

    def experiment(self) -> Experiment:
        """Return the resolved experiment."""
        return load_experiment(self.path / "experiment.yaml")

    def fingerprint(self) -> dict[str, Any] | None:
        """Return the fingerprint of the data as plain data, or ``None`` before it is taken."""
        return self.read("fingerprint.json")

    def baselines(self) -> list[dict[str, Any]]:
        """Return the classical rows: name, parameters, metrics, latency."""
        return self.read("baselines.json") or []

    def test(self) -> dict[str, Any] | None:
        """Return the winner's figures on the test split, or ``None`` before they are measured."""
        return self.read("test.json")

    def read(self, name: str) -> Any:
        """Read a JSON file of the folder, or return ``None`` if it is not there (yet)."""
        try:
            return read_json(self.path / name)
        except ValueError as error:
            raise RunError(
                f'"{self.path / name}" is not JSON ({error}); delete it, or restore it from a copy.'
            ) from None

    def write(self, name: str, content: Any) -> Path:
        """Write a JSON file into the folder, atomically."""
        write_json(self.path / name, content)
        return self.path / name

    def trial(self, number: int) -> TrialFolder:
        """Return the folder of a trial, whether or not it exists yet."""
        return TrialFolder(self.trials_path / f"{number:04d}")

    def trials(self) -> list[TrialFolder]:
        """Return the trials that have a record, by number."""
        folders = (TrialFolder(path.parent) for path in self.trials_path.glob("[0-9]*/trial.json"))
        return sorted(folders, key=lambda trial: trial.number)

    def records(self) -> list[TrialRecord]:
        """Return the records of all trials, by number."""
        return [trial.record for trial in self.trials()]

    def size(self) -> int:
        """Return the size of the folder [bytes]."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())


def find_runs(storage: Path) -> list[RunFolder]:
    """Return the runs directly inside a folder, by name."""
    return [RunFolder(path.parent.absolute()) for path in sorted(storage.glob("*/run.json"))]


def _make_unique(path: Path) -> Path:
    """Make the folder, numbered if another run started in the same second."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for count in itertools.count(1):
            folder = path if count == 1 else path.with_name(f"{path.name}-{count}")
            with suppress(FileExistsError):
                folder.mkdir()
                return folder
    except OSError as error:
        raise RunError(
            f'No run can be kept in "{path.parent}": {error.strerror}. Set storage to a folder that you may '
            "write to."
        ) from None
    raise AssertionError("unreachable")


def _suggest_runs(folder: Path, *, most: int = 5) -> str:
    places: Sequence[Path] = (folder, folder.parent, folder / "runs", Path("runs"))
    for place in places:
        runs = find_runs(place)
        if runs:
            newest = sorted(runs, key=lambda run: run.path.stat().st_mtime, reverse=True)
            names = ", ".join(f'"{place / run.name}"' for run in newest[:most])
            more = f" and {len(runs) - most} more" if len(runs) > most else ""
            return f"Runs near it, newest first: {names}{more}."
    return 'There is no run near it; "beamwright run EXPERIMENT.yaml" starts one.'

"""One trial on disk: its candidate, its record, its curve and its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from beamwright.errors import RunError
from beamwright.tracking.files import append_line, read_json, read_lines, write_json

if TYPE_CHECKING:
    from beamwright.search_spaces import Candidate

__all__ = ["TrialFolder", "TrialRecord", "TrialState"]

TrialState = Literal["running", "finished", "stopped", "failed", "infeasible"]


class TrialRecord(BaseModel):
    """What is known of a trial; replaced as a whole whenever something new is known."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    number: int = Field(ge=0)
    """Its number in the study, and the name of its folder."""
    name: str | None = None
    """The named network that it is, if any."""
    state: TrialState = "running"
    """``finished``: trained to its end; ``stopped``: by the scheduler; ``infeasible``: never started."""
    reason: str = ""
    """Why it stopped, failed or was not started."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The parameters of the Optuna trial."""
    cost: dict[str, Any] | None = None
    """The estimate before training: parameters, macs_per_pixel, training_bytes, inference_bytes_per_pixel."""
    latency: float | None = None
    """Of the exported model [ms per megapixel]."""
    epochs: int = Field(0, ge=0)
    """Epochs that were trained."""
    seconds: float = Field(0.0, ge=0)
    """Time that training took [s]."""
    best: dict[str, Any] | None = None
    """The best epoch: ``epoch`` and the validation metrics of the training loop."""
    deployed: dict[str, Any] | None = None
    """Validation metrics of the exported model, measured through onnxruntime."""

    @property
    def label(self) -> str:
        """What to call it: its network's name, or its number."""
        return self.name or f"trial {self.number}"


class TrialFolder:
    """The files of one trial; created by the first write.

    Parameters
    ----------
    path
        ``<run>/trials/<number>``. A worker needs nothing else.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def number(self) -> int:
        """The trial's number."""
        return int(self.path.name)

    @property
    def checkpoint(self) -> Path:
        """Where the trainer keeps its state."""
        return self.path / "checkpoint.pt"

    @property
    def onnx(self) -> Path:
        """The exported model of the best epoch."""
        return self.path / "best.onnx"

    @property
    def record(self) -> TrialRecord:
        """The record; assign to it to replace it.

        Raises
        ------
        RunError
            If it is missing or damaged.
        """
        path = self.path / "trial.json"
        try:
            content = read_json(path)
            if content is not None:
                return TrialRecord.model_validate(content)
            fault = "does not exist"
        except (ValueError, ValidationError) as error:
            fault = f"is not the record of a trial ({str(error).splitlines()[0]})"
        raise RunError(f'"{path}" {fault}; delete the folder "{self.path}" to go on without this trial.')

    @record.setter
    def record(self, record: TrialRecord) -> None:
        write_json(self.path / "trial.json", record.model_dump())

    def update(self, **changes: Any) -> TrialRecord:
        """Replace fields of the record and return the new one."""
        record = TrialRecord.model_validate(self.record.model_dump() | changes)
        self.record = record
        return record

    def write_candidate(self, candidate: Candidate) -> None:
        """Keep the candidate: architecture, recipe and name."""
        write_json(self.path / "candidate.json", candidate.to_dict())

    def read_candidate(self) -> Candidate:
        """Return the candidate, equal to the one that was written.

        Raises
        ------
        RunError
            If there is none.
        """
        from beamwright.search_spaces import Candidate

        content = read_json(self.path / "candidate.json")
        if content is None:
            raise RunError(f'Trial {self.number} has no "candidate.json": it never started; choose another.')
        return Candidate.from_dict(content)

    def append_metrics(self, metrics: dict[str, Any]) -> None:
        """Append the metrics of one epoch to the curve.

        Parameters
        ----------
        metrics
            ``epoch`` and whatever the trainer reports.

        Raises
        ------
        ValueError
            If there is no epoch.
        """
        if "epoch" not in metrics:
            raise ValueError(f'Metrics need the key "epoch", not only {sorted(metrics)}; add it.')
        append_line(self.path / "metrics.jsonl", metrics)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the curve, one entry per epoch in their order.

        A trial that went on from an older checkpoint repeats epochs: the later entry voids the earlier
        ones from its epoch on.
        """
        curve: list[dict[str, Any]] = []
        for entry in read_lines(self.path / "metrics.jsonl"):
            if "epoch" not in entry:
                continue
            while curve and curve[-1]["epoch"] >= entry["epoch"]:
                curve.pop()
            curve.append(entry)
        return curve

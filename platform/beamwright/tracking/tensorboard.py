"""What TensorBoard shows of a trial: curves, hyperparameters with metrics, and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from beamwright.tracking.images import Example, crop_example, make_panel

__all__ = ["TensorBoardLogger"]

_TRAINING = ("learning_rate", "grad_norm", "seconds", "pixels_per_second")
_NOT_CURVES = ("epoch",)


class TensorBoardLogger:
    """Writes the event file of one trial; use it as a context manager.

    Life cycle: `parameters` once, `epoch` and `images` after epochs, `result` at the end. A trial that goes
    on after a kill opens a new one with the epoch that it goes on from.

    Parameters
    ----------
    path
        The trial's folder. TensorBoard compares trials by taking their common parent as ``--logdir``.
    resumed
        Epochs that are done already; what an earlier session wrote beyond them is dropped from view.
    """

    def __init__(self, path: str | Path, *, resumed: int | None = None) -> None:
        purge = None if resumed is None else resumed + 1
        self._writer = SummaryWriter(log_dir=str(path), purge_step=purge, max_queue=100, flush_secs=20)

    def __enter__(self) -> TensorBoardLogger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def epoch(self, metrics: Mapping[str, Any]) -> None:
        """Write the curves' points of an epoch.

        Parameters
        ----------
        metrics
            ``epoch`` and what the trainer reports. Names of training go to the group ``train``, all others
            to ``validation``.
        """
        for name, value in metrics.items():
            if name not in _NOT_CURVES and isinstance(value, (int, float)) and not isinstance(value, bool):
                self._writer.add_scalar(_tag(name), value, int(metrics["epoch"]))
        self._writer.flush()

    def parameters(self, parameters: Mapping[str, Any], *, network: str | None = None) -> None:
        """Write the hyperparameters, for the page HParams.

        The description of the whole experiment, which `add_hparams` writes with every trial, is left out:
        TensorBoard would take that of an arbitrary trial and hide parameters that this one lacks. Without
        it, the page collects the parameters of all trials and every scalar as a metric.
        """
        values = {name: _hashable(value) for name, value in parameters.items()}
        values["network"] = network or "sampled"
        _, start, _ = hparams(values, {})
        self._write(start)

    def result(self, metrics: Mapping[str, Any], *, state: str, epoch: int) -> None:
        """Write the figures of the exported model, and how the trial ended.

        Parameters
        ----------
        metrics
            Shown in the group ``deployed``; empty for a trial that was not exported.
        state
            ``finished`` or ``stopped`` count as success on the page HParams, others as failure.
        epoch
            At which it ended.
        """
        for name, value in metrics.items():
            if name not in _NOT_CURVES and isinstance(value, (int, float)):
                self._writer.add_scalar(f"deployed/{name}", value, epoch)
        self._write(_session_end(success=state in ("finished", "stopped")))

    def images(self, examples: Sequence[Example], *, epoch: int, pixel_size: float | None = None) -> None:
        """Write panels of the centres of input, result and target, with their spectra.

        Parameters
        ----------
        examples
            As the task's ``examples`` gives them, arrays of shape (H, W).
        epoch
            After which they were made.
        pixel_size
            [nm].
        """
        for index, example in enumerate(examples):
            panel = make_panel(crop_example(example), pixel_size=pixel_size)
            self._writer.add_image(f"images/{index}", panel, epoch, dataformats="HW")
        self._writer.flush()

    def close(self) -> None:
        """Write what is waiting and close the file."""
        self._writer.close()

    def _write(self, summary: Summary) -> None:
        assert self._writer.file_writer is not None  # before `close`
        self._writer.file_writer.add_summary(summary)
        self._writer.flush()


def _tag(name: str) -> str:
    if name.startswith("train_"):
        return f"train/{name.removeprefix('train_')}"
    return f"train/{name}" if name in _TRAINING else f"validation/{name}"


def _hashable(value: Any) -> str | int | float:
    """Return what the page can sort and filter; a switch would become 0 or 1 without its name."""
    return value if isinstance(value, (int, float, str)) and not isinstance(value, bool) else str(value)


def _session_end(*, success: bool) -> Summary:
    """Return how a session ended; torch's `hparams` knows success only."""
    end = SessionEndInfo(status=Status.Value("STATUS_SUCCESS" if success else "STATUS_FAILURE"))
    content = HParamsPluginData(session_end_info=end, version=metadata.PLUGIN_DATA_VERSION)
    value = Summary.Value(
        tag=metadata.SESSION_END_INFO_TAG, metadata=metadata.create_summary_metadata(content)
    )
    return Summary(value=[value])

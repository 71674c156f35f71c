from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from beamwright.errors import RunError
from beamwright.search_spaces import SpaceLimits, named
from beamwright.tracking import TrialFolder, TrialRecord
from beamwright.tracking.files import append_line, read_lines


def test_a_record_comes_back_equal(tmp_path: Path):
    trial = TrialFolder(tmp_path / "0003")
    record = TrialRecord(
        number=3, name="unet", parameters={"width": 16, "block": "plain"}, best={"psnr": 30.0}
    )
    trial.record = record
    assert trial.number == 3
    assert TrialFolder(trial.path).record == record
    assert trial.update(state="finished", epochs=5) == trial.record
    assert trial.record.parameters == record.parameters


def test_numpy_numbers_and_nan_can_be_recorded(tmp_path: Path):
    trial = TrialFolder(tmp_path / "0000")
    trial.record = TrialRecord(number=0, best={"psnr": np.float32(1.5), "ssim": float("nan")})
    assert trial.record.best == {"psnr": 1.5, "ssim": None}


def test_a_missing_record_names_the_cure(tmp_path: Path):
    with pytest.raises(RunError, match=r'trial.json" does not exist; delete the folder ".*0000" to go on'):
        _ = TrialFolder(tmp_path / "0000").record


def test_a_damaged_record_names_the_cure(tmp_path: Path):
    (tmp_path / "trial.json").write_text('{"number": -1}')
    with pytest.raises(
        RunError, match=r"is not the record of a trial \(1 validation error.*; delete the folder"
    ):
        _ = TrialFolder(tmp_path).record


def test_a_candidate_comes_back_equal(tmp_path: Path):
    trial, candidate = TrialFolder(tmp_path / "0001"), named("unet", limits=SpaceLimits())
    with pytest.raises(
        RunError, match=r'Trial 1 has no "candidate.json": it never started; choose another\.'
    ):
        trial.read_candidate()
    trial.write_candidate(candidate)
    assert trial.read_candidate() == candidate


def test_metrics_need_their_epoch(tmp_path: Path):
    with pytest.raises(ValueError, match=r"Metrics need the key \"epoch\", not only \['psnr'\]; add it\."):
        TrialFolder(tmp_path).append_metrics({"psnr": 1.0})


def test_a_torn_last_line_is_left_out_and_does_not_spoil_the_next(tmp_path: Path):
    trial = TrialFolder(tmp_path / "0000")
    for epoch in (1, 2, 3):
        trial.append_metrics({"epoch": epoch, "psnr": float(epoch)})
    path = trial.path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-7])  # killed in the middle of a write
    assert [point["epoch"] for point in trial.metrics()] == [1, 2]
    trial.append_metrics({"epoch": 3, "psnr": 33.0})
    assert trial.metrics()[-1] == {"epoch": 3, "psnr": 33.0}
    assert len(trial.metrics()) == 3


def test_a_trial_that_goes_on_from_a_checkpoint_voids_later_epochs(tmp_path: Path):
    trial = TrialFolder(tmp_path / "0000")
    for epoch, value in ((1, 1.0), (2, 2.0), (3, 3.0), (2, 20.0)):
        trial.append_metrics({"epoch": epoch, "psnr": value})
    assert trial.metrics() == [{"epoch": 1, "psnr": 1.0}, {"epoch": 2, "psnr": 20.0}]


@given(cut=st.integers(min_value=0, max_value=200))
def test_any_cut_loses_at_most_the_line_it_cuts(tmp_path_factory: pytest.TempPathFactory, cut: int):
    path = tmp_path_factory.mktemp("cut") / "lines.jsonl"
    for number in range(5):
        append_line(path, {"epoch": number, "text": "é" * number})
    content = path.read_bytes()
    kept = content[: max(0, len(content) - cut)]
    path.write_bytes(kept)
    # A cut that takes only the line's end leaves the line whole.
    whole = kept.count(b"\n") + (kept.endswith(b"}"))
    assert [line["epoch"] for line in read_lines(path)] == list(range(whole))
    append_line(path, {"epoch": 9})
    assert read_lines(path)[-1] == {"epoch": 9}

from __future__ import annotations

from beamwright.tracking.summary import epochs_saved, summarise


def test_epochs_saved_count_trials_that_started(finished_run):
    # Ten finished after 20 epochs; three were stopped, after 1, 6 and 1.
    assert epochs_saved(finished_run) == (3 * 20 - 8, 13 * 20)


def test_the_summary_tells_the_result_and_what_to_do_next(finished_run):
    lines = summarise(finished_run)
    assert "early stopping saved 52 of 260 epochs (20%)" in lines
    assert any(
        "on the test split: psnr 30.87 dB (95 % interval 30.61 to 31.12, over blocks)" in line
        for line in lines
    )
    assert lines[-1] == f'use it: beamwright export "{finished_run.path}"'


def test_an_unfinished_run_has_a_summary(make_run):
    assert summarise(make_run(states=(), complete=False))[-1].startswith("use it:")

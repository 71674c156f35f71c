from __future__ import annotations

import csv
import io
import json

import pytest
from rich.console import Console

from beamwright.tracking import (
    leaderboard_rows,
    leaderboard_table,
    leaderboard_text,
    metrics_of,
    write_leaderboard,
)
from beamwright.tracking.leaderboard import leaderboard_verdict


def verdict(run) -> str:
    return leaderboard_verdict(leaderboard_rows(run), metrics_of(run)[0])


def test_networks_and_classical_rows_are_ranked_together(make_run):
    rows = leaderboard_rows(make_run())
    ranked = [row for row in rows if row.deployed]
    assert [row.rank for row in ranked] == list(range(1, len(ranked) + 1))
    values = [row.metrics["psnr"] for row in ranked]
    assert values == sorted(values, reverse=True)
    assert [row.name for row in ranked if row.kind == "classical"] == [
        "nlm (h 0.8, fast yes)",
        "gaussian (sigma 1.25)",
        "noisy input",
    ]


def test_what_was_not_exported_comes_below_without_a_rank(make_run):
    rows = leaderboard_rows(make_run(states=("finished", "stopped", "failed", "infeasible", "running")))
    below = [row for row in rows if not row.deployed]
    assert rows[-2:] == below
    assert {row.state for row in below} == {"stopped", "running"}
    assert all(row.rank is None for row in below)


def test_costs_are_those_of_the_trial(make_run):
    run = make_run(states=("finished",))
    row, record = leaderboard_rows(run)[0], run.trial(0).record
    assert row.name == "unet"
    assert (row.parameters, row.macs) == (record.cost["parameters"], record.cost["macs_per_pixel"])
    assert (row.epochs, row.seconds, row.latency) == (record.epochs, record.seconds, record.latency)
    assert row.size == run.trial(0).onnx.stat().st_size


def test_the_verdict_names_the_margin(make_run):
    run = make_run(states=("finished",))
    psnr = run.trial(0).record.deployed["psnr"]
    assert verdict(run) == (
        f"unet is best with {psnr:.2f} dB, {psnr - 26.9:.2f} dB better than the best classical row, "
        "nlm (h 0.8, fast yes)."
    )


def test_a_network_that_loses_to_a_classical_row_is_not_to_be_deployed(make_run):
    run = make_run(baselines=[{"name": "bm3d", "parameters": {}, "metrics": {"psnr": 50.0}}])
    assert leaderboard_rows(run)[0].name == "bm3d"
    assert verdict(run).startswith(
        "No network beats the classical rows: bm3d has 50.00 dB, the best network, "
    )
    assert verdict(run).endswith("Do not deploy a network: use bm3d, or search longer.")


def test_an_equal_network_does_not_beat(make_run):
    run = make_run(states=("finished",))
    run.write("baselines.json", [{"name": "tv", "metrics": {"psnr": run.trial(0).record.deployed["psnr"]}}])
    assert verdict(run).startswith("No network beats the classical rows")


@pytest.mark.parametrize(
    ("states", "baselines", "words"),
    [
        (("finished",), [], "the classical rows are not measured, so compare before use"),
        (("failed",), None, "No network has been exported and measured yet, so there is nothing to deploy."),
        ((), [], "No network has been exported and measured yet"),
    ],
)
def test_the_verdict_without_one_side(make_run, states, baselines, words):
    assert words in verdict(make_run(states=states, baselines=baselines))


def test_the_text_has_units_marks_and_the_verdict(make_run):
    run = make_run()
    text = leaderboard_text(leaderboard_rows(run), metrics_of(run))
    head = text.splitlines()[0]
    for name in (
        "rank",
        "psnr [dB]",
        "ssim",
        "parameters",
        "MACs/px",
        "latency [ms/Mpx]",
        "size",
        "training",
    ):
        assert name in head
    assert "26.90 " in text
    assert "29.26*" in text
    assert "* from the training loop, not from the exported model: not ranked." in text
    assert text.rstrip().endswith(verdict(run))
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [60, 80, 100, 120, 160, 240])
def test_the_table_fits_the_terminal(make_run, width: int):
    run = make_run()
    console = Console(file=io.StringIO(), width=width)
    rows, metrics = leaderboard_rows(run), metrics_of(run)
    console.print(leaderboard_table(rows, metrics, title="[red]run[/red]", width=width))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "[red]run[/red]" in text  # names are no markup
    assert "psnr [dB]" in text
    assert "…" not in text
    assert ("resolution" in text) == (width == 240)  # the least important goes first
    assert "resolution_0143" not in text  # nobody has a value
    assert max(len(line) for line in text.splitlines()) <= width


def test_a_run_without_rows_has_a_table(make_run):
    run = make_run(states=(), baselines=[], complete=False)
    assert "nothing to deploy" in leaderboard_text(leaderboard_rows(run), metrics_of(run))


def test_json_and_csv_hold_the_same_rows(make_run):
    run = make_run()
    as_json, as_csv = write_leaderboard(run)
    content = json.loads(as_json.read_text())
    rows = list(csv.DictReader(io.StringIO(as_csv.read_text())))
    assert content["quality"] == "psnr"
    assert content["units"]["psnr"] == "dB"
    assert content["verdict"] == verdict(run)
    assert len(rows) == len(content["rows"]) == len(leaderboard_rows(run))
    for line, row in zip(rows, content["rows"], strict=True):
        assert line["name"] == row["name"]
        assert line["rank"] == str(row["rank"] or "")
        assert line["deployed"] == str(row["deployed"])
        assert float(line["psnr [dB]"]) == row["metrics"]["psnr"]
        assert line["size [bytes]"] == str(row["size"] if row["size"] is not None else "")


def test_numbers_read_well():
    from beamwright.tracking.text import compact, duration, figure, file_size, setting

    assert [compact(value) for value in (None, 0, 950, 12_345, 1.2e6, 3e9)] == [
        "–",  # noqa: RUF001
        "0",
        "950",
        "12.3 k",
        "1.2 M",
        "3 G",
    ]
    assert [duration(value) for value in (8.21, 90, 7200)] == ["8.2 s", "1.5 min", "2.0 h"]
    assert [file_size(value) for value in (12, 214_000, 1.3e6)] == ["12 B", "214 kB", "1.3 MB"]
    assert [setting(value) for value in (True, 0.123456, (1, 2), "a")] == ["yes", "0.1235", "1, 2", "a"]
    assert figure(float("inf")) == figure(None)

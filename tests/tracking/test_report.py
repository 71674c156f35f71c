from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest
from plotly.offline import get_plotlyjs

from beamwright.tracking import RunFolder, write_report
from beamwright.tracking.report.costs import pareto_front
from beamwright.tracking.report.importance import rank_parameters

SECTIONS = (
    "leaderboard",
    "test",
    "images",
    "history",
    "cost",
    "hyperparameters",
    "curves",
    "early_stopping",
    "data",
    "failures",
    "reproduce",
)
VOID = {"meta", "link", "img", "br"}


class Balance(HTMLParser):
    """Checks that every element is closed where it should be, and collects ids and links."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag


def page_of(run: RunFolder) -> str:
    """The report without plotly's own source, after checks that hold for every report."""
    text = write_report(run).read_text(encoding="utf-8")
    assert len(text.encode()) < 8_000_000
    assert text.count(get_plotlyjs()) == 1
    text = text.replace(get_plotlyjs(), "")
    parser = Balance()
    parser.feed(text)
    assert parser.stack == []
    assert parser.ids == list(SECTIONS)
    assert all(link.startswith(("#", "data:")) for link in parser.links)
    assert {link[1:] for link in parser.links if link.startswith("#")} == set(SECTIONS)
    assert "default-src 'none'" in text
    return text


def part(page: str, name: str) -> str:
    return page.partition(f'<section id="{name}">')[2].partition("</section>")[0]


def figures_in(text: str) -> list[dict]:
    return [
        json.loads(match) for match in re.findall(r'<script type="application/json">(.*?)</script>', text)
    ]


@pytest.fixture(scope="module")
def page(finished_run) -> str:
    return page_of(finished_run)


def test_the_headline_says_what_was_reached(page: str):
    assert "dB better than the best classical row, nlm (h 0.8, fast yes)." in page
    assert '<span class="badge finished">finished</span>' in page
    assert "10 finished, 3 stopped, 1 failed, 1 infeasible" in page


def test_every_section_has_its_figures(page: str):
    counts = {name: len(figures_in(part(page, name))) for name in SECTIONS}
    assert counts == dict.fromkeys(SECTIONS, 0) | {"history": 1, "cost": 3, "hyperparameters": 2, "curves": 2}


def test_the_history_has_every_trial_the_best_and_the_classical_line(page: str):
    (plot,) = figures_in(part(page, "history"))
    names = [trace["name"] for trace in plot["data"]]
    assert names == ["best so far", "finished", "stopped", "winner"]
    best = plot["data"][0]["y"]
    assert best == sorted(best)
    assert plot["layout"]["shapes"][0]["y0"] == 26.9


def test_the_cost_figures_have_a_front_and_classical_latency(page: str):
    parameters, _, latency = figures_in(part(page, "cost"))
    front = next(trace for trace in parameters["data"] if trace["name"] == "Pareto front")
    assert front["x"] == sorted(front["x"])
    assert front["y"] == sorted(front["y"])
    assert "classical" in [trace["name"] for trace in latency["data"]]


def test_the_hyperparameters_are_ranked(page: str):
    text = part(page, "hyperparameters")
    assert "By fANOVA over the 10 trials that finished" in text
    bars, lines = figures_in(text)
    assert bars["data"][0]["y"][-1] == "width"  # what the simulated curves depend on most
    assert len(lines["data"]) == 13
    assert lines["layout"]["xaxis"]["ticktext"][-1] == "psnr [dB]"


def test_the_curves_highlight_the_winner(page: str):
    quality, loss = figures_in(part(page, "curves"))
    assert len(quality["data"]) == len(loss["data"]) == 13
    assert [trace["line"]["width"] for trace in quality["data"]].count(3) == 1


def test_images_and_their_spectra_are_inside(page: str):
    assert part(page, "images").count('<img src="data:image/png;base64,') == 2 * 3 * 2


def test_the_test_split_has_its_interval(page: str):
    text = part(page, "test")
    assert "reaches 30.87 dB on the test images, which were looked at once." in text
    assert "The 95% bootstrap interval over blocks is 30.61 to 31.12 dB." in text
    assert "psnr_kind: clean." in text
    assert "26.50" in text


def test_a_second_look_at_the_test_split_is_told(make_run):
    run = make_run()
    run.write("test.json", run.test() | {"looks": 2})
    assert "looked at 2 times, so take it with care" in part(page_of(run), "test")


def test_the_leaderboard_has_classical_rows(page: str):
    text = part(page, "leaderboard")
    assert text.count('<tr class="classical">') == 3
    assert text.count('<tr class="winner">') == 1
    assert "resolution [nm or px]" in text
    assert "resolution_0143" not in text  # nobody has it


def test_saved_epochs_fingerprint_and_failures_are_told(page: str):
    assert "3 of 15 trials were stopped early, which saved 52 of 260 epochs (20%)" in part(
        page, "early_stopping"
    )
    assert "blind-spot training &lt;would&gt; learn nothing" in part(page, "data")
    assert "correlation length x" in part(page, "data")
    assert "9.1 GiB &lt;of&gt; memory" in part(page, "failures")


def test_the_command_that_reproduces_is_exact(make_run, tmp_path):
    run = make_run(storage=tmp_path / "my runs")
    text = part(page_of(run), "reproduce")
    assert f"beamwright run &#x27;{run.path}/experiment.yaml&#x27;" in text
    assert "task: denoise" in text
    assert "2.13.0" in text


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ((), "Nothing is measured yet."),
        (("running",), "No network has been exported and measured yet"),
        (("failed", "infeasible"), "No trial has a figure yet."),
        (("stopped", "stopped"), "from the training loop"),
        (("finished",), "importances need 8 to be more than noise"),
    ],
)
@pytest.mark.parametrize("complete", [True, False])
def test_a_run_in_any_state_has_a_report(make_run, states, words, complete):
    page = page_of(make_run(states=states, complete=complete, baselines=[]))
    assert words in page
    assert f'badge {"finished" if complete else "interrupted"}"' in page


def test_a_new_run_without_a_study_has_a_report(make_run):
    run = make_run(states=(), complete=False)
    run.journal.unlink()
    assert "The run has no study yet." in page_of(run)


def test_several_objectives_rank_by_quality(make_run):
    run = make_run(objectives=("quality", "parameters"))
    importances, note = rank_parameters(run)
    assert note.startswith("By fANOVA")
    assert sum(importances.values()) == pytest.approx(1)
    assert "By fANOVA" in page_of(run)


def test_few_trials_are_told_in_words(make_run):
    assert rank_parameters(make_run(states=("finished",) * 3))[1].startswith(
        "3 trials have finished; importances need 8"
    )
    assert rank_parameters(make_run(states=("failed",)))[1].startswith("No trials have finished")
    assert rank_parameters(make_run(states=("finished",)))[1].startswith("1 trial has finished")


def test_a_network_that_loses_is_told_first(make_run):
    run = make_run(baselines=[{"name": "bm3d", "parameters": {}, "metrics": {"psnr": 50.0}}])
    assert '<p class="note bad">No network beats the classical rows: bm3d has 50.00 dB' in page_of(run)


def test_what_users_wrote_is_never_markup(make_run):
    attack = "</script><script>alert(1)</script><b>"
    run = make_run()
    run.update(command=attack, note=attack, versions={attack: attack})
    run.trial(0).update(name=attack, parameters={attack: attack, "width": 8}, reason=attack)
    run.trial(10).update(reason=attack)
    run.write(
        "baselines.json",
        [{"name": attack, "parameters": {attack: attack}, "metrics": {"psnr": 20.0}, "latency": 2}],
    )
    run.write("fingerprint.json", {attack: attack, "warnings": [attack]})
    run.write("test.json", run.test() | {"name": attack, "notes": {attack: attack}})
    page = page_of(run)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_front_holds_what_no_other_beats():
    points = [(3.0, 5.0), (1.0, 1.0), (2.0, 4.0), (2.0, 3.0), (4.0, 5.0), (5.0, 2.0)]
    assert pareto_front(points, maximise=True) == [(1.0, 1.0), (2.0, 4.0), (3.0, 5.0)]
    assert pareto_front(points, maximise=False) == [(1.0, 1.0)]
    assert pareto_front([], maximise=True) == []


def test_a_large_search_stays_readable(make_run):
    page = page_of(make_run(states=("finished", "stopped") * 40))
    text = part(page, "leaderboard")
    assert text.count("<tr") == 1 + 40 + 3
    assert "40 more are in leaderboard.csv." in text
    assert len(figures_in(part(page, "hyperparameters"))[1]["data"]) == 60
    assert len(figures_in(part(page, "curves"))[0]["data"]) == 60

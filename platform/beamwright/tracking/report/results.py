"""The sections of the report about the result: headline, leaderboard, images, test, data, reproduction."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from beamwright.tracking.images import make_tiles
from beamwright.tracking.leaderboard import FOOTNOTE, leaderboard_cells, leaderboard_verdict
from beamwright.tracking.metrics import with_unit
from beamwright.tracking.report import markup
from beamwright.tracking.summary import epochs_saved
from beamwright.tracking.text import compact, duration, figure, setting

if TYPE_CHECKING:
    from beamwright.tracking.leaderboard import LeaderboardRow
    from beamwright.tracking.report.view import View

__all__ = ["data", "headline", "images", "leaderboard", "reproduce", "test"]

MOST_ROWS = 40


def headline(view: View) -> str:
    """Name, state, the result in one sentence and in a few figures."""
    beaten = view.winner is not None and view.rows[0].kind == "classical"
    verdict = leaderboard_verdict(view.rows, view.quality)
    started = f"Started {view.status.started:%Y-%m-%d %H:%M}, searched for {duration(view.status.seconds)}."
    return "\n".join(
        (
            f'<h1>{markup.escape(view.run.name)}<span class="badge {view.state}">{view.state}</span></h1>',
            markup.paragraph(f"Task {view.experiment.task}. {started}", "soft"),
            markup.note(verdict, "bad") if beaten else markup.paragraph(verdict, "lead"),
            markup.note(view.status.note) if view.status.note else "",
            f'<div class="tiles">{"".join(_tiles(view))}</div>',
        )
    )


def _tiles(view: View) -> Iterator[str]:
    winner, test = view.winner, view.run.test()
    if winner is not None:
        yield markup.tile(_value(view, view.figure_of(winner)), f"{view.quality.name}, validation")
    if test is not None:
        yield markup.tile(
            _value(view, test["metrics"].get(view.quality.name)), f"{view.quality.name}, test split"
        )
    if winner is not None:
        yield markup.tile(compact((winner.cost or {}).get("parameters")), "parameters of the winner")
        yield markup.tile(f"{figure(winner.latency, 0)} ms", "per megapixel, exported")
    yield markup.tile(str(len(view.records)), _count_states(view))
    saved, planned = epochs_saved(view.run)
    if saved:
        yield markup.tile(f"{saved / planned:.0%}", "of the epochs saved by early stopping")


def _count_states(view: View) -> str:
    states = [record.state for record in view.records]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return "trials" + (": " + ", ".join(counts) if counts else "")


def leaderboard(view: View) -> str:
    """Networks and classical rows."""
    if not view.rows:
        return markup.section("Leaderboard", "leaderboard", markup.paragraph("Nothing is measured yet."))
    present = [metric for metric in view.metrics if any(row.metrics.get(metric.name) for row in view.rows)]
    shown = [row for place, row in enumerate(view.rows) if place < MOST_ROWS or row.kind == "classical"]
    cells = [leaderboard_cells(row, present) for row in shown]
    heads = [name for name, _ in cells[0]]
    rows = [(_style(row, view), [text for _, text in texts]) for row, texts in zip(shown, cells, strict=True)]
    words = [index for index, name in enumerate(heads) if name in ("name", "kind", "state")]
    notes = [FOOTNOTE] if any(not row.deployed for row in shown) else []
    if hidden := len(view.rows) - len(shown):
        notes.append(f"{hidden} more are in leaderboard.csv.")
    return markup.section(
        "Leaderboard",
        "leaderboard",
        markup.paragraph(
            "Validation figures of exported models, run as they are deployed, and of classical methods tuned "
            "on the same images."
        ),
        markup.table(heads, rows, words=words),
        markup.paragraph(" ".join(notes), "soft") if notes else "",
    )


def _style(row: LeaderboardRow, view: View) -> str:
    if row.kind == "classical":
        return "classical"
    if view.winner is not None and row.trial == view.winner.number:
        return "winner"
    return "" if row.deployed else "unranked"


def images(view: View) -> str:
    """Show what the winner does to images."""
    parts = []
    for example in view.examples if view.winner else ():
        figures = "".join(
            f"<figure>{markup.image(image, label)}{markup.image(spectrum, f'power spectrum, {label}')}"
            f"<figcaption>{label}</figcaption></figure>"
            for label, (image, spectrum) in make_tiles(example).items()
        )
        parts.append(f'<div class="images">{figures}</div>')
    words = "One grey scale serves the images of a row, another their log power spectra below."
    return markup.section(
        "Images of the winner",
        "images",
        markup.paragraph(words if parts else "There are no images: no network has been exported yet."),
        *parts,
    )


def test(view: View) -> str:
    """Figures on the untouched test split."""
    content = view.run.test()
    if content is None:
        words = "Not measured yet: the test split is looked at once, for the winner, when the search ends."
        return markup.section("Test split", "test", markup.paragraph(words))
    rows = [
        (
            "winner" if metric is view.quality else "",
            (with_unit(metric), figure(content["metrics"][metric.name], 3)),
        )
        for metric in view.metrics
        if content["metrics"].get(metric.name) is not None
    ]
    notes = [f"{name}: {setting(value)}." for name, value in (content.get("notes") or {}).items()]
    return markup.section(
        "Test split",
        "test",
        markup.paragraph(_test_sentence(view, content)),
        markup.table(("metric", "value"), rows, words=(0,)),
        markup.paragraph(" ".join(notes), "soft") if notes else "",
        _test_classical(view, content),
    )


def _test_sentence(view: View, content: dict[str, Any]) -> str:
    value = _value(view, content["metrics"].get(view.quality.name))
    name = content.get("name") or f"trial {content.get('trial')}"
    looks = content.get("looks", 1)
    once = "looked at once" if looks == 1 else f"looked at {looks} times, so take it with care"
    sentence = f"{name} reaches {value} on the test images, which were {once}."
    if interval := content.get("interval"):
        over = f" over {content['interval_over']}" if content.get("interval_over") else ""
        sentence += (
            f" The {content.get('level', 0.95):.0%} bootstrap interval{over} is "
            f"{figure(interval[0])} to {figure(interval[1])} {view.quality.unit}".rstrip()
            + "."
        )
    return sentence


def _test_classical(view: View, content: dict[str, Any]) -> str:
    rows = [
        ("classical", (row["name"], figure(row["metrics"].get(view.quality.name))))
        for row in content.get("baselines") or ()
    ]
    return markup.table(("classical, same images", with_unit(view.quality)), rows, words=(0,)) if rows else ""


def data(view: View) -> str:
    """Say what the data are like, and what that warns of."""
    content = view.run.fingerprint()
    if content is None:
        return markup.section("Data", "data", markup.paragraph("The fingerprint is not taken yet."))
    rows = [("", (name, text)) for name, text in _flatten(content) if not name.startswith("warnings")]
    warnings = [markup.note(text) for text in content.get("warnings") or ()]
    table = markup.table(("fingerprint", "value"), rows, words=(0,), long=1)
    return markup.section("Data", "data", *(warnings or [markup.note("Nothing to warn of.", "good")]), table)


def _flatten(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, dict):
            yield from _flatten(value, f"{name}, ")
        else:
            text = setting(value)
            yield name, text if len(text) <= 300 else text[:297] + "..."


def reproduce(view: View) -> str:
    """How to get this result again."""
    path = view.run.path / "experiment.yaml"
    versions = [("", (name, text)) for name, text in view.status.versions.items()]
    return markup.section(
        "Reproduce",
        "reproduce",
        markup.paragraph(
            f"The run keeps the resolved experiment, seed {view.experiment.seed}. This repeats the search:"
        ),
        markup.preformatted(f"beamwright run {shlex.quote(str(path))}"),
        markup.paragraph("It was started by:") if view.status.command else "",
        markup.preformatted(view.status.command) if view.status.command else "",
        f"<details><summary>The experiment file</summary>{markup.preformatted(path.read_text())}</details>",
        markup.table(("package", "version"), versions, words=(0, 1)) if versions else "",
    )


def _value(view: View, value: float | None) -> str:
    return f"{figure(value)} {view.quality.unit}".strip()

"""The sections of the report about the search: history, cost, hyperparameters, curves, failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beamwright.tracking.report import markup
from beamwright.tracking.report.costs import cost_figures
from beamwright.tracking.report.figures import curve_figure, history_figure, importance_figure, loss_figure
from beamwright.tracking.report.importance import rank_parameters
from beamwright.tracking.report.parallel import MOST_LINES, parallel_figure
from beamwright.tracking.summary import epochs_saved
from beamwright.tracking.text import duration

if TYPE_CHECKING:
    from beamwright.tracking.report.view import View

__all__ = ["cost", "curves", "early_stopping", "failures", "history", "hyperparameters"]

NOTHING = "No trial has a figure yet."


def history(view: View) -> str:
    """Show how the best came to be."""
    figure = history_figure(view)
    words = "Each point is a trial; open circles were stopped and show the figure of their training loop."
    return markup.section(
        "History of the best", "history", markup.paragraph(words if figure else NOTHING), markup.plot(figure)
    )


def cost(view: View) -> str:
    """Quality against cost."""
    figures = cost_figures(view)
    words = (
        f"{'Upper' if view.quality.maximise else 'Lower'} left is better. The star is the winner, "
        "open circles were stopped, diamonds are classical rows; the dotted line joins the exported networks "
        "that no other beats in both."
    )
    plots = "".join(markup.plot(figure) for figure in figures)
    return markup.section(
        "Quality against cost",
        "cost",
        markup.paragraph(words if figures else "No trial has a figure and a known cost yet."),
        f'<div class="row">{plots}</div>',
    )


def hyperparameters(view: View) -> str:
    """Show what mattered, and all trials over their parameters."""
    importances, words = rank_parameters(view.run)
    parallel = parallel_figure(view, order=list(importances))
    return markup.section(
        "Which hyperparameters mattered",
        "hyperparameters",
        markup.paragraph(words),
        markup.plot(importance_figure(importances)) if importances else "",
        "<h3>Parallel coordinates</h3>",
        markup.paragraph(
            f"Each line is one of the best trials, {MOST_LINES} at most, up to its quality; yellow is better."
            if parallel
            else "At least two trials with a figure and a parameter that differs are needed."
        ),
        markup.plot(parallel, crowd=True, wide=True),
    )


def curves(view: View) -> str:
    """Training, trial by trial."""
    quality, loss = curve_figure(view), loss_figure(view)
    words = (
        "Blue trials finished, grey ones were stopped, the winner is orange. Validation is by the training "
        "loop, perhaps on part of the images, and may differ from the figures of the exported models."
    )
    return markup.section(
        "Curves of the trials",
        "curves",
        markup.paragraph(words if quality or loss else "No epoch is complete yet."),
        f'<div class="row">{markup.plot(quality, crowd=True)}{markup.plot(loss, crowd=True)}</div>',
    )


def early_stopping(view: View) -> str:
    """Say what early stopping saved."""
    saved, planned = epochs_saved(view.run)
    stopped = [record for record in view.records if record.state == "stopped"]
    if not stopped:
        words = f"No trial was stopped early; the scheduler is {view.experiment.search.scheduler}."
        return markup.section("Early stopping", "early_stopping", markup.paragraph(words))
    trained = max(sum(record.epochs for record in view.records), 1)
    pace = sum(record.seconds for record in view.records) / trained
    words = (
        f"{len(stopped)} of {len(view.records)} trials were stopped early, which saved {saved} of {planned} "
        f"epochs ({saved / planned:.0%}): about {duration(pace * saved)} of training at the average pace."
    )
    return markup.section("Early stopping", "early_stopping", markup.paragraph(words))


def failures(view: View) -> str:
    """List what did not work, and why."""
    bad = [record for record in view.records if record.state in ("failed", "infeasible")]
    if not bad:
        return markup.section("Failures", "failures", markup.paragraph("None."))
    rows = [
        ("", (str(record.number), record.label, record.state, record.reason or "no reason was recorded"))
        for record in bad
    ]
    table = markup.table(("trial", "name", "state", "reason"), rows, words=(1, 2), long=3)
    return markup.section("Failures", "failures", table)

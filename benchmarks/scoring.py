"""Rows of the comparisons: who scored what, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from results import table

from beamwright.tasks import Scores

__all__ = ["Contestant", "difference", "ranking"]


@dataclass(frozen=True)
class Contestant:
    """One predictor of a comparison.

    Parameters
    ----------
    name
        In the table.
    scores
        By what it was measured on, such as ``held out``.
    remark
        What the reader must know of how it was made.
    """

    name: str
    scores: dict[str, Scores] = field(default_factory=dict)
    remark: str = ""

    def psnr(self, on: str) -> float:
        """Return the mean over the images [dB]; not-a-number where it was not measured."""
        return self.scores[on].metrics["psnr"] if on in self.scores else float("nan")


def ranking(contestants: Sequence[Contestant], columns: Sequence[str], *, ssim: str | None = None) -> str:
    """Return the table, best first in the first column; those without it come last."""
    placed = sorted(contestants, key=lambda one: np.nan_to_num(one.psnr(columns[0]), nan=-1), reverse=True)
    head = ["", *(f"PSNR {column} [dB]" for column in columns), *(["SSIM"] if ssim else []), ""]
    rows = []
    for one in placed:
        cells = [_cell(one.scores.get(column)) for column in columns]
        structure = one.scores[ssim].metrics.get("ssim") if ssim and ssim in one.scores else None
        extra = ([f"{structure:.3f}" if structure is not None else ""]) if ssim else []
        rows.append([one.name, *cells, *extra, one.remark])
    return table(head, rows)


def _cell(scores: Scores | None) -> str:
    if scores is None:
        return ""
    low, high = scores.interval()
    return f"{scores.metrics['psnr']:.2f} ({low:.2f} to {high:.2f})"


def difference(first: Contestant, second: Contestant, on: str, *, draws: int = 4000) -> str:
    """Return how much better the first is, with a paired bootstrap interval.

    Pairs are images where there are four or more, else blocks of the images: both saw the same pixels.
    """
    ours, theirs = first.scores[on], second.scores[on]
    rng = np.random.default_rng(0)
    if len(ours.per_image) >= 4:
        gaps = np.array(
            [
                float(a["psnr"]) - float(b["psnr"])
                for a, b in zip(ours.per_image, theirs.per_image, strict=True)
            ]
        )
        values = gaps[rng.integers(len(gaps), size=(draws, len(gaps)))].mean(axis=1)
        mean = float(gaps.mean())
    else:
        values = np.mean(
            [_gap(a, b, ours, theirs, draws, rng) for a, b in zip(ours.blocks, theirs.blocks, strict=True)],
            axis=0,
        )
        mean = ours.metrics["psnr"] - theirs.metrics["psnr"]
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{mean:+.2f} dB ({low:+.2f} to {high:+.2f})"


def _gap(
    first: np.ndarray, second: np.ndarray, ours: Scores, theirs: Scores, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Return the difference of one image for blocks drawn alike for both, ``(draws,)`` [dB]."""
    drawn = rng.integers(len(first), size=(draws, len(first)))
    sums = [side[drawn].sum(axis=1) for side in (first, second)]
    a, b = (
        quality(total[:, 0] / total[:, 1])
        for quality, total in zip((ours.quality, theirs.quality), sums, strict=True)
    )
    return a - b

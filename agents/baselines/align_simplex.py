"""The simplex of Nelder and Mead."""

from __future__ import annotations

import numpy as np

from beamwright.agents.baselines.align_search import Asking, GeneratorSearch, Place, Search, SearchBaseline

__all__ = ["NelderMead", "nelder_mead"]


class NelderMead(SearchBaseline):
    """Nelder and Mead's simplex on the figure of merit.

    Parameters
    ----------
    size
        Of the first simplex along each knob, as a share of half its range.
    adaptive
        Use the coefficients for many dimensions.
    seed
        Without meaning: nothing is drawn.

    References
    ----------
    J. A. Nelder and R. Mead, The Computer Journal 7 (1965) 308-313. F. Gao and L. Han, Computational
    Optimization and Applications 51 (2012) 259-277: coefficients for many dimensions.
    """

    def __init__(self, *, size: float = 0.5, adaptive: bool = True, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.size, self.adaptive = size, adaptive

    def search(self, knobs: int, seed: int) -> Search:
        """See `SearchBaseline.search`."""
        return GeneratorSearch(nelder_mead(np.zeros(knobs), size=self.size, adaptive=self.adaptive))


def nelder_mead(start: Place, *, size: float, adaptive: bool = True) -> Asking:
    """Climb to a maximum, without end.

    Parameters
    ----------
    start
        First corner, ``(K,)``; it is asked for first.
    size
        Distance of the other corners.
    adaptive
        Use the coefficients for many dimensions.
    """
    count = len(start)
    expand, contract, shrink = _coefficients(count, adaptive)
    corners = np.vstack([start, np.clip(start + size * np.eye(count), -1, 1)])  # (K + 1, K)
    heights = np.empty(count + 1)
    for i, corner in enumerate(corners):
        heights[i] = yield corner
    while True:
        order = np.argsort(-heights, kind="stable")
        corners, heights = corners[order], heights[order]
        centre, worst = corners[:-1].mean(0), corners[-1]
        mirrored = np.clip(2 * centre - worst, -1, 1)
        height = yield mirrored
        if height > heights[0]:
            farther = np.clip(centre + expand * (centre - worst), -1, 1)
            other = yield farther
            corners[-1], heights[-1] = (farther, other) if other > height else (mirrored, height)
        elif height > heights[-2]:
            corners[-1], heights[-1] = mirrored, height
        else:
            outside = height > heights[-1]
            nearer = np.clip(centre + (contract if outside else -contract) * (centre - worst), -1, 1)
            other = yield nearer
            if other >= height if outside else other > heights[-1]:
                corners[-1], heights[-1] = nearer, other
                continue
            for i in range(1, count + 1):
                corners[i] = np.clip(corners[0] + shrink * (corners[i] - corners[0]), -1, 1)
                heights[i] = yield corners[i]


def _coefficients(count: int, adaptive: bool) -> tuple[float, float, float]:
    """Return those of expansion, contraction and shrinkage."""
    return (1 + 2 / count, 0.75 - 1 / (2 * count), 1 - 1 / count) if adaptive else (2.0, 0.5, 0.5)

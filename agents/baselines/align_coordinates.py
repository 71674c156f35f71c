"""One knob after the other: look to both sides, and go to the top of the parabola."""

from __future__ import annotations

import itertools

import numpy as np

from beamwright.agents.baselines.align_search import Asking, GeneratorSearch, Place, Search, SearchBaseline

__all__ = ["CoordinateSearch", "coordinate_search", "vertex"]


class CoordinateSearch(SearchBaseline):
    """What operators and modal sensorless optics do: a parabola through a few values of one knob at a time.

    Parameters
    ----------
    points
        Values of each knob, evenly spaced about where it stands, an odd number.
    reach
        How far the first ones are spread to both sides, as a share of half the range.
    shrink
        Factor on that after each round of all knobs.
    seed
        Without meaning: nothing is drawn.

    References
    ----------
    D. Debarre, M. J. Booth and T. Wilson, Optics Express 15 (2007) 8176-8190: modal search.
    """

    def __init__(self, *, points: int = 3, reach: float = 0.8, shrink: float = 0.5, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.points, self.reach, self.shrink = points, reach, shrink

    def search(self, knobs: int, seed: int) -> Search:
        """See `SearchBaseline.search`."""
        return _Coordinates(knobs, self.points, self.reach, self.shrink)


class _Coordinates(GeneratorSearch):
    def __init__(self, knobs: int, points: int, reach: float, shrink: float) -> None:
        self._centre = np.zeros(knobs)
        super().__init__(coordinate_search(self._centre, points, reach, shrink))

    def best(self) -> Place:
        """Return where the parabolas led, which noise chose less than the place of the largest value."""
        return self._centre.copy()


def coordinate_search(centre: Place, points: int, reach: float, shrink: float) -> Asking:
    """Climb along one coordinate after the other, without end.

    Parameters
    ----------
    centre
        Where to begin, ``(K,)``; it is moved in place.
    points, reach, shrink
        As those of `CoordinateSearch`.
    """
    here = yield centre.copy()
    for turn in itertools.count():
        around, knob = divmod(turn, len(centre))
        step = reach * shrink**around
        places = np.clip(centre[knob] + np.linspace(-step, step, points), -1, 1)
        values = np.empty(points)
        for i, place in enumerate(places):
            looked = centre.copy()
            looked[knob] = place
            values[i] = here if i == points // 2 else (yield looked)
        centre[knob], here = vertex(places, values)


def vertex(places: Place, values: Place) -> tuple[float, float]:
    """Return place and height of the top of the parabola through the largest value and its neighbours.

    At the ends, or where three values have no top, it is the largest value.

    Parameters
    ----------
    places
        Ascending, ``(N,)``.
    values
        ``(N,)``.
    """
    places, first = np.unique(places, return_index=True)  # at a limit two places may be one
    values = values[first]
    top = int(np.argmax(values))
    if not 0 < top < len(values) - 1:
        return float(places[top]), float(values[top])
    (x0, x1, x2), (y0, y1, y2) = places[top - 1 : top + 2], values[top - 1 : top + 2]
    left, right = (y1 - y0) / (x1 - x0), (y2 - y1) / (x2 - x1)
    bend = (right - left) / (x2 - x0)
    if bend >= 0:
        return float(x1), float(y1)
    x = (x0 + x1) / 2 - left / (2 * bend)
    return float(x), float(y0 + left * (x - x0) + bend * (x - x0) * (x - x1))

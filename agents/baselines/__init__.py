"""Baselines by name: what a learned agent has to beat.

Nothing is imported before it is asked for: ``BASELINES.load("greedy")`` gives the class, and
`beamwright.agents.baselines.baseline.make_baseline` an object that fits an environment.
"""

from __future__ import annotations

from beamwright.registry import Entry, Registry

__all__ = ["BASELINES"]


def _entry(name: str, summary: str, place: str, source: str = "") -> Entry:
    return Entry(name, summary, f"beamwright.agents.baselines.{place}", source)


BASELINES = Registry(
    "baseline",
    _entry("random", "any allowed action", "random:Random"),
    # Scanning
    _entry("grid", "the nodes of a square grid, as a whole scan", "scan_static:Grid"),
    _entry(
        "jittered-grid", "a random point in each cell of a grid, as a whole scan", "scan_static:JitteredGrid"
    ),
    _entry("halton", "a low-discrepancy sequence, as a whole scan", "scan_static:Halton"),
    _entry("uniform", "points anywhere, as a whole scan", "scan_static:Uniform"),
    _entry("raster", "a few whole rows, as a whole scan", "scan_static:Raster"),
    _entry("serpentine", "a few rows to and fro, as a whole scan", "scan_static:Serpentine"),
    _entry("spiral", "a spiral from the centre, as a whole scan", "scan_static:Spiral"),
    _entry("square-spiral", "a spiral that reaches the corners, as a whole scan", "scan_static:SquareSpiral"),
    _entry("lissajous", "a Lissajous figure, as a whole scan", "scan_static:Lissajous"),
    _entry(
        "random-walk", "straight segments in random directions, as a whole scan", "scan_static:RandomWalk"
    ),
    _entry("greedy", "where the reconstructor predicts most error", "scan_greedy:Greedy"),
    _entry("oracle", "where there truly is most error: a bound, not a baseline", "scan_greedy:Oracle"),
    # Alignment
    _entry(
        "nelder-mead",
        "downhill simplex on the sharpness of exposures",
        "align_simplex:NelderMead",
        "J. A. Nelder and R. Mead, Comput. J. 7, 308 (1965)",
    ),
    _entry(
        "coordinates", "a parabola through the sharpness, knob by knob", "align_coordinates:CoordinateSearch"
    ),
    _entry(
        "cma-es",
        "evolution strategy on the sharpness of exposures",
        "align_evolution:CmaEs",
        "N. Hansen, arXiv:1604.00772",
    ),
    _entry(
        "gp-bo",
        "Bayesian optimisation of the sharpness, by a Gaussian process",
        "align_bayes:GaussianProcess",
    ),
    # Tracking
    _entry("hold-still", "corrects nothing: what drift costs who ignores it", "track_base:HoldStill"),
    _entry(
        "repeat-measure", "measures again and again, and puts right what it sees", "track_base:RepeatMeasure"
    ),
    _entry(
        "kalman",
        "follows offset and velocity, and measures when it pays",
        "track_kalman:KalmanTracker",
        "R. E. Kalman, J. Basic Eng. 82, 35 (1960)",
    ),
)

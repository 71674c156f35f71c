"""Baselines by name: what a learned agent has to beat.

Nothing is imported before it is asked for: ``BASELINES.load("greedy")`` gives the class, and
`beamwright.agents.baselines.baseline.make_baseline` an object that fits an environment.
"""

from __future__ import annotations

from beamwright.registry import Entry, Registry

__all__ = ["BASELINES"]

_HERE = "beamwright.agents.baselines"
BASELINES = Registry(
    "baseline",
    Entry("random", "any allowed action", f"{_HERE}.random:Random"),
    Entry("grid", "the nodes of a square grid, as a whole scan", f"{_HERE}.scan_static:Grid"),
    Entry("halton", "a low-discrepancy sequence, as a whole scan", f"{_HERE}.scan_static:Halton"),
    Entry("jittered-grid", "a grid with random offsets, as a whole scan", f"{_HERE}.scan_static:JitteredGrid"),
    Entry("raster", "a few whole lines, as a whole scan", f"{_HERE}.scan_static:Raster"),
    Entry("serpentine", "a few lines to and fro, as a whole scan", f"{_HERE}.scan_static:Serpentine"),
    Entry("spiral", "a spiral from the centre", f"{_HERE}.scan_followed:Spiral"),
    Entry("square-spiral", "a spiral that reaches the corners", f"{_HERE}.scan_followed:SquareSpiral"),
    Entry("lissajous", "a Lissajous figure", f"{_HERE}.scan_followed:Lissajous"),
    Entry("random-walk", "segments in random directions that avoid turning back", f"{_HERE}.scan_followed:RandomWalk"),
    Entry(
        "optimised-path",
        "a path optimised by gradient through the reconstruction of training specimens",
        f"{_HERE}.scan_optimised:OptimisedPath",
    ),
    Entry("greedy", "where the reconstructor predicts most error", f"{_HERE}.scan_greedy:Greedy"),
    Entry("oracle", "where there truly is most error: a bound, not a baseline", f"{_HERE}.scan_greedy:Oracle"),
    Entry(
        "slads",
        "point by point where a regression expects the largest reduction of distortion",
        f"{_HERE}.scan_slads:Slads",
        "G. M. D. P. Godaliyadda et al., IEEE Trans. Comput. Imaging 4, 1 (2018)",
    ),
    Entry("tiles-in-order", "tiles row by row", f"{_HERE}.scan_tiles:TilesInOrder"),
    Entry("tiles-apart", "tiles as far apart as possible", f"{_HERE}.scan_tiles:TilesApart"),
)

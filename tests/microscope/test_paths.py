from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.paths import (
    CONTIGUOUS,
    PATTERNS,
    grid,
    halton,
    jittered_grid,
    raster,
    serpentine,
)
from beamwright.envs.microscope.points import coverage
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)


@settings(deadline=None, max_examples=15)
@given(points=st.integers(1, 700), height=st.integers(2, 90), width=st.integers(2, 90))
@pytest.mark.parametrize("name", [name for name in PATTERNS.names() if name != "random-walk"])
def test_every_pattern_has_its_points_on_the_field(name: str, points: int, height: int, width: int) -> None:
    path = PATTERNS.load(name)(points, (height, width), streams=Streams.from_seed(1, 2))
    assert path.shape in ((1, points, 2), (2, points, 2))
    assert path.dtype == torch.float32
    assert (path >= 0).all()
    assert (path <= torch.tensor([height - 1.0, width - 1.0]) + 1e-4).all()


@pytest.mark.parametrize("name", CONTIGUOUS)
@pytest.mark.parametrize("spacing", [1.0, 2**0.5])
def test_contiguous_patterns_move_at_a_constant_speed(name: str, spacing: float) -> None:
    path = PATTERNS.load(name)(400, (96, 96), spacing=spacing)
    steps = torch.diff(path, dim=1).norm(dim=-1)
    assert float(steps.max()) <= spacing * 1.001  # a chord of the curve, shorter only in bends
    assert float(steps.median()) == pytest.approx(spacing, rel=0.01)


@pytest.mark.parametrize("pattern", [raster, serpentine, grid])
def test_as_many_points_as_pixels_visit_all(pattern: object) -> None:
    path = pattern(24 * 36, (24, 36))  # type: ignore[operator]
    assert coverage(path, (24, 36)).tolist() == [1.0]
    assert torch.allclose(path, path.round(), atol=1e-4)


def test_a_raster_goes_to_the_right_and_a_serpentine_to_and_fro() -> None:
    assert raster(6, (2, 3)).tolist() == [[[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]]
    assert serpentine(6, (2, 3)).tolist() == [[[0, 0], [0, 1], [0, 2], [1, 2], [1, 1], [1, 0]]]


def test_400_points_are_a_grid_of_20_by_20() -> None:
    path = grid(400, (96, 96))
    assert sorted(set(path[0, :, 0].tolist())) == pytest.approx([1.9 + 4.8 * i for i in range(20)], abs=1e-4)
    assert int(coverage(path, (96, 96)) * 9216 + 0.5) == 400


def test_jittered_points_stay_in_their_cells() -> None:
    jittered = jittered_grid(400, (96, 96), streams=Streams.from_seed(0, 50))
    moved = jittered - grid(400, (96, 96))
    assert float(moved.abs().max()) <= 2.4 + 1e-4
    assert float(moved.std()) == pytest.approx(4.8 / 12**0.5, rel=0.02)


def test_the_halton_sequence() -> None:
    unit = (halton(4, (216, 216)) + 0.5) / 216
    assert torch.allclose(unit[0, :, 0], torch.tensor([1 / 2, 1 / 4, 3 / 4, 1 / 8]))
    assert torch.allclose(unit[0, :, 1], torch.tensor([1 / 3, 2 / 3, 1 / 9, 4 / 9]), atol=1e-6)
    shifted = halton(100, (50, 50), streams=Streams.from_seed(0, 3))
    assert shifted.shape == (3, 100, 2)
    assert not torch.equal(shifted[0], shifted[1])


def test_a_spiral_fills_the_field_from_its_centre() -> None:
    radius = (PATTERNS.load("spiral")(1500, (96, 96)) - 47.5).norm(dim=-1)[0]
    assert (torch.diff(radius) > -1e-3).all()
    assert float(radius[0]) == 0
    assert float(radius[-1]) == pytest.approx(47.5, abs=0.1)
    outwards = torch.linspace(0, 47.5, 6)
    ring = [int(((radius >= a) & (radius < b)).sum()) for a, b in itertools.pairwise(outwards)]
    shares = torch.tensor(ring) / 1500
    assert torch.allclose(shares, torch.tensor([1, 3, 5, 7, 9]) / 25, atol=0.02)  # equal density


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(MicroscopeError, match="at least one point on a field of 2x2 pixels, not 0 on 96x96"):
        raster(0, (96, 96))
    with pytest.raises(
        MicroscopeError, match="points of a path must be apart, not 0 px; 1 px visits every pixel"
    ):
        serpentine(10, (96, 96), spacing=0.0)

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.paths import CONTIGUOUS
from beamwright.envs.microscope.points import coverage, pixel_index
from beamwright.envs.microscope.segments import (
    EDE_2020,
    SegmentScan,
    as_chain,
    follow_headings,
    random_walk,
    segment,
    stays_inside,
)
from beamwright.errors import MicroscopeError, UnknownNameError

torch.set_num_threads(1)


def test_the_setting_of_ede() -> None:
    assert EDE_2020.shape == (96, 96)
    assert EDE_2020.segments * EDE_2020.points == 400
    assert EDE_2020.coverage == 400 / 9216
    assert round(100 * EDE_2020.coverage, 2) == 4.34
    assert EDE_2020.length == pytest.approx(20 * math.sqrt(2), rel=2e-5)


@settings(deadline=None, max_examples=200)
@given(
    y=st.floats(30, 66, width=32),
    x=st.floats(30, 66, width=32),
    heading=st.one_of(st.floats(-4, 4), st.integers(-8, 8).map(lambda k: k * math.pi / 4)),
)
def test_a_segment_of_ede_never_measures_a_pixel_twice(y: float, x: float, heading: float) -> None:
    path, _ = segment(torch.tensor([[y, x]]), torch.tensor([heading]), EDE_2020.points, EDE_2020.spacing)
    index, inside = pixel_index(path, EDE_2020.shape)
    assert inside.all()
    assert len(set(index[0].tolist())) == 20


@pytest.mark.parametrize("name", ["serpentine", "spiral", "square-spiral"])
def test_a_static_chain_of_ede_covers_4_34_percent_exactly(name: str) -> None:
    start, headings = as_chain(name, EDE_2020)
    path = follow_headings(start, headings, EDE_2020)
    index, inside = pixel_index(path, EDE_2020.shape)
    assert inside.all()
    assert len(set(index[0].tolist())) == 400
    assert float(coverage(path, EDE_2020.shape)) == pytest.approx(400 / 9216, rel=1e-6)


@pytest.mark.parametrize("name", CONTIGUOUS)
def test_chains_use_up_their_pattern(name: str) -> None:
    scan = SegmentScan((64, 64), 15, 10, 1.0)
    start, headings = as_chain(name, scan)
    path = follow_headings(start, headings, scan)
    assert headings.shape == (1, 15)
    assert path.shape == (1, 150, 2)
    assert float(path.max() - path.min()) > 40  # it reaches most of the field
    assert float(path.min()) > -0.5
    assert float(path.max()) < 63.5


def test_segments_join() -> None:
    start, headings = torch.tensor([[20.0, 30.0]]), torch.tensor([[0.0, math.pi / 2]])
    scan = SegmentScan((64, 64), 2, 3, 2.0)
    path = follow_headings(start, headings, scan)
    expected = [[20, 30], [20, 32], [20, 34], [20, 36], [22, 36], [24, 36]]
    assert torch.allclose(path[0], torch.tensor(expected, dtype=torch.float32), atol=1e-5)
    first, end = segment(start, headings[:, 0], 3, torch.tensor([2.0]))
    second, _ = segment(end, headings[:, 1], 3, 2.0)
    assert torch.allclose(path, torch.cat((first, second), 1), atol=1e-5)


def test_moves_off_the_field_are_known() -> None:
    start, headings = torch.tensor([[2.0, 2.0], [30.0, 30.0]]), torch.tensor([0.0, math.pi / 2, math.pi])
    assert stays_inside(start, headings, 5.0, (32, 64)).tolist() == [[True, True, False], [True, False, True]]


def test_random_walks_stay_on_the_field_and_differ() -> None:
    path = random_walk(390, (96, 64), streams=Streams.from_seed(4, 30), spacing=EDE_2020.spacing)
    assert path.shape == (30, 390, 2)
    assert pixel_index(path, (96, 64))[1].all()
    assert path[:, 0].unique(dim=0).tolist() == [[48.0, 32.0]]
    assert len(path[:, -1].unique(dim=0)) == 30
    alone = random_walk(390, (96, 64), streams=Streams.from_seed(11, 1), spacing=EDE_2020.spacing)
    assert torch.allclose(path[7], alone[0], atol=1e-4)


def test_impossible_chains_are_refused() -> None:
    with pytest.raises(
        MicroscopeError, match=r"needs segments, points and a distance between them, not 0, 20 and 1 px"
    ):
        SegmentScan((96, 96), 0, 20, 1.0)
    with pytest.raises(
        MicroscopeError, match=r"centre and edge of the field, 15.5 px, but 20 points at 1 px are 20 px"
    ):
        SegmentScan((32, 96), 5, 20, 1.0)
    with pytest.raises(MicroscopeError, match=r'Only a contiguous pattern .* not "grid"'):
        as_chain("grid", EDE_2020)
    with pytest.raises(UnknownNameError, match=r'There is no scan pattern "spirale". Did you mean "spiral"'):
        as_chain("spirale", EDE_2020)

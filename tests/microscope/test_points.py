from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.points import (
    coverage,
    pixel_index,
    require_inside,
    sample,
    splat,
    to_lengths,
    to_pixels,
)
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)


def test_sampling_is_bilinear() -> None:
    y, x = torch.meshgrid(torch.arange(7.0), torch.arange(9.0), indexing="ij")
    points = Streams.from_seed(0, 2).uniform(50, 2) * torch.tensor([6.0, 8.0])
    image = (2 * y - 3 * x + x * y)[None]
    by, bx = points.unbind(-1)
    plane = sample((2 * y - 3 * x)[None], points)
    assert torch.allclose(plane, 2 * by - 3 * bx, atol=1e-4)
    scaled = points.flip(-1) / torch.tensor([8.0, 6.0]) * 2 - 1
    other = torch.nn.functional.grid_sample(
        image[None].expand(2, -1, -1, -1), scaled[:, None], align_corners=True
    )
    assert torch.allclose(sample(image, points), other[:, 0, 0], atol=1e-4)


def test_outside_the_image_continues_as_its_edge() -> None:
    image = torch.arange(12.0).reshape(1, 3, 4)
    points = torch.tensor([[[-5.0, 0.0], [2.0, 9.0], [9.0, 9.0], [2.0, 3.0]]])
    assert sample(image, points).tolist() == [[0.0, 11.0, 11.0, 11.0]]


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999))
def test_bilinear_splatting_is_the_transpose_of_sampling(seed: int) -> None:
    streams = Streams.from_seed(seed, 2)
    image, values = streams.uniform(8, 6), streams.normal(30)
    points = streams.uniform(30, 2) * torch.tensor([7.0, 5.0])
    total, weight = splat(values, points, (8, 6), bilinear=True)
    assert torch.allclose((sample(image, points) * values).sum(1), (image * total).sum((1, 2)), atol=1e-4)
    assert torch.allclose(weight.sum((1, 2)), torch.tensor(30.0), atol=1e-4)


def test_splatting_adds_onto_what_was_there() -> None:
    points = torch.tensor([[[0.0, 0.0], [0.4, 0.4], [2.0, 1.0], [-3.0, 0.0]]])
    once = splat(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), points, (3, 2))
    assert once[0].tolist() == [[[3.0, 0.0], [0.0, 0.0], [0.0, 4.0]]]
    assert once[1].tolist() == [[[2.0, 0.0], [0.0, 0.0], [0.0, 1.0]]]
    before = once[0].clone()
    twice = splat(torch.ones(1, 4), points, (3, 2), onto=once)
    assert twice[1].sum() == 6
    assert torch.equal(once[0], before)


def test_halves_go_to_different_pixels() -> None:
    points = torch.tensor([[0.5, 0.0], [1.5, 0.0], [2.5, 0.0], [-0.5, 0.0], [-0.6, 0.0]])
    index, inside = pixel_index(points, (4, 1))
    assert index.tolist() == [1, 2, 3, 0, 0]
    assert inside.tolist() == [True, True, True, True, False]


def test_coverage_counts_a_pixel_once() -> None:
    points = torch.tensor([[[0.0, 0.0], [0.2, 0.1], [1.0, 1.0], [9.0, 9.0]]])
    assert coverage(points, (2, 2)).tolist() == [0.5]


def test_pixels_and_lengths() -> None:
    points = torch.rand(3, 5, 2)
    size = torch.tensor([0.1, 0.2, 0.4])
    assert torch.allclose(to_pixels(to_lengths(points, size), size), points, atol=1e-6)
    assert to_lengths(torch.zeros(1, 1, 2), 0.2).tolist() == [[[pytest.approx(0.1), pytest.approx(0.1)]]]


def test_paths_off_the_field_are_refused() -> None:
    require_inside(torch.tensor([[0.0, 4.0], [2.0, 0.0]]), (2.0, 4.0))
    with pytest.raises(
        MicroscopeError,
        match=r"0 to 2 \(y\) and 0 to 4 nm \(x\), but 1 of 2 points do not, the first at \(3, 1\); clip",
    ):
        require_inside(torch.tensor([[0.0, 4.0], [3.0, 1.0]]), (2.0, 4.0))
    with pytest.raises(MicroscopeError, match="the first at"):
        require_inside(torch.tensor([[0.0, torch.nan]]), (2.0, 4.0))

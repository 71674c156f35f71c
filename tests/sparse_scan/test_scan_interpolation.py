import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import griddata

from beamwright.envs.microscope.paths import spiral
from beamwright.envs.microscope.points import sample, splat
from beamwright.envs.microscope.specimens import SpecimenConfig, specimen_pool
from beamwright.envs.sparse_scan import Interpolation
from beamwright.envs.sparse_scan.filters import averaging, blurred, gaussian, linear_up

SHAPE = (48, 64)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def scattered(share=0.08, count=3, seed=0):
    """Values of smooth images at random pixels, as (values, dose, image)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 6, 8, generator=generator)
    image = torch.nn.functional.interpolate(coarse, size=SHAPE, mode="bicubic")[:, 0]
    mask = (torch.rand(count, *SHAPE, generator=generator) < share).float()
    return image * mask, 50 * mask, image


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(0.1, 5), shift=st.floats(-3, 3), seed=st.integers(0, 99))
def test_the_image_follows_gain_and_offset_of_the_values(scale, shift, seed):
    values, dose, _ = scattered(seed=seed)
    interpolate = Interpolation(SHAPE)
    expected = scale * interpolate(values, dose).image + shift
    found = interpolate(torch.where(dose > 0, scale * values + shift, 0.0), dose).image
    assert torch.allclose(found, expected, atol=1e-3)


def test_a_uniform_specimen_is_found_everywhere():
    _, dose, _ = scattered()
    image = Interpolation(SHAPE, noise=1.0)(0.3 * (dose > 0), dose).image
    assert torch.allclose(image, torch.full_like(image, 0.3), atol=1e-4)


def test_nothing_measured_is_an_image_of_nothing_with_the_prior_variance():
    nothing = torch.zeros(2, *SHAPE)
    made = Interpolation(SHAPE)(nothing, nothing)
    assert (made.image == 0).all()
    assert made.error.min() > 0.01


def test_more_measurements_give_a_smaller_error_and_predict_it():
    errors, predicted = [], []
    for share in (0.01, 0.05, 0.2, 0.8):
        values, dose, image = scattered(share, count=8)
        made = Interpolation(SHAPE)(values, dose)
        errors.append(float(((made.image - image) ** 2).mean()))
        predicted.append(float(made.error.mean()))
    assert errors == sorted(errors, reverse=True)
    assert predicted == sorted(predicted, reverse=True)


def test_the_predicted_error_ranks_pixels_and_has_the_right_size():
    pool = specimen_pool(SpecimenConfig(classes=("particle_cluster", "porous"), pool=16), shape=(64, 64))
    image = pool.specimens.signal
    points = spiral(320, (64, 64)).expand(len(image), -1, -1).round()
    total, weight = splat(sample(image, points), points, (64, 64))
    made = Interpolation((64, 64))(total / weight.clamp_min(1), weight)
    squared = (made.image - image) ** 2
    assert 0.4 < float(made.error.mean() / squared.mean()) < 2.5
    ranks = (tensor.flatten(1).argsort(1).argsort(1).float() for tensor in (made.error, squared))
    assert np.corrcoef(*(rank.flatten().numpy() for rank in ranks))[0, 1] > 0.3


def test_it_is_as_good_as_linear_interpolation_between_triangles():
    pool = specimen_pool(SpecimenConfig(classes=("particle_cluster", "porous"), pool=16), shape=(64, 64))
    image = pool.specimens.signal
    points = spiral(320, (64, 64)).expand(len(image), -1, -1).round()
    total, weight = splat(sample(image, points), points, (64, 64))
    values = total / weight.clamp_min(1)
    ours = ((Interpolation((64, 64))(values, weight).image - image) ** 2).mean()
    grid = np.mgrid[:64, :64]
    known = [np.argwhere(mask) for mask in weight.numpy() > 0]
    theirs = []
    for place, value, true in zip(known, values.numpy(), image.numpy(), strict=True):
        data = value[tuple(place.T)]
        linear, nearest = (griddata(place, data, tuple(grid), method=name) for name in ("linear", "nearest"))
        theirs.append(((np.where(np.isnan(linear), nearest, linear) - true) ** 2).mean())
    assert float(ours) < 1.05 * np.mean(theirs)


def test_noisy_measurements_weigh_by_their_dose():
    values, dose, _ = scattered(1.0, count=1)
    values, dose = torch.full_like(values, 0.2), torch.full_like(dose, 1000.0)
    values[:, 24, 32], dose[:, 24, 32] = 1.0, 1.0  # one electron says otherwise
    image = Interpolation(SHAPE, noise=1.0)(values, dose).image
    assert float(image[0, 24, 32]) < 0.3


def test_large_batches_are_the_same_images():
    values, dose, _ = scattered(count=70)
    interpolate = Interpolation(SHAPE)
    together = interpolate(values, dose)
    alone = [interpolate(values[i : i + 1], dose[i : i + 1]) for i in (0, 31, 32, 69)]
    for index, made in zip((0, 31, 32, 69), alone, strict=True):
        assert torch.allclose(together.image[index], made.image[0], atol=1e-5)
        assert torch.allclose(together.error[index], made.error[0], atol=1e-5)


def test_filters():
    line = torch.arange(64.0)
    up = linear_up(64, 16)
    coarse = averaging(64, 16) @ line
    assert torch.allclose((up @ coarse)[2:-2], line[2:-2], atol=1e-4)
    assert torch.allclose(up.sum(1), torch.ones(64))
    weights = gaussian(64, 64, 1, 2.0)
    assert float(weights[20, 22]) == pytest.approx(np.exp(-0.5), rel=1e-5)
    assert ((weights == 0) | (weights > 1e-7)).all()


def test_blurring_keeps_the_mean_inside_and_widens_a_point():
    image = torch.zeros(2, 33, 33)
    image[:, 16, 16] = 1
    found = blurred(image, torch.tensor([1.0, 2.0]))
    assert torch.allclose(found.sum((1, 2)), torch.ones(2), atol=1e-3)
    variance = (found.sum(2) * (torch.arange(33.0) - 16) ** 2).sum(1)
    assert variance.tolist() == pytest.approx([1.0, 4.0], rel=0.02)

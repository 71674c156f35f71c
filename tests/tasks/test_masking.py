from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.tasks.masking import Mask, draw_mask, hide, interpolate

RUNS = st.integers(0, 5)
SEEDS = st.integers(0, 1000)


def numbered(shape: tuple[int, int, int]) -> np.ndarray:
    """Images in which every pixel has a value of its own: its number in the image."""
    return np.broadcast_to(np.arange(shape[1] * shape[2], dtype=np.float32).reshape(shape[1:]), shape).copy()


@given(height=st.integers(32, 100), width=st.integers(32, 100), seed=SEEDS)
@settings(max_examples=30, deadline=None)
def test_one_pixel_of_every_cell_is_hidden(height: int, width: int, seed: int):
    mask = draw_mask((3, height, width), np.random.default_rng(seed))
    share = len(mask.row) / (3 * height * width)
    assert 0.05 < share < 0.08
    assert mask.row.max() < height
    assert mask.column.max() < width


@given(run=RUNS, seed=SEEDS)
@settings(max_examples=50, deadline=None)
def test_no_hidden_pixel_keeps_its_value_or_one_of_its_row_in_a_run(run: int, seed: int):
    rng = np.random.default_rng(seed)
    shape = (2, 40, 56)
    mask = draw_mask(shape, rng, run=run)
    images = numbered(shape)
    hidden = hide(images, mask, rng)
    rows, columns = np.divmod(hidden[mask.image, mask.row, mask.column], shape[2])
    down, right = rows - mask.row, columns - mask.column
    assert np.all((down != 0) | (right != 0))
    assert np.all((np.abs(down) <= 2) & (np.abs(right) <= 2))
    if run:
        assert np.all(down != 0)
    changed = np.zeros(shape, bool)
    for step in range(-run, run + 1):
        inside = (mask.column + step >= 0) & (mask.column + step < shape[2])
        changed[mask.image[inside], mask.row[inside], mask.column[inside] + step] = True
    np.testing.assert_array_equal(hidden != images, changed)


def test_interpolation_restores_a_ramp_and_never_sees_the_centre():
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32), (1, 32, 32)).copy()
    mask = Mask(np.array([0]), np.array([10]), np.array([12]))
    expected = ramp.copy()
    ramp[0, 10, 12] = 1e6
    np.testing.assert_allclose(interpolate(ramp, mask), expected, rtol=1e-6)


def test_the_identity_cannot_win():
    """On noise around a constant it has twice the error of the constant, and more than a local mean."""
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((16, 64, 64)).astype(np.float32)
    mask = draw_mask(noise.shape, rng)
    hidden = hide(noise, mask, rng)
    places = mask.image, mask.row, mask.column
    identity = np.mean((hidden[places] - noise[places]) ** 2)
    constant = np.mean(noise[places] ** 2)
    assert identity == pytest.approx(2 * constant, rel=0.1)


@pytest.mark.parametrize("kernel", [1, 3])
def test_a_network_that_could_learn_the_identity_does_not(kernel: int):
    """White noise has nothing to learn: with the mask all weights go to zero, without it to the identity."""
    centres = {}
    for masked in (True, False):
        torch.manual_seed(0)
        network = torch.nn.Conv2d(1, 1, kernel, padding=kernel // 2)
        optimizer = torch.optim.Adam(network.parameters(), 0.03)
        rng = np.random.default_rng(0)
        for _ in range(150):
            noise = rng.standard_normal((8, 64, 64), dtype=np.float32)
            mask = draw_mask(noise.shape, rng)
            inputs = hide(noise, mask, rng) if masked else noise
            output = network(torch.from_numpy(inputs)[:, None])[mask.image, 0, mask.row, mask.column]
            loss = (output - torch.from_numpy(noise)[mask.image, mask.row, mask.column]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        centres[masked] = float(network.weight[0, 0, kernel // 2, kernel // 2].detach())
    assert abs(centres[True]) < 0.1
    assert centres[False] > 0.9


def test_a_run_breaks_the_correlation_along_the_fast_axis_that_a_pixel_leaves():
    """The best linear guess from the hidden row knows correlated noise; with a run it knows nothing."""
    rng = np.random.default_rng(0)
    white = rng.standard_normal((64, 64, 70)).astype(np.float32)
    noise = sum(0.6**step * white[:, :, 6 - step : 70 - step] for step in range(7))
    explained = {}
    for run in (0, 6):
        mask = draw_mask(noise.shape, rng, run=run)
        kept = (mask.column > 0) & (mask.column < 63)
        mask = Mask(mask.image[kept], mask.row[kept], mask.column[kept], run)
        hidden = hide(noise, mask, rng)
        beside = hidden[mask.image, mask.row, mask.column - 1]
        explained[run] = np.corrcoef(beside, noise[mask.image, mask.row, mask.column])[0, 1]
    assert explained[0] > 0.5
    assert abs(explained[6]) < 0.1

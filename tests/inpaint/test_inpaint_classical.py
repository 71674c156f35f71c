"""Classical interpolation: exact where it must be, and honest about what it leaves out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from beamwright.errors import DataWarning
from beamwright.experiment import Experiment
from beamwright.tasks import inpaint_classical
from beamwright.tasks.inpaint import Inpaint
from beamwright.tasks.inpaint_classical import (
    ROWS,
    biharmonic,
    linear,
    nearest,
    normalised_convolution,
    total_variation,
)
from beamwright.tasks.patterns import PATTERNS

METHODS = {row.name: (row.predict, {row.parameter: row.grid[1]}) for row in ROWS}


def _measured(image: np.ndarray, *, share: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(0)
    height, width = image.shape
    points = PATTERNS["random"]((height, width), round(share * image.size), rng).astype(int)
    dose = np.zeros_like(image)
    dose[tuple(points.T)] = 100
    return np.stack([image * (dose > 0), dose])


@pytest.fixture
def ramp() -> np.ndarray:
    y, x = np.mgrid[:48, :40]
    return (0.2 + 0.01 * x + 0.005 * y).astype(np.float32)


@pytest.mark.parametrize("name", METHODS)
def test_a_constant_stays_constant(name: str) -> None:
    predict, parameters = METHODS[name]
    found = predict(_measured(np.full((40, 36), 0.7, np.float32)), **parameters)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 0.7, atol=2e-3)


@pytest.mark.parametrize("name", METHODS)
def test_nothing_measured_is_no_error(name: str) -> None:
    predict, parameters = METHODS[name]
    found = predict(np.zeros((2, 24, 20), np.float32), **parameters)
    assert found.shape == (24, 20)
    assert not found.any()


@pytest.mark.parametrize("name", METHODS)
def test_points_on_a_line_are_no_error(name: str) -> None:
    predict, parameters = METHODS[name]
    image = np.zeros((2, 24, 20), np.float32)
    image[:, 12] = [[0.5], [10]]
    np.testing.assert_allclose(predict(image, **parameters), 0.5, atol=2e-3)


def test_linear_interpolation_knows_ramps(ramp: np.ndarray) -> None:
    found = linear(_measured(ramp), smooth=0)
    np.testing.assert_allclose(found[6:-6, 6:-6], ramp[6:-6, 6:-6], atol=1e-5)


def test_the_biharmonic_equation_knows_ramps(ramp: np.ndarray) -> None:
    found = biharmonic(_measured(ramp), smooth=0)
    np.testing.assert_allclose(found[6:-6, 6:-6], ramp[6:-6, 6:-6], atol=5e-3)


def test_the_nearest_value_is_kept(ramp: np.ndarray) -> None:
    image = _measured(ramp)
    found = nearest(image, smooth=0)
    measured = image[1] > 0
    np.testing.assert_array_equal(found[measured], ramp[measured])
    assert set(np.unique(found)) <= set(ramp[measured])


def test_doses_weigh_in_a_normalised_convolution() -> None:
    image = np.zeros((2, 21, 21), np.float32)
    image[:, 10, 8], image[:, 10, 12] = [1, 30], [0, 10]
    assert normalised_convolution(image, sigma=4)[10, 10] == pytest.approx(0.75, abs=0.01)


def test_total_variation_keeps_edges_and_smooths_noise() -> None:
    step = np.zeros((40, 40), np.float32)
    step[:, 20:] = 1
    noise = 0.1 * np.random.default_rng(0).standard_normal(step.shape).astype(np.float32)
    image = np.stack([step + noise, np.full_like(step, 10)])
    found = total_variation(image, weight=8)
    assert np.abs(found - step).mean() < 0.3 * np.abs(noise).mean()
    assert (found[:, 21:] - found[:, :19]).min() > 0.8


def test_large_images_have_no_biharmonic_row(
    simulated: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = Inpaint()
    data = task.prepare(simulated())
    data = replace(data, fields={role: data.fields[role][:1] for role in data.fields})
    monkeypatch.setattr(inpaint_classical, "LARGEST_BIHARMONIC", 63 * 64)
    monkeypatch.setattr(inpaint_classical, "ROWS", (ROWS[1], ROWS[3]))
    with pytest.warns(DataWarning, match='"biharmonic" is left out: images of 4,096 pixels would take it'):
        rows = list(task.baselines(data))
    assert [name for name, _, _ in rows] == ["nearest"]

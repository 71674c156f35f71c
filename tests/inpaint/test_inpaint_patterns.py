"""Where random patterns go, and what is counted there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.experiment import PatternConfig
from beamwright.tasks.patterns import PATTERNS, draw_pattern, measure, recorded

SHAPE = (80, 96)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(sorted(PATTERNS)),
    height=st.integers(16, 90),
    width=st.integers(16, 90),
    coverage=st.floats(0.01, 0.5),
    seed=st.integers(0, 10**6),
)
def test_points_are_as_many_as_asked_for_and_on_the_field(
    kind: str, height: int, width: int, coverage: float, seed: int
) -> None:
    count = max(1, round(coverage * height * width))
    points = PATTERNS[kind]((height, width), count, np.random.default_rng(seed))  # type: ignore[index]
    assert points.shape[1] == 2
    assert len(points) > 0
    inside = ((points >= 0) & (points < (height, width))).all(1)
    # The jitter of the last, cut cells may leave the field.
    assert inside.mean() > (0.5 if kind == "jittered" else 0.999)
    spacing = (height * width / count) ** 0.5
    slack = 2 * max(height, width) / spacing + width + 8  # a row, or the border of a grid
    assert abs(len(points) - count) <= slack


@pytest.mark.parametrize("kind", PATTERNS)
def test_coverage_is_about_what_is_asked_for(kind: str) -> None:
    config = PatternConfig(kinds=(kind,), coverage=0.05, dose=10, truncated=0)  # type: ignore[arg-type]
    rng = np.random.default_rng(1)
    found = [draw_pattern(config, SHAPE, rng).coverage for _ in range(20)]
    # Paths cross themselves, and what is measured twice is one pixel.
    assert 0.03 < np.mean(found) < 0.06


def test_a_pattern_follows_from_its_generator_alone() -> None:
    one, two = (draw_pattern(PatternConfig(), SHAPE, np.random.default_rng(5)) for _ in range(2))
    assert one.kind == two.kind
    np.testing.assert_array_equal(one.dose, two.dose)


def test_only_kinds_of_the_configuration_are_drawn() -> None:
    config, rng = PatternConfig(kinds=("grid", "spiral")), np.random.default_rng(0)
    assert {draw_pattern(config, SHAPE, rng).kind for _ in range(30)} == {"grid", "spiral"}


def test_a_point_that_is_visited_twice_gets_twice_the_dose() -> None:
    config = PatternConfig(kinds=("lissajous",), coverage=0.3, dose=10, truncated=0)
    dose = draw_pattern(config, SHAPE, np.random.default_rng(0)).dose
    assert dose.dtype == np.float32
    assert set(np.unique(dose % 10)) == {0.0}
    assert dose.sum() == pytest.approx(10 * round(0.3 * dose.size))
    assert dose.max() > 10


def test_truncated_paths_are_beginnings() -> None:
    whole = PatternConfig(kinds=("raster",), coverage=0.2, dose=10, truncated=0)
    for seed in range(5):
        full, part = (
            draw_pattern(
                whole.model_copy(update={"truncated": share}), SHAPE, np.random.default_rng(seed)
            ).dose
            for share in (0, 1)
        )
        rows = np.flatnonzero(part.any(1))
        assert 0 < np.count_nonzero(part) < np.count_nonzero(full)
        np.testing.assert_array_equal(rows, np.flatnonzero(full.any(1))[: len(rows)])


def test_counting_noise_has_its_mean_and_variance() -> None:
    signal, dose = np.full((300, 300), 50.0, np.float32), np.full((300, 300), 20.0, np.float32)
    values = measure(signal, dose, np.random.default_rng(0), full_scale=200.0)  # a quarter of 20 electrons
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(50, rel=0.01)
    assert values.var() == pytest.approx(200 * 50 / 20, rel=0.02)  # full scale times signal per electron


def test_nothing_is_counted_where_no_electron_goes() -> None:
    dose = np.zeros((8, 8), np.float32)
    dose[3, 4] = 1e6
    values = measure(np.full((8, 8), 0.5), dose, np.random.default_rng(0))
    assert np.flatnonzero(values).tolist() == [3 * 8 + 4]
    assert values[3, 4] == pytest.approx(0.5, rel=0.01)


def test_recorded_pixels_have_the_dose_of_the_recording() -> None:
    np.testing.assert_array_equal(recorded(np.array([0.0, 3.0, 7.0]), 12.0), [0, 12, 12])


def test_windings_of_a_spiral_are_evenly_apart() -> None:
    points = PATTERNS["spiral"]((200, 200), 4000, np.random.default_rng(0))
    radius = np.hypot(*(points - points[0]).T)
    rings = np.histogram(radius, bins=np.arange(10, 90, 10))[0]
    share = rings / (2 * np.pi * np.arange(15, 85, 10) * 10)
    np.testing.assert_allclose(share, 0.1, rtol=0.1)  # points per pixel at 10 % coverage

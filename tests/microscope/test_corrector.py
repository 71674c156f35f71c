from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.corrector import (
    Corrector,
    CorrectorState,
    actual,
    backlash,
    command,
    draw_corrector,
    hysteresis,
    ideal_corrector,
    rest,
    rotation_matrix,
)
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)
NAMES = ["C10", "C12a", "C12b", "C21a", "C21b", "C30"]


def _loop(corrector: Corrector, settings_of_one_knob: list[float]) -> list[float]:
    state, outputs = rest(corrector, torch.zeros(1, 1)), []
    for setting in settings_of_one_knob:
        state = command(state, setting - state.setting, 1.0, Streams.from_seed(0, 1))
        outputs.append(float(actual(state)))
    return outputs


def _with_play(half_width: float, operators: int = 1) -> Corrector:
    play, weight = hysteresis(torch.full((1, 1), half_width), operators)
    return replace(ideal_corrector(1, 1), play=play, weight=weight)


def test_an_ideal_corrector_does_what_it_is_told() -> None:
    offset = torch.randn(3, 6)
    state = rest(ideal_corrector(3, 6), offset)
    first, second = torch.randn(3, 6), torch.randn(3, 6)
    state = command(command(state, first, 0.0, Streams.from_seed(0, 3)), second, 0.1, Streams.from_seed(0, 3))
    assert torch.allclose(actual(state), offset + first + second, atol=1e-5)
    assert torch.allclose(state.setting, first + second)


def test_the_backlash_loop() -> None:
    up, down = [1.0, 2.0, 4.0, 6.0], [5.0, 4.0, 3.0, 0.0]
    outputs = _loop(_with_play(1.0), [*up, *down, *up])
    assert outputs[:4] == [0.0, 1.0, 3.0, 5.0]  # behind by the half-width
    assert outputs[4:8] == [
        5.0,
        5.0,
        4.0,
        1.0,
    ]  # nothing within twice the half-width, then behind on the other side
    assert outputs[8:] == [1.0, 1.0, 3.0, 5.0]  # and the loop is closed


def test_a_magnet_follows_at_once_but_by_less() -> None:
    corrector = _with_play(1.0, operators=4)
    outputs = _loop(corrector, [5.0, 4.9, 4.0, 3.0, 2.0])
    slopes = [(a - b) / c for a, b, c in zip(outputs, outputs[1:], [0.1, 0.9, 1.0, 1.0], strict=False)]
    assert slopes[0] == pytest.approx(1 / 4, rel=1e-4)  # one operator of four has no play
    assert all(a <= b + 1e-5 for a, b in itertools.pairwise(slopes))
    assert slopes[-1] == pytest.approx(1.0, rel=1e-4)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), operators=st.integers(1, 5))
def test_hysteresis_forgets_an_inner_loop(seed: int, operators: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    inner = (2 + 3 * torch.rand(6, generator=generator)).tolist()  # wholly between the turning points 0 and 6
    corrector = _with_play(1.5, operators)
    with_loop = _loop(corrector, [6.0, 0.0, *inner, 6.0, 3.0])
    without = _loop(corrector, [6.0, 0.0, 6.0, 3.0])
    assert with_loop[-2:] == pytest.approx(without[-2:], abs=1e-5)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999))
def test_the_output_is_never_further_away_than_the_play(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    output, width = torch.zeros(5), torch.rand(5, generator=generator)
    for _ in range(10):
        setting = torch.randn(5, generator=generator)
        output = backlash(output, setting, width)
        assert ((output - setting).abs() <= width + 1e-6).all()


def test_knobs_settle_exponentially() -> None:
    corrector = replace(ideal_corrector(1, 2), settle=torch.tensor([[0.5, 2.0]]))
    state = command(
        rest(corrector, torch.zeros(1, 2)), torch.tensor([[10.0, 10.0]]), 1.0, Streams.from_seed(0, 1)
    )
    expected = torch.tensor([10 * (1 - math.exp(-1 / tau)) for tau in (0.5, 2.0)])
    assert torch.allclose(actual(state)[0], expected)
    nothing = torch.zeros(1, 2)
    for dt in (0.25, 0.75):
        state = command(state, nothing, dt, Streams.from_seed(0, 1))
    expected = torch.tensor([10 * (1 - math.exp(-2 / tau)) for tau in (0.5, 2.0)])
    assert torch.allclose(actual(state)[0], expected)


def _slopes(state: CorrectorState, streams: Streams) -> Tensor:
    """Return how the quantities answer to each knob, ``(B, K, K)``."""
    knobs = state.setting.shape[1]
    turned = [
        command(state, torch.eye(knobs)[k].expand_as(state.setting), 1.0, streams) for k in range(knobs)
    ]
    return torch.stack([actual(one) - actual(state) for one in turned], -1)


def test_the_response_is_within_what_was_asked_for() -> None:
    streams = Streams.from_seed(0, 200)
    unit = [1.0, 2.0, 2.0, 60.0, 60.0, 3000.0]
    corrector = draw_corrector(streams, NAMES, unit=unit, gain=0.1, coupling=0.05)
    slopes = _slopes(rest(corrector, torch.zeros(200, 6)), streams)
    scale = torch.tensor(unit)
    relative = slopes * scale / scale[:, None]
    error = relative - torch.eye(6)
    own, other = error.diagonal(dim1=1, dim2=2), error[:, ~torch.eye(6, dtype=torch.bool)]
    assert float(own.abs().max()) == pytest.approx(0.1, rel=0.02)
    assert float(other.abs().max()) == pytest.approx(0.05, rel=0.02)
    assert float(own.std()) == pytest.approx(0.1 / 3**0.5, rel=0.1)
    assert abs(float(other.mean())) < 0.002


def test_pairs_turn_by_their_symmetry() -> None:
    angle = torch.tensor([0.3, -0.2])
    matrix = rotation_matrix([*NAMES, "tilt_y", "tilt_x"], angle)
    knob = torch.zeros(8)
    knob[[1, 3, 7]] = 1.0  # C12a, C21a, tilt_x
    turned = matrix @ knob
    for name, value in {1: (2 * angle).cos(), 2: (2 * angle).sin(), 3: angle.cos(), 4: angle.sin()}.items():
        assert torch.allclose(turned[:, name], value)
    assert torch.allclose(turned[:, 7], angle.cos())
    assert torch.allclose(turned[:, 6], angle.sin())
    assert torch.allclose(matrix @ matrix.mT, torch.eye(8).expand(2, -1, -1), atol=1e-6)


def test_settings_drift_as_a_random_walk_with_a_trend() -> None:
    count, streams = 6000, Streams.from_seed(0, 6000)
    corrector = draw_corrector(streams, ["C10", "C30"], unit=[1.0, 100.0], wander=0.2, trend=0.0)
    state, variances = rest(corrector, torch.zeros(count, 2)), []
    for _ in range(4):
        state = command(state, torch.zeros(count, 2), torch.full((count,), 5.0), streams)
        variances.append(actual(state).var(dim=0))
    seconds = torch.tensor([5.0, 10.0, 15.0, 20.0])
    expected = 0.2**2 * seconds[:, None] * torch.tensor([1.0, 100.0]) ** 2
    assert torch.allclose(torch.stack(variances), expected, rtol=0.08)
    steady = draw_corrector(streams, ["C10"], trend=0.3)
    moved = actual(command(rest(steady, torch.zeros(count, 1)), torch.zeros(count, 1), 10.0, streams))
    assert float(moved.abs().max()) == pytest.approx(3.0, rel=0.01)
    assert torch.allclose(moved, steady.velocity * 10, atol=1e-5)


def test_a_stage_is_a_corrector_of_y_and_x() -> None:
    streams = Streams.from_seed(3, 1)
    stage = draw_corrector(streams, ["y", "x"], rotation=0.2, play=5.0, settle=0.3)
    state = command(rest(stage, torch.zeros(1, 2)), torch.tensor([[0.0, 105.0]]), 60.0, streams)
    assert float(actual(state).norm()) == pytest.approx(100.0, rel=1e-4)
    assert abs(math.atan2(*actual(state)[0].tolist())) <= 0.2


def test_a_batch_is_the_same_as_its_members() -> None:
    def run(streams: Streams, delta: Tensor) -> Tensor:
        corrector = draw_corrector(
            streams,
            NAMES,
            gain=0.1,
            coupling=0.1,
            rotation=0.1,
            play=0.5,
            operators=3,
            settle=0.4,
            wander=0.1,
            trend=0.1,
        )
        state = rest(corrector, torch.zeros(len(delta), 6))
        for _ in range(3):
            state = command(state, delta, 0.3, streams)
        return actual(state)

    delta = torch.randn(4, 6)
    together = run(Streams.from_seed(7, 4), delta)
    for i in range(4):
        assert torch.allclose(together[i], run(Streams.from_seed(7 + i, 1), delta[i : i + 1])[0], atol=1e-5)


def test_impossible_correctors_are_refused() -> None:
    streams = Streams.from_seed(0, 1)
    with pytest.raises(
        MicroscopeError, match="coupling of a corrector must be at least 0, not -1; 0 switches it off"
    ):
        draw_corrector(streams, NAMES, coupling=-1.0)
    with pytest.raises(MicroscopeError, match="settling time of a corrector must be at least 0 s, not -2"):
        draw_corrector(streams, NAMES, settle=-2.0)
    with pytest.raises(MicroscopeError, match="number of play operators must be at least 1, not 0"):
        draw_corrector(streams, NAMES, play=1.0, operators=0)

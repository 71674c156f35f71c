from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.batching import batched
from beamwright.envs.microscope.paths import raster
from beamwright.envs.microscope.relaxation import decay, mean_decay, recurrence
from beamwright.envs.microscope.scanning import Beam, ScanEngine, deflect, hum, jitter_lines, trace
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)


def _deflect_slowly(path: Tensor, dwell: Tensor, lag: float, start: Tensor, pause: Tensor) -> Tensor:
    """Follow the differential equation in small steps, in float64: mean position during each dwell."""
    here, means, parts = start.double(), [], 400
    for command, time, before in zip(path.double(), dwell.double(), pause.double(), strict=True):
        here = command + (here - command) * torch.exp(-before / lag)
        factor = math.exp(-float(time) / parts / lag)
        positions = command + (here - command) * factor ** torch.arange(0, parts + 1)[:, None]
        means.append(torch.trapezoid(positions, dim=0) / parts)
        here = positions[-1]
    return torch.stack(means)


def test_step_response_of_the_deflectors() -> None:
    path, lag, dwell = torch.full((1, 200, 2), 8.0), 25.0, 5.0
    points, end = deflect(path, dwell, lag, start=torch.zeros(1, 2))
    after = torch.arange(1, 201) * dwell
    expected = 8 * (1 - (lag / dwell) * (torch.exp(-(after - dwell) / lag) - torch.exp(-after / lag)))
    assert torch.allclose(points[0, :, 0], expected, atol=1e-5)
    assert torch.allclose(end, torch.full((1, 2), 8 * (1 - math.exp(-1000 / lag))))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), count=st.integers(1, 40), lag=st.floats(0.5, 200.0))
def test_any_path_obeys_the_differential_equation(seed: int, count: int, lag: float) -> None:
    streams = Streams.from_seed(seed, 1)
    path, start = streams.uniform(count, 2, high=50.0), streams.uniform(2, high=50.0)
    dwell, pause = streams.uniform(count, low=0.5, high=40.0), streams.uniform(count, high=40.0)
    points, _ = deflect(path, dwell, lag, start=start, pause=pause)
    expected = _deflect_slowly(path[0], dwell[0], lag, start[0], pause[0])
    assert torch.allclose(points[0].double(), expected, atol=2e-3)


def test_a_steady_scan_is_late_by_the_lag() -> None:
    path = torch.stack((torch.zeros(4000), torch.arange(4000) * 0.01), -1)[None]  # 0.01 nm in 0.1 us
    _, end = deflect(path, 0.1, 20.0)
    behind = path[0, -1, 1] - end[0, 1]
    assert behind == pytest.approx(0.1 * 20.0, rel=0.01)  # velocity times lag


def test_a_path_may_be_cut_anywhere() -> None:
    streams = Streams.from_seed(0, 3)
    path, start, lag = streams.uniform(31, 2), streams.uniform(2), torch.tensor([1.0, 10.0, 100.0])
    whole, end = deflect(path, 7.0, lag, start=start)
    first, middle = deflect(path[:, :13], 7.0, lag, start=start)
    second, last = deflect(path[:, 13:], 7.0, lag, start=middle)
    assert torch.allclose(whole, torch.cat((first, second), 1), atol=1e-6)
    assert torch.allclose(end, last, atol=1e-6)


def test_no_lag_means_no_error() -> None:
    path = torch.rand(2, 5, 2)
    assert torch.equal(deflect(path, 1.0, 0.0)[0], path)
    assert torch.equal(deflect(path, 1.0, torch.zeros(2))[0], path)


def test_flyback_straightens_the_left_edge() -> None:
    path, lines = raster(64 * 64, (64, 64)), torch.arange(64 * 64) // 64
    beam, streams = Beam.at(path[:, 0]), Streams.from_seed(0, 1)
    left = {}
    for pause in (0.0, 30.0, 60.0):
        points = trace(path, 2.0, ScanEngine(lag=20.0, flyback=pause), beam, streams, lines=lines).points
        left[pause] = (points - path).reshape(64, 64, 2)[10, 0, 1]
    assert left[0.0] > 50  # most of a line to the right
    assert left[30.0] / left[0.0] == pytest.approx(math.exp(-30 / 20), rel=5e-3)
    assert left[60.0] / left[0.0] == pytest.approx(math.exp(-60 / 20), rel=5e-3)


def test_hum_is_a_sine_on_the_clock_of_the_engine() -> None:
    engine = ScanEngine(hum=0.3, hum_frequency=60.0, hum_angle=0.4, hum_phase=0.2)
    times = torch.linspace(0, 0.1, 500)[None]
    expected = 0.3 * torch.sin(2 * math.pi * 60 * times + 0.2)
    moved = hum(times, engine)
    assert torch.allclose(moved[..., 1], expected * math.cos(0.4), atol=1e-5)
    assert torch.allclose(moved[..., 0], expected * math.sin(0.4), atol=1e-5)
    later = hum(times, engine, since=torch.tensor([7200.0 + 1 / 240], dtype=torch.float64))
    assert torch.allclose(
        later[..., 1], 0.3 * math.cos(0.4) * torch.cos(2 * math.pi * 60 * times + 0.2), atol=1e-4
    )


def test_hum_averages_out_over_a_period() -> None:
    engine, times = ScanEngine(hum=1.0, hum_phase=0.9), torch.tensor([[0.01, 0.03]])
    assert torch.allclose(hum(times, engine, dwell=20_000.0), torch.zeros(1, 2, 2), atol=1e-6)
    fine = torch.linspace(0.008, 0.012, 20_001)[None]
    mean = torch.trapezoid(hum(fine, engine)[0, :, 1]) / 20_000
    assert hum(times, engine, dwell=4000.0)[0, 0, 1] == pytest.approx(float(mean), abs=1e-5)


def test_jitter_moves_whole_lines_along_themselves() -> None:
    path, lines = raster(16 * 50, (16, 50)).expand(500, -1, -1), torch.arange(16 * 50) // 50
    offsets = jitter_lines(path, 0.7, Streams.from_seed(0, 500), lines=lines).reshape(500, 16, 50, 2)
    assert torch.equal(offsets, offsets[:, :, :1].expand_as(offsets))
    assert float(offsets[..., 1].std()) == pytest.approx(0.7, rel=0.03)
    assert float(offsets[..., 0].abs().max()) < 1e-6
    neighbours = offsets[:, :-1, 0, 1] * offsets[:, 1:, 0, 1]
    assert abs(float(neighbours.mean())) < 0.02


def test_a_line_of_one_point_has_no_direction_to_jitter_along() -> None:
    offsets = jitter_lines(torch.rand(1, 3, 2), 1.0, Streams.from_seed(0, 1), lines=torch.arange(3))
    assert torch.equal(offsets, torch.zeros(1, 3, 2))


def test_the_clock_of_a_trace() -> None:
    path, lines = raster(12, (3, 4)), torch.arange(12) // 4
    beam = Beam(path[:, 0], torch.tensor([5.0], dtype=torch.float64))
    done = trace(path, 10.0, ScanEngine(flyback=50.0), beam, Streams.from_seed(0, 1), lines=lines)
    assert torch.allclose(done.times[0, [0, 1, 4]] * 1e6, torch.tensor([55.0, 65.0, 145.0]))
    assert float(done.seconds) == pytest.approx(270e-6)
    assert float(done.beam.time - 5) == pytest.approx(270e-6, rel=1e-5)


def test_a_batch_is_the_same_as_its_members() -> None:
    engine = batched(ScanEngine(lag=8.0, flyback=5.0, line_jitter=0.1, hum=0.2), 4)
    path, dwell, lines = Streams.from_seed(9, 4).uniform(30, 2), torch.rand(4, 30) + 1, torch.arange(30) // 10
    together = trace(path, dwell, engine, Beam.at(path[:, 0]), Streams.from_seed(3, 4), lines=lines)
    for i in range(4):
        alone = trace(
            path[i : i + 1],
            dwell[i : i + 1],
            batched(ScanEngine(lag=8.0, flyback=5.0, line_jitter=0.1, hum=0.2), 1),
            Beam.at(path[i : i + 1, 0]),
            Streams.from_seed(3 + i, 1),
            lines=lines,
        )
        assert torch.allclose(together.points[i], alone.points[0], atol=1e-5)


def test_one_path_serves_all_environments() -> None:
    path, engine = torch.rand(1, 20, 2), ScanEngine(lag=10.0)
    beam = Beam.at(torch.rand(3, 2))
    shared = trace(path, 3.0, engine, beam, Streams.from_seed(0, 3))
    each = trace(path.expand(3, -1, -1), torch.full((3, 20), 3.0), engine, beam, Streams.from_seed(0, 3))
    assert torch.allclose(shared.points, each.points, atol=1e-6)
    assert shared.seconds.shape == (3,)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), count=st.integers(1, 70))
def test_recurrence_is_the_loop(seed: int, count: int) -> None:
    streams = Streams.from_seed(seed, 2)
    keep, drive, start = streams.uniform(count), streams.normal(count), streams.normal()
    keep = torch.where(keep < 0.2, 0.0, keep)
    value, expected = start, []
    for i in range(count):
        value = keep[:, i] * value + drive[:, i]
        expected.append(value)
    assert torch.allclose(recurrence(keep, drive, start=start), torch.stack(expected, 1), atol=1e-5)


def test_a_recurrence_does_not_know_its_neighbours() -> None:
    drive = torch.zeros(2, 64)
    drive[:, 0], drive[:, 8:] = 1.0, 1e-25
    keep = torch.tensor([[0.03], [1.0]]).expand(2, 64)  # the first forgets at once, the second never
    together = recurrence(keep, drive)
    assert torch.equal(together[:1], recurrence(keep[:1], drive[:1]))


def test_relaxation_has_its_limits() -> None:
    times = torch.tensor([0.0, 1.0, 1e9])
    assert decay(times, 0.0).tolist() == [1.0, 0.0, 0.0]
    assert decay(times[:2], math.inf).tolist() == [1.0, 1.0]
    assert mean_decay(torch.tensor(1e-9), 1.0) == pytest.approx(1.0)
    assert mean_decay(torch.tensor(2.0), 1.0) == pytest.approx((1 - math.exp(-2)) / 2)
    assert float(mean_decay(torch.tensor(1.0), 0.0)) < 1e-20


def test_impossible_engines_are_refused() -> None:
    with pytest.raises(
        MicroscopeError, match=r"lag of the deflectors must be at least 0 us, not -1; 0 switches it off"
    ):
        ScanEngine(lag=-1.0)
    with pytest.raises(
        MicroscopeError, match=r"frequency of the hum must be above 0 Hz, not 0; mains have 50 or 60 Hz"
    ):
        ScanEngine(hum_frequency=0.0)
    with pytest.raises(MicroscopeError, match="line jitter must be at least 0 nm, not nan"):
        ScanEngine(line_jitter=math.nan)

from __future__ import annotations

import math

import pytest
import torch

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.drift import Drift, draw_drift, drift_path, follow_drift, wait
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)


def _still(count: int, diffusion: float, quantities: int = 2) -> Drift:
    zeros = torch.zeros(count, quantities)
    return Drift(zeros, zeros, torch.full((count,), diffusion))


def test_the_steady_part_is_linear_in_time() -> None:
    times = torch.rand(3, 20).cumsum(1)
    velocity = torch.tensor([[1.0, 2.0], [0.0, -3.0], [0.5, 0.0]])
    path = drift_path(times, velocity, 0.0, Streams.from_seed(0, 3), start=torch.ones(3, 2))
    assert torch.allclose(path, 1 + velocity[:, None] * times[..., None], atol=1e-5)


@pytest.mark.parametrize("every", [1, 7, 64])
def test_the_variance_of_the_random_walk_grows_linearly(every: int) -> None:
    times = torch.linspace(0.01, 0.64, 64)[None]
    path = drift_path(times, torch.zeros(8000, 2), 3.0, Streams.from_seed(1, 8000), every=every)
    ends = torch.tensor(sorted({*range(every - 1, 64, every), 63}))
    variance = path[:, ends].var(dim=0)  # (M, 2)
    assert torch.allclose(variance, (2 * 3.0 * times[0, ends])[:, None].expand(-1, 2), rtol=0.08)
    assert abs(float(path[:, -1].mean())) < 0.05


def test_steps_of_the_random_walk_do_not_know_each_other() -> None:
    path = drift_path(
        torch.linspace(0.1, 3.2, 32)[None], torch.zeros(4000, 1), 1.0, Streams.from_seed(2, 4000)
    )
    steps = torch.diff(path[..., 0], dim=1)
    assert abs(float((steps[:, 1:] * steps[:, :-1]).mean())) < 0.003  # of a variance of 0.2
    increments = torch.diff(path[..., 0], dim=1).var()
    assert float(increments) == pytest.approx(0.2, rel=0.03)


def test_between_its_steps_the_walk_is_straight() -> None:
    times = torch.linspace(0.1, 1.2, 12)[None]
    path = drift_path(times, torch.zeros(2, 2), 1.0, Streams.from_seed(0, 2), every=4)
    bends = torch.diff(path, n=2, dim=1).abs().amax((0, 2))
    assert torch.nonzero(bends > 1e-4).flatten().tolist() == [2, 6]  # at the fourth and eighth points


def test_following_and_waiting_obey_one_law() -> None:
    count, seconds = 8000, torch.full((8000,), 0.5)
    times = torch.linspace(0.05, 0.45, 9)[None]
    offsets, after = follow_drift(_still(count, 2.0), times, seconds, Streams.from_seed(0, count))
    waited = wait(_still(count, 2.0), seconds, Streams.from_seed(9, count))
    for drift in (after, waited):
        assert torch.allclose(drift.position.var(dim=0), torch.tensor(2.0), rtol=0.06)
    assert float((after.position - offsets[:, -1]).var()) == pytest.approx(2 * 2.0 * 0.05, rel=0.06)


def test_a_settling_drift_dies_away() -> None:
    drift = Drift(torch.zeros(1, 2), torch.tensor([[2.0, 0.0]]), torch.zeros(1), torch.tensor([3.0]))
    times = torch.linspace(0.5, 30, 60)[None]
    offsets, after = follow_drift(drift, times, torch.tensor([30.0]), Streams.from_seed(0, 1))
    assert torch.allclose(offsets[0, :, 0], 2 * 3 * (1 - torch.exp(-times[0] / 3)), atol=1e-4)
    assert float(after.velocity[0, 0]) == pytest.approx(2 * math.exp(-10), rel=1e-3)
    first = wait(drift, torch.tensor([1.0]), Streams.from_seed(0, 1))
    second = wait(first, torch.tensor([1.5]), Streams.from_seed(0, 1))
    assert float(second.position[0, 0]) == pytest.approx(6 * (1 - math.exp(-2.5 / 3)), rel=1e-5)


def test_directions_are_random_and_speeds_are_not() -> None:
    drift = draw_drift(
        Streams.from_seed(0, 4000), speed=torch.linspace(0, 1, 4000), diffusion=0.1, settling=5.0
    )
    assert torch.allclose(drift.velocity.norm(dim=1), torch.linspace(0, 1, 4000), atol=1e-5)
    assert float(drift.velocity.mean()) == pytest.approx(0, abs=0.02)
    assert drift.settling is not None
    assert drift.settling.shape == drift.diffusion.shape == (4000,)


def test_a_batch_is_the_same_as_its_members() -> None:
    times, velocity = torch.linspace(0.1, 1, 10)[None], torch.rand(3, 2)
    together = drift_path(times, velocity, torch.ones(3), Streams.from_seed(5, 3))
    for i in range(3):
        alone = drift_path(times, velocity[i : i + 1], torch.ones(1), Streams.from_seed(5 + i, 1))
        assert torch.allclose(together[i], alone[0], atol=1e-6)


def test_impossible_drifts_are_refused() -> None:
    with pytest.raises(MicroscopeError, match=r"diffusion of a drift must be at least 0 nm\^2/s, not -1"):
        draw_drift(Streams.from_seed(0, 1), speed=0.0, diffusion=-1.0)
    with pytest.raises(
        MicroscopeError, match="settling time of a drift must be above 0 s, not 0; leave it out"
    ):
        draw_drift(Streams.from_seed(0, 1), speed=0.0, diffusion=1.0, settling=0.0)

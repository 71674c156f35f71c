"""What baselines for scanning learn and optimise: regressions, features, paths."""

from __future__ import annotations

import math

import gymnasium
import pytest
import torch

from beamwright.agents.baselines.scan_base import SEGMENTS, training_streams
from beamwright.agents.baselines.scan_features import PlaceFeatures
from beamwright.agents.baselines.scan_greedy import LearnedGreedy
from beamwright.agents.baselines.scan_learning import learn_error
from beamwright.agents.baselines.scan_optimised import OptimisedPath, _as_headings, _error, _follow
from beamwright.agents.baselines.scan_regression import fit_regression
from beamwright.agents.baselines.scan_slads import Slads, reduction_of_distortion
from beamwright.agents.baselines.scan_soft import SoftReconstruction
from beamwright.agents.baselines.scan_static import Halton
from beamwright.agents.baselines.scan_tuning import remembered
from beamwright.agents.evaluation import difference, play_episodes
from beamwright.envs.microscope.points import sample, splat
from beamwright.envs.sparse_scan import Interpolation, ScanSimulation

torch.set_num_threads(1)

SMALL = {"preset": "small", "effects": {"poisson": False}}


@pytest.fixture(scope="module")
def simulation() -> ScanSimulation:
    env = gymnasium.make_vec(SEGMENTS, num_envs=1, vectorization_mode="vector_entry_point", **SMALL)
    found: ScanSimulation = env.unwrapped.simulation
    return found


def test_a_regression_finds_the_mean_of_what_scatters() -> None:
    torch.manual_seed(0)
    features = torch.rand(20000, 3)
    mean = torch.exp(3 * features[:, 0] - 4 * (features[:, 1] - 0.5) ** 2)
    target = mean * -torch.rand(20000).log()  # exponential
    found = fit_regression(features, target)(features)
    assert (found - mean.log()).abs().mean() < 0.1


def test_fitting_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    fit_regression(torch.randn(100, 2, generator=torch.Generator().manual_seed(0)), torch.ones(100), steps=3)
    assert torch.equal(torch.rand(2), expected)


def test_reduction_of_distortion_is_the_sum_under_a_gaussian() -> None:
    error = torch.rand(2, 6, 5, generator=torch.Generator().manual_seed(0))
    measured = torch.zeros(2, 6, 5, dtype=torch.bool)
    measured[:, 1, 1] = measured[:, 4, 3] = True
    index = torch.tensor([[17, 3], [29, 6]])
    found = reduction_of_distortion(error, measured, index, c=2.0)
    for batch in range(2):
        for place in range(2):
            y, x = divmod(int(index[batch, place]), 5)
            width = max(min(math.hypot(y - 1, x - 1), math.hypot(y - 4, x - 3)), 0.5) / 2
            total = sum(
                float(error[batch, i, j]) * math.exp(-((y - i) ** 2 + (x - j) ** 2) / (2 * width**2))
                for i in range(6)
                for j in range(5)
            )
            assert float(found[batch, place]) == pytest.approx(total, rel=1e-4)


def test_features_know_where_measurements_are(simulation: ScanSimulation) -> None:
    streams = training_streams(simulation, 3)
    state = simulation.initial(streams)
    scan = Halton(reach=1.0)
    scan.prepare(simulation)
    after = scan.scan(simulation, state, streams)
    features = PlaceFeatures((32, 32), simulation.device)
    found = features(after)
    assert found.shape[:3] == (3, 16, 16)
    assert torch.isfinite(found).all()
    measured = features.pooled(after.dose) > 0
    density = found[..., 0]
    assert density[measured].min() > density[~measured].mean()


def test_features_of_odd_fields_cover_them() -> None:
    features = PlaceFeatures((31, 18), torch.device("cpu"))
    pooled = features.pooled(torch.ones(1, 31, 18))
    assert pooled.shape == (1, 16, 9)
    assert torch.allclose(pooled, torch.ones(1, 16, 9))


def test_learned_error_is_of_the_right_size_and_in_the_right_place(simulation: ScanSimulation) -> None:
    greedy = LearnedGreedy()
    learned = learn_error(simulation, greedy.best, rounds=2, episodes=24)
    streams = training_streams(simulation, 48, part=50)
    state = simulation.initial(streams)
    for _ in range(8):
        state, _ = simulation.advance(state, greedy.best(simulation, state, learned), streams)
    true, predicted = (state.reconstruction - state.specimen).square(), learned(state)
    assert predicted.shape == true.shape
    assert 0.5 < float(predicted.mean() / true.mean()) < 2
    both = torch.stack((predicted.flatten(), true.flatten())).sqrt()
    assert float(torch.corrcoef(both)[0, 1]) > 0.4


def test_what_is_learned_is_remembered_for_equal_environments(simulation: ScanSimulation) -> None:
    made: list[ScanSimulation] = []
    for _ in range(2):
        remembered(simulation, "a test", made.append)
    assert len(made) == 1
    assert made[0].scan_config.split == "train"


def test_points_that_look_beat_points_that_do_not() -> None:
    looking = play_episodes(SEGMENTS, Slads(rounds=2, episodes=16, group=8), 48, seed=5, **SMALL)
    blind = play_episodes(SEGMENTS, Halton(), 48, seed=5, **SMALL)
    gain, low, _ = difference(looking, blind, "psnr")
    assert gain > low > 0


def test_slads_measures_no_place_twice() -> None:
    played = play_episodes(SEGMENTS, Slads(rounds=1, episodes=8, first=0.02), 8, seed=5, **SMALL)
    assert (played.figures["coverage"] * 32 * 32 > 0.97 * played.figures["points"]).all()


def _path(points: int) -> torch.Tensor:
    chance = torch.Generator().manual_seed(1)
    return torch.rand(1, points, 2, generator=chance, dtype=torch.float64) * 30


def test_soft_reconstruction_has_the_gradient_of_its_value() -> None:
    soft = SoftReconstruction((32, 32), torch.device("cpu"))
    soft._around = [[matrix.double() for matrix in pair] for pair in soft._around]
    specimen = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    specimen[:, :20] = 0  # so that the assumed background, which counts as constant, is
    weight = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def value(path: torch.Tensor) -> torch.Tensor:
        return (soft(specimen, path) * weight).sum()

    path = _path(16)
    start = path.clone().requires_grad_()
    value(start).backward()
    step = 1e-6 * torch.randn(path.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    expected = float(value(path + step) - value(path - step)) / 2
    assert float((start.grad * step).sum()) == pytest.approx(expected, rel=1e-4)


def test_soft_reconstruction_is_like_that_of_the_environment(simulation: ScanSimulation) -> None:
    specimen = simulation.initial(training_streams(simulation, 8)).specimen
    path = torch.floor(_path(100)).float()
    values, hits = splat(sample(specimen, path.expand(8, -1, -1)), path.expand(8, -1, -1), (32, 32))
    made = Interpolation((32, 32))(values / hits.clamp_min(1), hits).image
    soft = SoftReconstruction((32, 32), torch.device("cpu"))(specimen, path)
    errors = [float((image - specimen).square().mean()) for image in (made, soft)]
    assert errors[1] == pytest.approx(errors[0], rel=0.2)
    assert float(torch.corrcoef(torch.stack((made.flatten(), soft.flatten())))[0, 1]) > 0.95


def test_a_chain_of_headings_repeats_straight_segments() -> None:
    start, headings = torch.tensor([10.0, 12.0]), torch.tensor([0.3, -1.2, 2.9])
    path = _follow(start, headings, 5, 1.5)
    again = _follow(*_as_headings(path[0], 5), 5, 1.5)
    assert torch.allclose(again, path, atol=1e-4)


def test_an_optimised_path_is_never_worse_on_training_specimens(simulation: ScanSimulation) -> None:
    optimised = OptimisedPath(steps=40)
    best = optimised.best_path(simulation)
    assert best.shape == (1, round(0.12 * 32 * 32), 2)
    assert bool((best >= 0).all() and (best <= 31).all())
    starts = list(optimised._patterns(best.shape[1], simulation))
    assert len(starts) == 4
    assert _error(simulation, best) <= min(_error(simulation, path) for path in starts) + 1e-6

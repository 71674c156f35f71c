"""The space of denoisers: sampling, its inverse, fixed parameters, the portfolio."""

from __future__ import annotations

import optuna
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from beamwright.errors import SpaceError, UnknownNameError
from beamwright.search_spaces import (
    NETWORKS,
    SPACES,
    Architecture,
    Candidate,
    Space,
    SpaceLimits,
    Stage,
    build,
    estimate_cost,
    named,
)

torch.set_num_threads(1)
optuna.logging.set_verbosity(optuna.logging.ERROR)

CHECKED = settings(max_examples=40, deadline=None, derandomize=True)


def space(**limits: object) -> Space:
    made: Space = SPACES.load("denoise")(SpaceLimits(**limits))
    return made


def sample(space: Space, seed: int) -> tuple[Candidate, optuna.Trial]:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()
    return space(trial), trial


LIMITS = st.fixed_dictionaries(
    {
        "ndim": st.sampled_from([1, 2, 2, 3]),
        "in_channels": st.sampled_from([1, 1, 3]),
        "patch_sizes": st.sampled_from([(32, 64), (16,), (48, 96, 128), (8,), (2,)]),
        "max_levels": st.integers(1, 5),
        "losses": st.sampled_from([("l1", "l2", "huber", "ssim_l1"), ("l2",), ("huber", "l1")]),
        "local_only": st.booleans(),
    }
)


@CHECKED
@given(LIMITS, st.integers(0, 10**6))
def test_sampling_and_its_inverse(limits: dict[str, object], seed: int) -> None:
    denoise = space(**limits)
    candidate, trial = sample(denoise, seed)
    parameters = denoise.parameters(candidate)
    assert denoise(FixedTrial(parameters)) == candidate
    assert parameters.keys() == trial.params.keys()
    assert candidate.architecture.is_local or not limits["local_only"]
    assert candidate.recipe.loss in limits["losses"]  # type: ignore[operator]
    assert candidate.recipe.patch_size in limits["patch_sizes"]  # type: ignore[operator]
    assert len(candidate.architecture.levels) <= limits["max_levels"]  # type: ignore[operator]
    assert Candidate.from_dict(candidate.to_dict()) == candidate


@settings(CHECKED, max_examples=10)
@given(st.integers(0, 10**6))
def test_samples_train_a_step(seed: int) -> None:
    candidate, _ = sample(space(fixed={"width": 8}), seed)
    network = build(candidate.architecture, initialiser=candidate.recipe.initialiser)
    network(torch.randn(2, 1, 20, 21)).square().mean().backward()
    assert all(
        torch.isfinite(weight.grad).all() for weight in network.parameters() if weight.grad is not None
    )


def test_parameters_are_conditional() -> None:
    denoise = space()
    flat, _ = sample(space(fixed={"levels": 1, "optimizer": "adam"}), 0)
    assert (
        denoise.parameters(flat)
        .keys()
        .isdisjoint({"depth", "skips", "downsample", "momentum", "weight_decay"})
    )
    unpooling, _ = sample(space(fixed={"levels": 3, "skips": "indices", "stem": "full"}), 0)
    assert denoise.parameters(unpooling).keys().isdisjoint({"flat_depth", "downsample", "upsample"})


@pytest.mark.parametrize("name", NETWORKS.names())
@pytest.mark.parametrize(
    "limits", [SpaceLimits(), SpaceLimits(patch_sizes=(16,), in_channels=2, max_levels=3)]
)
def test_named_networks_are_points(name: str, limits: SpaceLimits) -> None:
    denoise = SPACES.load("denoise")(limits)
    candidate = named(name, limits=limits)
    again = denoise(FixedTrial(denoise.parameters(candidate)))
    assert (again.architecture, again.recipe) == (candidate.architecture, candidate.recipe)
    assert again.name is not None
    assert NETWORKS[name].source
    assert NETWORKS[name].summary


def test_portfolio_starts_with_the_textbook_and_is_in_the_space() -> None:
    denoise = space()
    portfolio = denoise.portfolio()
    assert portfolio[0] == named("unet", limits=SpaceLimits())
    for candidate in portfolio:
        assert denoise(FixedTrial(denoise.parameters(candidate))) == candidate
        assert estimate_cost(candidate).macs_per_pixel < 100_000
    assert len({(candidate.architecture, candidate.recipe) for candidate in portfolio}) == len(portfolio)


@settings(CHECKED, max_examples=15)
@given(LIMITS)
def test_portfolio_fits_any_limits(limits: dict[str, object]) -> None:
    denoise = space(**limits)
    for candidate in denoise.portfolio():
        again = denoise(FixedTrial(denoise.parameters(candidate)))
        assert (again.architecture, again.recipe) == (candidate.architecture, candidate.recipe)


@pytest.mark.parametrize(
    "fixed",
    [
        {"width": 24},
        {"block": "convnext", "norm": "layer"},
        {"levels": 1},
        {"skips": "indices", "optimizer": "sgd"},
        {"residual": True, "patch_size": 32, "loss": "l1", "schedule": "one_cycle"},
    ],
)
def test_fixed_parameters_hold_and_are_not_suggested(fixed: dict[str, bool | int | float | str]) -> None:
    denoise = space(fixed=fixed)
    _, trial = sample(denoise, 1)
    candidates = [sample(denoise, seed)[0] for seed in range(3)]
    assert trial.params.keys().isdisjoint(fixed)
    for candidate in (*candidates, *denoise.portfolio()):
        record = {
            **dict(candidate.recipe),
            **dict(candidate.architecture),
            **dict(candidate.architecture.stages[0]),
        }
        record["levels"] = len(candidate.architecture.stages)
        expected = fixed if record["levels"] > 1 else {key: v for key, v in fixed.items() if key != "skips"}
        assert {key: record[key] for key in expected} == expected


def test_wrong_fixed_parameters_are_explained() -> None:
    with pytest.raises(
        SpaceError, match=r'The space has no parameter "widht" to fix\. Did you mean "width"\? Known'
    ):
        space(fixed={"widht": 16})
    with pytest.raises(SpaceError, match=r"width = 100 cannot be fixed: it must be 8 to 48 in steps of 8\."):
        space(fixed={"width": 100})
    with pytest.raises(SpaceError, match=r"width = True cannot be fixed"):
        space(fixed={"width": True})
    with pytest.raises(
        SpaceError, match=r"norm = 'instance' cannot be fixed: it must be one of none, batch, layer\."
    ):
        space(fixed={"norm": "instance"})


def test_a_stranger_is_no_point_of_the_space() -> None:
    stages = (Stage(block="plain", width=7, depth=2),)
    with pytest.raises(SpaceError, match=r"The candidate is no point of the space: stages = .* Project it"):
        space().parameters(Candidate(architecture=Architecture(stages=stages, skips="none")))


def test_unknown_network_is_explained() -> None:
    with pytest.raises(UnknownNameError, match=r'There is no network "unett"\. Did you mean "unet"\?'):
        named("unett", limits=SpaceLimits())


def test_tpe_finds_its_way_through_the_conditional_space() -> None:
    denoise = space()
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=4))
    for candidate in denoise.portfolio():
        study.enqueue_trial(denoise.parameters(candidate))
    study.optimize(
        lambda trial: len(denoise(trial).architecture.stages) * denoise(trial).recipe.learning_rate, 12
    )
    assert len(study.trials) == 12

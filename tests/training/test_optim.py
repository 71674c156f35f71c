from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from beamwright.search_spaces import Recipe
from beamwright.training.optim import WeightAverage, make_optimizer, make_schedule

SCHEDULES = ["constant", "step", "cosine", "one_cycle"]


@given(
    schedule=st.sampled_from(SCHEDULES),
    warmup=st.floats(0, 0.5),
    total=st.integers(1, 500),
    rate=st.floats(1e-6, 1),
)
def test_a_rate_is_never_negative_nor_above_its_highest(
    schedule: str, warmup: float, total: int, rate: float
):
    recipe = Recipe.model_validate({"schedule": schedule, "warmup": warmup, "learning_rate": rate})
    rates = [make_schedule(recipe, total)(step) for step in range(total + 3)]
    assert all(0 <= value <= rate * (1 + 1e-12) for value in rates)
    assert rates[0] > 0


@pytest.mark.parametrize(
    ("schedule", "start", "middle", "end"),
    [("constant", 1, 1, 1), ("step", 1, 0.1, 0.01), ("cosine", 1, 0.5, 0), ("one_cycle", 0.04, 0.8, 1e-4)],
)
def test_schedules_follow_their_shape(schedule: str, start: float, middle: float, end: float):
    rate = make_schedule(Recipe.model_validate({"schedule": schedule, "learning_rate": 1.0}), 1000)
    assert rate(0) == pytest.approx(start, abs=0.01)
    assert rate(500) == pytest.approx(middle, abs=0.02)
    assert rate(999) == pytest.approx(end, abs=1e-3)


def test_the_warm_up_rises_linearly_to_the_highest_rate():
    rate = make_schedule(Recipe(schedule="constant", warmup=0.1, learning_rate=1.0), 100)
    assert [rate(step) for step in (0, 4, 10)] == pytest.approx([1 / 11, 5 / 11, 1])


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "radam", "nadam"])
def test_every_optimiser_descends(name: str):
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = make_optimizer(
        Recipe.model_validate({"optimizer": name, "learning_rate": 0.1, "momentum": 0.5}), [weight]
    )
    for _ in range(100):
        optimizer.zero_grad()
        weight.square().sum().backward()
        optimizer.step()
    assert float(weight.detach().abs().max()) < 0.2
    assert type(optimizer).__name__.lower() == name


def test_decoupled_decay_shrinks_weights_without_gradient():
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = make_optimizer(Recipe(optimizer="adamw", weight_decay=0.5, learning_rate=0.1), [weight])
    weight.grad = torch.zeros(1)
    optimizer.step()
    assert float(weight.detach()) == pytest.approx(0.95)


def test_the_average_follows_the_weights_with_a_lag_and_copies_statistics():
    network, mean = (torch.nn.BatchNorm1d(2) for _ in range(2))
    average = WeightAverage(network, mean, 0.9)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(5.0)
    average.update(0)
    assert mean.weight.tolist() == pytest.approx([1 + 2 * 0.9] * 2)  # the first decay is 1/10
    average.update(1000)
    assert mean.weight.tolist() == pytest.approx([2.8 + 0.2 * 0.1] * 2)
    assert mean.running_mean.tolist() == [5, 5]

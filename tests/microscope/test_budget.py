from __future__ import annotations

import math

import pytest
import torch

from beamwright.envs.microscope.budget import Budget
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)


def test_a_budget_is_spent() -> None:
    budget = Budget.of(100.0, 10.0, 2).spend(torch.tensor([30.0, 60.0]), 4.0)
    assert budget.left[0].tolist() == [70.0, 40.0]
    assert budget.left[1].tolist() == [6.0, 6.0]
    assert torch.allclose(budget.share_left, torch.tensor([[0.7, 0.6], [0.4, 0.6]]))
    assert budget.affords(50.0, 1.0).tolist() == [True, False]
    assert budget.affords(1.0, 7.0).tolist() == [False, False]
    assert not budget.exhausted.any()
    assert budget.spend(40.0, 0.0).exhausted.tolist() == [False, True]
    assert budget.spend(0.0, 6.0).exhausted.tolist() == [True, True]


def test_an_overdrawn_budget_is_empty_and_not_negative() -> None:
    budget = Budget.of(10.0, 10.0, 1).spend(25.0, 1.0)
    assert budget.left[0].tolist() == [0.0]
    assert budget.share_left.tolist() == [[0.0, pytest.approx(0.9)]]


def test_no_limit() -> None:
    budget = Budget.of(math.inf, 5.0, 1).spend(1e12, 1.0)
    assert budget.share_left.tolist() == [[1.0, pytest.approx(0.8)]]
    assert not budget.exhausted.any()


def test_many_small_costs_add_up() -> None:
    budget = Budget.of(1e9, 1e9, 1).spend(1e8, 1e4)
    for _ in range(100):
        budget = budget.spend(0.1, 1e-6)
    assert float(budget.spent_electrons - 1e8) == pytest.approx(10.0, rel=1e-6)
    assert float(budget.spent_seconds - 1e4) == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize("wrong", [0.0, -5.0, math.nan])
def test_empty_budgets_are_refused(wrong: float) -> None:
    with pytest.raises(
        MicroscopeError, match=r"budget of electrons must be above 0, not .*; leave it infinite"
    ):
        Budget.of(wrong, 1.0, 1)
    with pytest.raises(MicroscopeError, match="budget of time must be above 0 s, not"):
        Budget.of(1.0, torch.tensor([1.0, wrong]), 2)

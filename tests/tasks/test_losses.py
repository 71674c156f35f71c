from __future__ import annotations

import pytest
import torch

from beamwright.errors import SpaceError
from beamwright.tasks.losses import LOSSES, restoration_loss


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 2, 1, 24, 24, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_zero_for_the_target_and_positive_elsewhere(name: str):
    output, target = images()
    everywhere = torch.ones_like(target)
    assert float(restoration_loss(name, target, target, everywhere)) == pytest.approx(0, abs=1e-6)
    assert float(restoration_loss(name, output, target, everywhere)) > 0.1


@pytest.mark.parametrize("name", ["l1", "l2", "huber"])
def test_pixels_without_weight_have_no_gradient(name: str):
    output, target = images()
    output.requires_grad_()
    weight = torch.zeros_like(target)
    weight[:, :, ::8, ::8] = 1
    restoration_loss(name, output, target, weight).backward()
    assert output.grad is not None
    assert torch.equal(output.grad != 0, weight != 0)


def test_the_weighted_mean_is_that_of_the_chosen_pixels():
    output, target = images()
    weight = (torch.rand(target.shape, generator=torch.Generator().manual_seed(1)) < 0.1).float()
    chosen = (output - target)[weight > 0].square().mean()
    assert float(restoration_loss("l2", output, target, weight)) == pytest.approx(float(chosen))


def test_an_unknown_loss_is_refused_with_a_suggestion():
    output, target = images()
    with pytest.raises(
        SpaceError, match=r'There is no loss "hubber"\. Did you mean "huber"\? Known: l1, l2, huber'
    ):
        restoration_loss("hubber", output, target, torch.ones_like(target))

"""Estimates against what a real network has and does."""

from __future__ import annotations

import gc
import time

import pytest
import torch

from beamwright.search_spaces import (
    Architecture,
    Candidate,
    Recipe,
    SpaceLimits,
    Stage,
    build,
    estimate_cost,
    named,
)

torch.set_num_threads(1)


def test_counts_by_hand() -> None:
    architecture = Architecture(stages=(Stage(block="plain", width=8, depth=2),), skips="none")
    cost = estimate_cost(Candidate(architecture=architecture))
    assert cost.parameters == (9 * 8 + 8) + (9 * 64 + 8) + (8 + 1)
    assert cost.macs_per_pixel == 9 * 8 + 9 * 64 + 8
    # Input; the second block's input, which its caller still holds; before and after its activation.
    assert cost.inference_bytes_per_pixel == 4 * (1 + 8 + 8 + 8)


def test_parameters_are_those_of_the_real_network() -> None:
    candidate = named("unet++", limits=SpaceLimits())
    real = sum(weight.numel() for weight in build(candidate.architecture).parameters())
    assert estimate_cost(candidate).parameters == real


@pytest.mark.parametrize("name", ["unet", "resunet", "dncnn"])
def test_training_memory_covers_what_autograd_keeps(name: str) -> None:
    candidate = named(name, limits=SpaceLimits())
    network, size = build(candidate.architecture), candidate.recipe.patch_size
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(torch.randn(4, 1, size, size)).mean().backward()
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    kept = sum(tensor.untyped_storage().nbytes() for key, tensor in saved.items() if key not in weights)
    small = candidate.model_copy(update={"recipe": candidate.recipe.model_copy(update={"batch_size": 4})})
    fixed = 4 * sum(weight.numel() for weight in network.parameters()) * 4  # weights, gradients, two moments
    estimate = estimate_cost(small).training_bytes
    assert kept + fixed * 0.7 < estimate < 2 * (kept + fixed)


def test_optimiser_and_average_count() -> None:
    architecture = named("unet", limits=SpaceLimits()).architecture
    plain = estimate_cost(Candidate(architecture=architecture, recipe=Recipe(optimizer="sgd")))
    more = estimate_cost(Candidate(architecture=architecture, recipe=Recipe(optimizer="adam", ema=0.99)))
    assert more.training_bytes - plain.training_bytes == 2 * 4 * plain.parameters


def test_three_dimensions_cost_more() -> None:
    flat, deep = (
        estimate_cost(
            Candidate(
                architecture=named("unet", limits=SpaceLimits(ndim=ndim)).architecture,
                recipe=Recipe(patch_size=32, batch_size=1),
            )
        )
        for ndim in (2, 3)
    )
    assert deep.macs_per_pixel > 1.5 * flat.macs_per_pixel
    assert deep.training_bytes > 4 * flat.training_bytes


def test_an_estimate_is_quick_and_leaves_nothing() -> None:
    recipe = Recipe(batch_size=1024, patch_size=1024)  # some terabytes, were it real
    candidates = [named(name, limits=SpaceLimits()) for name in ("unet", "deeplab", "unet++")]
    estimate_cost(candidates[0])
    start = time.process_time()
    for candidate in candidates:
        estimate_cost(candidate.model_copy(update={"recipe": recipe}))
    assert time.process_time() - start < 3.0
    gc.collect()

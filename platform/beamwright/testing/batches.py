"""The part of the suite of tasks that is about training: batches and losses."""

from __future__ import annotations

import torch

from beamwright.search_spaces import SPACES, Recipe
from beamwright.tasks import Batch, Task, TaskData
from beamwright.testing.expecting import attempt, expect

__all__ = ["check_batches"]

_STEP = 7


def check_batches(task: Task, other: Task, data: TaskData) -> None:
    """Check that batches follow from seed and step, and that every allowed loss is a finite scalar.

    Parameters
    ----------
    task, other
        Two objects of the same task: the driver has one, and each worker.
    data
        What the task prepared.

    Raises
    ------
    AssertionError
        If the task breaks a rule.
    """
    recipe = _recipe(task, data)
    with attempt("task.sampler(data, recipe, seed=0).batch(step)"):
        sampler, again = task.sampler(data, recipe, seed=0), other.sampler(data, recipe, seed=0)
        again.batch(0)  # a resumed trial asks for other steps before
        batch, same = sampler.batch(_STEP), again.batch(_STEP)
        others = sampler.batch(_STEP + 1), task.sampler(data, recipe, seed=1).batch(_STEP)
    _check_shapes(batch, recipe, data)
    expect(
        _equal(batch, same), "A batch must follow from the seed and the step alone, or no run can be resumed."
    )
    for wrong, what in zip(others, ("step", "seed"), strict=True):
        expect(not _equal(batch, wrong), f"Batches must differ from one {what} to the next.")
    for loss in data.limits.losses:
        _check_loss(task, batch, recipe.model_copy(update={"loss": loss}), data.limits.out_channels)


def _recipe(task: Task, data: TaskData) -> Recipe:
    first = SPACES.load(task.default_space)(data.limits).portfolio()[0]
    recipe: Recipe = first.recipe.model_copy(update={"batch_size": 3})
    return recipe


def _check_shapes(batch: Batch, recipe: Recipe, data: TaskData) -> None:
    expect(
        batch.keys() >= {"input", "target", "weight"},
        f"A batch needs input, target and weight, not {sorted(batch)}.",
    )
    spatial = (recipe.patch_size,) * data.limits.ndim
    found, wanted = tuple(batch["input"].shape), (recipe.batch_size, data.limits.in_channels, *spatial)
    expect(found == wanted, f"input of a batch must have the shape {wanted}, not {found}.")
    # An output may have channels, such as a predicted error, that nobody has the truth of.
    found, most = tuple(batch["target"].shape), data.limits.out_channels
    allowed = [(recipe.batch_size, count, *spatial) for count in range(1, most + 1)]
    expect(found in allowed, f"target of a batch must have the shape {allowed[-1]}, not {found}.")
    for name in ("input", "target", "weight"):
        tensor = batch[name]
        expect(tensor.dtype == torch.float32, f"{name} of a batch must be float32, not {tensor.dtype}.")
        expect(tensor.isfinite().all(), f"{name} of a batch must be finite.")
    expect(
        batch["weight"].sum() > 0, "weight of a batch must not be zero everywhere: nothing would be learned."
    )


def _check_loss(task: Task, batch: Batch, recipe: Recipe, channels: int) -> None:
    target = batch["target"]
    output = torch.zeros(target.shape[0], channels, *target.shape[2:], requires_grad=True)
    with attempt(f'task.loss with loss = "{recipe.loss}"'):
        loss = task.loss(output, batch, recipe)
    what = f'The loss "{recipe.loss}" must be'
    expect(
        loss.ndim == 0 and loss.dtype == torch.float32, f"{what} a float32 scalar, not {tuple(loss.shape)}."
    )
    expect(loss.isfinite(), f"{what} finite, not {loss.item()}.")
    with attempt(f'The gradient of the loss "{recipe.loss}"'):
        loss.backward()
    gradient = output.grad
    expect(
        gradient is not None and gradient.isfinite().all(), f"{what} differentiable, with finite gradients."
    )


def _equal(one: Batch, two: Batch) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)

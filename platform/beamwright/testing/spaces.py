"""The conformance suite of spaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import optuna
import torch
from optuna.samplers import RandomSampler
from optuna.trial import FixedTrial

from beamwright.errors import SpaceError
from beamwright.search_spaces import Candidate, Space, SpaceLimits, build
from beamwright.testing.expecting import attempt, expect

__all__ = ["check_space"]

MakeSpace = Callable[[SpaceLimits], Space]

_ODD_SIZES = {1: ((37,), (1,)), 2: ((21, 38), (1, 1)), 3: ((9, 10, 7), (1, 1, 1))}
_NO_VALUE = "no such value"


def check_space(
    make_space: MakeSpace, *, limits: SpaceLimits | None = None, samples: int = 6, seed: int = 0
) -> None:
    """Hold a space to everything that a search relies on.

    Sampled candidates keep the limits, build, keep the shape of images of odd sizes, and train a step with
    finite gradients; candidate -> parameters -> candidate is exact; members of the portfolio are points of
    the space; a fixed parameter is obeyed and not suggested; an unknown one is an error that proposes a name.

    Parameters
    ----------
    make_space
        What the entry of the registry loads: limits in, space out.
    limits
        Call the suite once for every kind of limits that the space is for.
    samples
        Number of random candidates.
    seed
        Of the samples.

    Raises
    ------
    AssertionError
        If the space breaks a rule; the message says which, and for what candidate.
    """
    limits = limits or SpaceLimits()
    with attempt(f"make_space({limits!r})"):
        space = make_space(limits)
    for method in ("__call__", "parameters", "project", "portfolio"):
        expect(callable(getattr(space, method, None)), f"A space needs the method {method}; see Space.")
    drawn = [_sample(space, seed + index) for index in range(samples)]
    for candidate, parameters in drawn:
        _check_limits(candidate, limits)
        _check_round_trip(space, candidate, parameters)
        _check_network(candidate)
    _check_portfolio(space, limits)
    _check_fixed(make_space, limits, drawn)


def _sample(space: Space, seed: int) -> tuple[Candidate, dict[str, Any]]:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        trial = optuna.create_study(sampler=RandomSampler(seed=seed)).ask()
    finally:
        optuna.logging.set_verbosity(verbosity)
    with attempt("space(trial)"):
        candidate = space(trial)
    expect(isinstance(candidate, Candidate), f"space(trial) must return a Candidate, not {candidate!r}.")
    return candidate, dict(trial.params)


def _check_limits(candidate: Candidate, limits: SpaceLimits) -> None:
    architecture, recipe = candidate.architecture, candidate.recipe
    for name in ("ndim", "in_channels", "out_channels"):
        found, wanted = getattr(architecture, name), getattr(limits, name)
        expect(found == wanted, f"{name} = {found} of a candidate must be that of the limits, {wanted}.")
    expect(
        recipe.patch_size in limits.patch_sizes,
        f"patch_size = {recipe.patch_size} must be one of limits.patch_sizes = {limits.patch_sizes}.",
    )
    expect(
        recipe.loss in limits.losses,
        f'loss = "{recipe.loss}" must be one of limits.losses = {limits.losses}: the others are biased here.',
    )
    levels = len(architecture.levels)
    expect(
        levels <= max(limits.max_levels, 1),
        f"{levels} levels of a candidate must not exceed limits.max_levels = {limits.max_levels}.",
    )
    expect(
        architecture.is_local or not limits.local_only,
        f"limits.local_only forbids norm = {architecture.norm}, bottleneck = {architecture.bottleneck}: "
        "tiles would not equal the whole image.",
    )


def _check_round_trip(space: Space, candidate: Candidate, parameters: Mapping[str, Any]) -> None:
    with attempt(f"space.parameters of {candidate!r}"):
        found = space.parameters(candidate)
    # Two values may lead to one candidate; the questions are the same for it.
    expect(
        found.keys() == parameters.keys(),
        "space.parameters must answer what a trial is asked for, no more and no less; "
        f"it differs in {', '.join(sorted(found.keys() ^ parameters.keys()))}.",
    )
    _check_point(space, candidate, found, "A sampled candidate")


def _check_point(space: Space, candidate: Candidate, parameters: Mapping[str, Any], what: str) -> None:
    with attempt(f"space(FixedTrial({dict(parameters)}))"):
        again = space(FixedTrial(dict(parameters)))
    for part in ("architecture", "recipe"):
        came, went = getattr(again, part), getattr(candidate, part)
        expect(came == went, f"{what} must come back from its parameters: {went!r} came back as {came!r}.")


def _check_network(candidate: Candidate) -> None:
    """Build a candidate and train it a step."""
    architecture, recipe = candidate.architecture, candidate.recipe
    with attempt(f"build({architecture!r})"):
        network = build(architecture, dropout=recipe.dropout, initialiser=recipe.initialiser)
        for size in _ODD_SIZES[architecture.ndim]:
            with torch.no_grad():
                output = network.eval()(torch.zeros(1, architecture.in_channels, *size))
            wanted = (1, architecture.out_channels, *size)
            expect(
                tuple(output.shape) == wanted,
                f"An image of {size} pixels must keep its size: {tuple(output.shape)} of {architecture!r}.",
            )
    generator = torch.Generator().manual_seed(0)
    shape = (2, architecture.in_channels, *_ODD_SIZES[architecture.ndim][0])
    network.train()(torch.randn(shape, generator=generator)).sub(1).square().mean().backward()
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    expect(
        gradients and all(gradient.isfinite().all() for gradient in gradients),
        f"A training step must give finite gradients; it does not for {architecture!r}.",
    )


def _check_portfolio(space: Space, limits: SpaceLimits) -> None:
    with attempt("space.portfolio()"):
        portfolio = space.portfolio()
    expect(portfolio, "space.portfolio() must have at least one known-good candidate: a search starts there.")
    pairs = [(member.architecture, member.recipe) for member in portfolio]
    expect(len(set(pairs)) == len(pairs), "space.portfolio() holds a candidate twice; one trial is wasted.")
    for member in portfolio:
        _check_limits(member, limits)
        with attempt(f"space.parameters of {member.name!r} in the portfolio"):
            parameters = space.parameters(member)
        _check_point(space, member, parameters, f"The member {member.name!r} of the portfolio")


def _check_fixed(
    make_space: MakeSpace, limits: SpaceLimits, drawn: list[tuple[Candidate, dict[str, Any]]]
) -> None:
    for name, candidate, parameters in _each_parameter(drawn):
        value = parameters[name]
        with attempt(f"make_space with {name} = {value!r} fixed"):
            fixed = make_space(_fixing(limits, name, value))
        rest = {key: item for key, item in parameters.items() if key != name}
        with attempt(f"A space with {name} = {value!r} fixed, which must not suggest it,"):
            same = fixed(FixedTrial(rest))
        expect(
            (same.architecture, same.recipe) == (candidate.architecture, candidate.recipe),
            f"{name} = {value!r} is fixed, and the space gives another value: {same!r}.",
        )
        for other, _ in drawn:
            _check_projection(fixed, other, f"{name} = {value!r}")
    _check_wrong_fixed(make_space, limits, next(iter(drawn[0][1]), "width"))


def _check_projection(fixed: Space, candidate: Candidate, what: str) -> None:
    with attempt(f"Projecting {candidate!r} on {what}"):
        projected = fixed.project(candidate)
    try:
        fixed.parameters(projected)
    except SpaceError as error:
        raise AssertionError(f"{what} is fixed, and space.project does not obey it: {error}") from error


def _each_parameter(
    drawn: list[tuple[Candidate, dict[str, Any]]],
) -> Iterator[tuple[str, Candidate, dict[str, Any]]]:
    """Yield every parameter once, with a candidate that it was suggested for."""
    seen: set[str] = set()
    for candidate, parameters in drawn:
        for name in parameters.keys() - seen:
            yield name, candidate, parameters
        seen |= parameters.keys()


def _check_wrong_fixed(make_space: MakeSpace, limits: SpaceLimits, name: str) -> None:
    misspelt = f"{name}x"
    for wrong, value, needed in ((misspelt, 1, f'"{name}"'), (name, _NO_VALUE, name)):
        what = f"space.fix: {wrong} = {value!r}"
        try:
            make_space(_fixing(limits, wrong, value))
        except SpaceError as error:
            expect(needed in str(error), f"The error for {what} must name {needed}; it says: {error}")
        except Exception as error:
            raise AssertionError(f"{what} must raise SpaceError, not {type(error).__name__}.") from error
        else:
            raise AssertionError(f"{what} must raise SpaceError, and the space takes it.")


def _fixing(limits: SpaceLimits, name: str, value: Any) -> SpaceLimits:
    return limits.model_copy(update={"fixed": {**limits.fixed, name: value}})

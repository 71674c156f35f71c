"""The conformance suite of microscopes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from beamwright.envs.instrument.protocol import (
    DETECTORS,
    ELECTRONS_PER_PA_US,
    Frame,
    Limit,
    Microscope,
    Spent,
)
from beamwright.errors import MicroscopeError
from beamwright.testing.expecting import attempt, expect

__all__ = ["check_microscope"]

_TOLERANCE = 1e-6  # of an account in floating point numbers


def check_microscope(make_microscope: Callable[[], Microscope], *, dwell: float = 10.0) -> None:
    """Hold a microscope to everything that environments and baselines rely on.

    Settings within limits are taken as they are, others refused with nothing half set; images have the
    shape, type and scale that they say; electrons follow from current and time, seconds from dwell and dead
    time, and what was spent is their sum; what the instrument cannot do is refused before it costs anything.

    Parameters
    ----------
    make_microscope
        Returns a new microscope, rested, that has spent nothing.
    dwell
        A usual dwell time of a scanned pixel [us].

    Raises
    ------
    AssertionError
        If the microscope breaks a rule; the message says which.
    """
    with attempt("Making the microscope"):
        microscope = make_microscope()
    expect(isinstance(microscope, Microscope), "A microscope must have all that the protocol names.")
    expect(microscope.spent == Spent(), f"A new microscope has spent nothing, not {microscope.spent}.")
    _check_promises(microscope)
    _check_settings(microscope)
    for detector in microscope.detectors:
        _check_frame(microscope, detector, dwell=dwell)
    if _scans(microscope):
        _check_scan(microscope, dwell=dwell)
    else:
        with _refused(microscope, "a path without a scanned detector"):
            microscope.scan(np.zeros((2, 2)), dwell)


def _check_promises(microscope: Microscope) -> None:
    settings = microscope.get()
    expect(bool(microscope.name), "A microscope needs a name.")
    expect("current" in microscope.limits, 'A microscope must have the control "current".')
    expect(settings.keys() == microscope.limits.keys(), "get must return all controls, and only these.")
    for name, value in settings.items():
        limit = microscope.limits[name]
        expect(isinstance(limit, Limit), f"The limit of {name} must be a Limit.")
        expect(limit.low <= value <= limit.high, f"{name} stands beyond its own limit, at {value:g}.")
    settings["current"] = -1.0
    expect(microscope.get() != settings, "get must return a copy, not the settings themselves.")
    expect(set(microscope.detectors) <= set(DETECTORS), f"Unknown detectors: {microscope.detectors}.")
    expect(microscope.detectors, "A microscope needs a detector.")
    expect(min(microscope.field) > 0, "The field must not be empty.")
    expect(microscope.dead_time >= 0, "The dead time must not be negative.")


def _check_settings(microscope: Microscope) -> None:
    limits, before = microscope.limits, microscope.get()
    first, limit = next(iter(limits.items()))
    inside = (limit.low + limit.high) / 2
    for name in limits:
        for value in (limits[name].high, limits[name].low, before[name]):
            with attempt(f"Setting {name} to {value:g}"):
                microscope.set({name: value})
            expect(microscope.get() == {**before, name: value}, f"{name} was not set to {value:g}.")
    wrong: dict[str, Mapping[str, float]] = {
        "an unknown control": {first: inside, "C99": 0.0},
        "a value above its limit": {first: inside, "current": limits["current"].high * 1.01 + 1},
        "a value below its limit": {first: inside, "current": limits["current"].low - 1},
        "a value that is not a number": {first: inside, "current": np.nan},
    }
    for what, values in wrong.items():
        with _refused(microscope, what):
            microscope.set(values)


def _check_frame(microscope: Microscope, detector: str, *, dwell: float) -> None:
    lengths = DETECTORS[detector] == "nm"
    size = min(microscope.field) / 32 if lengths else 1.5
    frame = Frame((12, 16), size, dwell if _is_scanned(detector) else 1e4, detector)
    before = microscope.spent
    with attempt(f"A frame of the {detector}"):
        taken = microscope.acquire(frame)
    image, name = taken.image, f"the {detector}"
    expect(image.shape == frame.shape, f"An image of {name} has the shape {image.shape}, not {frame.shape}.")
    expect(image.dtype == np.float32, f"An image of {name} must be float32, not {image.dtype}.")
    expect(np.isfinite(image).all(), f"An image of {name} must be finite.")
    expect(taken.pixel_size > 0, f"The pixel size of {name} must be positive.")
    expect(not lengths or _close(taken.pixel_size, size), f"Pixels of {name} must have the size asked for.")
    expected = _cost(microscope, frame.beam_time)
    _expect_cost(Spent(taken.electrons, taken.seconds), expected, f"An exposure of {name}")
    _expect_cost(_since(microscope, before), expected, f"The account after {name}")
    for other in set(DETECTORS) - set(microscope.detectors):
        with _refused(microscope, f"a frame of the {other}, which there is not"):
            microscope.acquire(Frame((4, 4), size, dwell, other))
    if lengths:
        with _refused(microscope, "a frame larger than the field"):
            microscope.acquire(Frame((4, 4), max(microscope.field), dwell, detector))


def _check_scan(microscope: Microscope, *, dwell: float) -> None:
    edge = np.asarray(microscope.field)
    path = np.linspace(0.0, 1.0, 9)[:, None] * edge  # (N, 2) from corner to corner
    for times in (dwell, np.linspace(dwell, 2 * dwell, len(path))):
        before = microscope.spent
        with attempt("A path across the field"):
            counts = microscope.scan(path, times)
        expect(counts.shape == (len(path),), f"A path of 9 points gave counts of shape {counts.shape}.")
        expect(counts.dtype == np.float32, f"Counts must be float32, not {counts.dtype}.")
        expect(np.isfinite(counts).all(), "Counts must be finite.")
        cost = _cost(microscope, float(np.broadcast_to(times, len(path)).sum()))
        _expect_cost(_since(microscope, before), cost, "A path")
    wrong: dict[str, tuple[Any, Any]] = {
        "a path off the field": (path + 0.01 * edge, dwell),
        "a path before the field": (path - 0.01 * edge, dwell),
        "a path with NaN": (np.where(path > 0, path, np.nan), dwell),
        "a path of another shape": (path.T, dwell),
        "a path without points": (np.empty((0, 2)), dwell),
        "a dwell of zero": (path, 0.0),
        "a dwell that is not a number": (path, np.full(len(path), np.nan)),
    }
    for what, arguments in wrong.items():
        with _refused(microscope, what):
            microscope.scan(*arguments)


@contextmanager
def _refused(microscope: Microscope, what: str) -> Iterator[None]:
    """Expect a `MicroscopeError` that leaves settings and account alone."""
    settings, spent = microscope.get(), microscope.spent
    try:
        yield
    except MicroscopeError:
        expect(microscope.get() == settings, f"After {what} was refused, something is half set.")
        expect(microscope.spent == spent, f"{what.capitalize()} was refused, and yet it cost something.")
    except Exception as error:
        raise AssertionError(
            f"{what.capitalize()} must raise MicroscopeError, not {type(error).__name__}: {error}"
        ) from error
    else:
        raise AssertionError(f"{what.capitalize()} must be refused with a MicroscopeError.")


def _cost(microscope: Microscope, beam_time: float) -> Spent:
    current = microscope.get()["current"]  # [pA]
    return Spent(current * beam_time * ELECTRONS_PER_PA_US, beam_time * 1e-6 + microscope.dead_time)


def _since(microscope: Microscope, before: Spent) -> Spent:
    now = microscope.spent
    return Spent(now.electrons - before.electrons, now.seconds - before.seconds)


def _expect_cost(cost: Spent, expected: Spent, what: str) -> None:
    for unit in ("electrons", "seconds"):
        one, two = getattr(cost, unit), getattr(expected, unit)
        expect(
            _close(one, two), f"{what} must cost {two:g} {unit} by current, dwell and dead time, not {one:g}."
        )


def _close(one: float, two: float) -> bool:
    return abs(one - two) <= _TOLERANCE * max(abs(one), abs(two))


def _is_scanned(detector: str) -> bool:
    return Frame((1, 1), 1.0, 1.0, detector).scanned


def _scans(microscope: Microscope) -> bool:
    return any(map(_is_scanned, microscope.detectors))

"""What every backend refuses before it touches anything: unknown controls, frames and paths off the field."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from beamwright.envs.instrument.protocol import DETECTORS, Frame, Limit, Microscope
from beamwright.errors import MicroscopeError, did_you_mean

__all__ = ["check_frame", "check_path", "check_settings"]

# Rounding in a path of thousands of points must not push its last one off the field.
_SLACK = 1e-6


def check_settings(values: Mapping[str, float], limits: Mapping[str, Limit]) -> dict[str, float]:
    """Return commanded settings as floats if every one of them may be set.

    Parameters
    ----------
    values
        What is commanded, by control.
    limits
        What the microscope allows.

    Raises
    ------
    MicroscopeError
        If a control is unknown, or a value not finite or beyond its limit.
    """
    return {name: _check_setting(name, value, limits) for name, value in values.items()}


def _check_setting(name: str, value: float, limits: Mapping[str, Limit]) -> float:
    if name not in limits:
        raise MicroscopeError(
            f'This microscope has no control "{name}".{did_you_mean(name, limits)} '
            f"Known: {', '.join(limits)}."
        )
    limit, value = limits[name], float(value)
    if not limit.low <= value <= limit.high:
        raise MicroscopeError(
            f"{name} = {value:g} {limit.unit} is beyond the limits of this microscope: from {limit.low:g} to "
            f"{limit.high:g} {limit.unit}."
        )
    return value


def check_frame(frame: Frame, microscope: Microscope) -> None:
    """Accept a frame that the microscope can take.

    Raises
    ------
    MicroscopeError
        If it has no such detector, or the field is smaller than the frame.
    """
    if frame.detector not in microscope.detectors:
        raise MicroscopeError(
            f'{microscope.name} has no detector "{frame.detector}"; it has {", ".join(microscope.detectors)}.'
        )
    if DETECTORS[frame.detector] != "nm":
        return
    (height, width), (rows, columns) = microscope.field, frame.shape
    largest = min(height / rows, width / columns)
    if frame.pixel_size > largest * (1 + _SLACK):
        raise MicroscopeError(
            f"A frame of {rows} x {columns} pixels of {frame.pixel_size:g} nm is larger than the field of "
            f"{height:g} x {width:g} nm; make the pixels at most {largest:.4g} nm."
        )


def check_path(path: np.ndarray, field: tuple[float, float]) -> np.ndarray:
    """Return a path as (N, 2) float64 if it stays on the field.

    Parameters
    ----------
    path
        (N, 2) positions (y, x) [nm].
    field
        Height and width of the field [nm].

    Raises
    ------
    MicroscopeError
        If the shape is another, a position is not finite, or one lies off the field.
    """
    points = np.asarray(path, dtype=np.float64)  # (N, 2)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise MicroscopeError(
            f"A path must be an array of N positions (y, x), shape (N, 2), not {points.shape}."
        )
    if not np.isfinite(points).all():
        raise MicroscopeError("The positions of a path must be finite numbers; one is NaN or infinite.")
    edge = np.asarray(field)
    off = ((points < -_SLACK * edge) | (points > (1 + _SLACK) * edge)).any(axis=1)
    if off.any():
        first = int(off.argmax())
        y, x = points[first]
        raise MicroscopeError(
            f"Point {first} of the path, at ({y:.4g}, {x:.4g}) nm, is off the field of {edge[0]:g} x "
            f"{edge[1]:g} nm; positions (y, x) begin at its upper left corner."
        )
    return points.clip(0, edge)

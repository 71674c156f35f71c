"""Where the models of this package end."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from beamwright.envs.microscope.aberrations import find
from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.physics import Optics
from beamwright.errors import PhysicsWarning

__all__ = ["check_field"]


def check_field(largest: Sequence[float], names: Sequence[str], optics: Optics, grid: Grid) -> None:
    """Warn if aberrations would throw rays so far that the probe, or a TEM image, overlaps itself.

    The field repeats itself, so what leaves it on one side comes in on the other. For the construction of an
    environment; the functions of this package do not look at the values of their tensors.

    Parameters
    ----------
    largest
        The largest magnitude that each coefficient will have, K of them [nm].
    names
        The K coefficients.
    optics
        Voltage and aperture.
    grid
        The field.

    Warns
    -----
    PhysicsWarning
        If ``sum |C| alpha^n`` at the edge of the aperture, or of the grid, exceeds half the field.
    """
    edge = min(optics.aperture, grid.cutoff(optics.voltage)) * 1e-3
    reach = sum(abs(size) * edge ** find(name).n for size, name in zip(largest, names, strict=True))
    if 2 * reach > min(grid.extent):
        warnings.warn(
            f"Rays at {edge * 1e3:.3g} mrad land up to {reach:.3g} nm off the axis, but half the field is "
            f"{min(grid.extent) / 2:.3g} nm: images overlap; choose a field >= {2 * reach:.3g} nm.",
            PhysicsWarning,
            stacklevel=2,
        )

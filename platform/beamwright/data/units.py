"""Lengths of headers in nanometres."""

from __future__ import annotations

import math

__all__ = ["nanometres"]

_NANOMETRES = {
    "pm": 1e-3, "picometer": 1e-3, "a": 0.1, "å": 0.1, "angstrom": 0.1, "nm": 1.0, "nanometer": 1.0,
    "um": 1e3, "µm": 1e3, "μm": 1e3, "\\u00b5m": 1e3, "micron": 1e3, "microns": 1e3, "micrometer": 1e3,
    "mm": 1e6, "millimeter": 1e6, "cm": 1e7, "centimeter": 1e7, "m": 1e9, "meter": 1e9,
}  # fmt: skip
# A print resolution such as 300 dpi is not a pixel size: no electron microscope has pixels so large.
_LARGEST = 1e4


def nanometres(value: float, unit: object) -> float | None:
    """Return a pixel size in nm, or None where there is none that can be believed.

    Parameters
    ----------
    value
        The pixel size in the unit.
    unit
        What the header calls it; a unit that is no length (1/nm, mrad, px) gives None.
    """
    factor = _NANOMETRES.get(str(unit).strip().lower())
    if factor is None or not math.isfinite(value):
        return None
    size = float(value) * factor
    return size if 0 < size <= _LARGEST else None

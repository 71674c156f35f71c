"""A fingerprint in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from beamwright.data.fingerprints import Fingerprint

__all__ = ["describe"]

_WIDTH = 100
_COLUMN = 14


def describe(fingerprint: Fingerprint) -> str:
    """Return what ``beamwright inspect`` prints: plain lines, the warnings at the end."""
    lines = [f"{label:<{_COLUMN}}{text}" for label, text in _facts(fingerprint)]
    for warning in fingerprint.warnings:
        lines += textwrap.wrap(
            warning, _WIDTH, initial_indent="! ", subsequent_indent="  ", break_long_words=False,
            break_on_hyphens=False,
        )  # fmt: skip
    return "\n".join(lines)


def _facts(found: Fingerprint) -> Iterator[tuple[str, str]]:
    yield (
        "files",
        ", ".join(
            f"{role} {count}" + (f" ({found.frames[role]} frames)" if found.frames[role] > count else "")
            for role, count in found.files.items()
        ),
    )
    yield "size", _several([f"{height} x {width}" for height, width in found.shapes]) + " px"
    if found.pixel_sizes:
        yield "pixel size", _several([f"{size:.4g}" for size in found.pixel_sizes]) + " nm"
    if found.voltages:
        yield "voltage", _several([f"{voltage:g}" for voltage in found.voltages]) + " kV"
    low, high = found.percentiles["0.1"], found.percentiles["99.9"]
    yield (
        "counts",
        (
            f"{found.mean:.4g} ± {found.std:.3g}, 99.8 % from {low:.4g} to {high:.4g}, "
            f"all from {found.minimum:.4g} to {found.maximum:.4g}"
        ),
    )
    yield "defects", f"{found.dead_pixels} dead, {found.hot_pixels} hot pixels"
    yield "noise", _noise(found)
    yield "correlation", _correlation(found)
    scale = (
        "nothing stands above the noise"
        if found.object_scale is None
        else f"about {found.object_scale:.3g} px"
    )
    yield "objects", scale
    if found.drift is not None:
        yield "drift", f"up to {found.drift:.1f} px between frames"


def _noise(found: Fingerprint) -> str:
    noise = found.noise
    source = "pairs of frames" if noise.method == "frames" else "single frames"
    text = f"sigma {noise.sigma:.3g} counts (from {source})"
    if noise.poisson_share is None or noise.gain is None:
        return text + "; it does not grow with the intensity"
    dose = "" if found.dose is None else f", {found.dose:.3g} e-/px"
    return text + f"; Poisson share {noise.poisson_share:.0%}, gain {noise.gain:.3g} counts/e-{dose}"


def _correlation(found: Fingerprint) -> str:
    noise = found.noise
    return "; ".join(
        f"{axis}: none" if not length else f"{axis}: {share:.0%} of a neighbour, length {length:.1f} px"
        for axis, share, length in (
            ("x", noise.correlation_x, noise.correlation_length_x),
            ("y", noise.correlation_y, noise.correlation_length_y),
        )
    )


def _several(items: list[str]) -> str:
    return ", ".join(items) if len(items) <= 4 else f"{items[0]} to {items[-1]} ({len(items)} different)"

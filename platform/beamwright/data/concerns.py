"""What is wrong with data, in plain words: what was seen, what it leads to, what to do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from beamwright.data.fingerprints import Fingerprint

__all__ = ["concerns"]

_CORRELATED = 0.15
_DRIFT = 1.5
_SHOWN = 3


def concerns(found: Fingerprint, regime: str | None = None) -> tuple[str, ...]:
    """Return the warnings of a fingerprint.

    Parameters
    ----------
    found
        A fingerprint without warnings.
    regime
        How a network is to be trained, if that is known: some faults matter to some regimes only.
    """
    return (*_leaks(found), *_noise(found, regime), *_movies(found), *_values(found))


def _leaks(found: Fingerprint) -> Iterator[str]:
    meaning = {
        "same file": "are in two roles, for instance a test file in the training folder",
        "identical": "have the same content",
        "same field": "show the same field of view",
    }
    across = len(found.files) > 1
    cure = (
        "the figures on the test data would be too good; keep such files in one role"
        if across
        else "they must not be split into training and test data"
    )
    for kind, group in groupby(sorted(found.duplicates, key=lambda pair: pair[2]), key=lambda pair: pair[2]):
        pairs = list(group)
        names = "; ".join(one if one == two else f"{one} and {two}" for one, two, _ in pairs[:_SHOWN])
        more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
        yield f"Images {meaning[kind]}: {names}{more}; {cure}."


def _noise(found: Fingerprint, regime: str | None) -> Iterator[str]:
    noise = found.noise
    strongest = max(noise.correlation_x, noise.correlation_y)
    if strongest < _CORRELATED or regime not in (None, "auto", "blind_spot"):
        return
    axis = "x" if noise.correlation_x >= noise.correlation_y else "y"
    length = noise.correlation_length_x if axis == "x" else noise.correlation_length_y
    yield (
        f"The noise is correlated along {axis} (neighbouring pixels share {strongest:.0%} of it, over about "
        f"{length:.1f} px): blind-spot training predicts that part of it instead of removing it, and at 50% "
        "learns nothing. Use pairs of frames (regime noise2noise), clean targets, or images that were "
        "not resampled or filtered."
    )


def _movies(found: Fingerprint) -> Iterator[str]:
    if found.related is False:
        yield (
            "Neighbouring frames have nothing in common, so they are no movie of one field; set data.stack: "
            "images, or do not train on frame pairs."
        )
    elif found.drift is not None and found.drift > _DRIFT:
        yield (
            f"Frames of one movie are shifted by up to {found.drift:.0f} px: training on frame pairs blurs "
            "by as much; align the frames first."
        )


def _values(found: Fingerprint) -> Iterator[str]:
    pixels = max(shape[0] * shape[1] for shape in found.shapes)
    if found.dead_pixels + found.hot_pixels > 1e-4 * pixels:
        yield (
            f"A frame has about {found.hot_pixels} hot and {found.dead_pixels} dead pixels: networks learn "
            "to keep them; replace them by the median of their neighbours."
        )
    if found.saturated > 0.01:
        yield (
            f"{found.saturated:.1%} of the pixels have the largest value that the type holds: what was "
            "brighter is lost, and the noise there is not that of the rest; expose less, or crop there."
        )
    yield from _ranges(found)
    if len(found.pixel_sizes) > 1 and found.pixel_sizes[-1] > 1.5 * found.pixel_sizes[0]:
        low, high = found.pixel_sizes[0], found.pixel_sizes[-1]
        yield (
            f"Pixel sizes range from {low:.4g} to {high:.4g} nm: one network must then know several "
            "magnifications; train one for each, or have many files of each."
        )
    if (side := min(min(shape) for shape in found.shapes)) < 64:
        yield f"The smallest image has a side of {side} px: deep networks see its borders everywhere."


def _ranges(found: Fingerprint) -> Iterator[str]:
    flat = [name for name, _, std in found.ranges if std == 0]
    if flat:
        yield f"All pixels of {flat[0]} are equal ({len(flat)} such files): remove it, it teaches nothing."
    ranges = [item for item in found.ranges if item[2] > 0]
    if len(ranges) < 2:
        return
    dim, bright = min(ranges, key=lambda item: item[1]), max(ranges, key=lambda item: item[1])
    weak, strong = min(ranges, key=lambda item: item[2]), max(ranges, key=lambda item: item[2])
    if strong[2] > 10 * weak[2]:
        one, two = weak, strong
    elif bright[1] - dim[1] > 10 * max(dim[2], bright[2]):
        one, two = dim, bright
    else:
        return
    yield (
        f"The range of counts differs widely between files ({one[0]}: {one[1]:.4g} ± {one[2]:.3g}; {two[0]}: "
        f"{two[1]:.4g} ± {two[2]:.3g}): one normalisation cannot fit both; give the files common units, or "
        "search for each kind of file on its own."
    )

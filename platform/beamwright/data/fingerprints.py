"""What the data are like, found before training: the noise, the objects, what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Fingerprint", "Noise"]

_PATCHES = (32, 48, 64, 96, 128, 192, 256)
_FEW_ELECTRONS = 20.0


@dataclass(frozen=True)
class Noise:
    """The noise of single frames.

    Parameters
    ----------
    sigma
        Standard deviation at the mean intensity [counts].
    poisson_share
        Share of the variance that grows with the intensity (0 to 1); None where it cannot be told.
    gain
        Slope of the variance on the mean [counts/e-]; None where it cannot be told.
    offset
        Intensity at which the variance would vanish [counts]: below the detector's zero by readout noise;
        None where it cannot be told.
    correlation_x, correlation_y
        Correlation of neighbouring pixels' noise along x (the fast axis) and y.
    correlation_length_x, correlation_length_y
        Length over which that falls by e [px]; 0 for white noise.
    method
        ``frames``: from differences of frames of one field; ``residual``: from what varies faster than
        objects do.
    """

    sigma: float
    poisson_share: float | None
    gain: float | None
    offset: float | None
    correlation_x: float
    correlation_y: float
    correlation_length_x: float
    correlation_length_y: float
    method: Literal["frames", "residual"]


@dataclass(frozen=True)
class Fingerprint:
    """What the data are like; plain values only.

    Parameters
    ----------
    files, frames
        Numbers of files and of frames, by role.
    shapes
        The different frame shapes ``(H, W)``.
    minimum, maximum, mean, std
        Range of the sampled pixels [counts].
    percentiles
        The 0.1, 1, 50, 99 and 99.9 percentiles [counts], by their names.
    pixel_sizes
        The different pixel sizes [nm], ascending; empty where headers have none.
    voltages
        The different acceleration voltages [kV], ascending.
    dead_pixels, hot_pixels
        Pixels of a frame that stand out of all their neighbours; those that do so in most frames where
        several frames have one shape.
    noise
        The noise of single frames.
    object_scale
        Typical size of an object [px]; None where nothing stands above the noise.
    duplicates
        ``(name, name, kind)`` with kind ``same file``, ``identical`` or ``same field``.
    saturated
        Share of the sampled pixels at the largest value of an integer type (0 to 1).
    drift
        Largest shift between neighbouring frames of a sampled movie [px]; None without movies.
    related
        Whether neighbouring frames of the sampled movies show one field; None without movies.
    ranges
        ``(name, mean, std)`` of the sampled files [counts].
    warnings
        What is wrong, in plain words.
    """

    files: dict[str, int]
    frames: dict[str, int]
    shapes: tuple[tuple[int, int], ...]
    minimum: float
    maximum: float
    mean: float
    std: float
    percentiles: dict[str, float]
    pixel_sizes: tuple[float, ...]
    voltages: tuple[float, ...]
    dead_pixels: int
    hot_pixels: int
    noise: Noise
    object_scale: float | None
    duplicates: tuple[tuple[str, str, str], ...] = ()
    saturated: float = 0.0
    drift: float | None = None
    related: bool | None = None
    ranges: tuple[tuple[str, float, float], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def pixel_size(self) -> float | None:
        """The smallest pixel size [nm], or None."""
        return self.pixel_sizes[0] if self.pixel_sizes else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Fingerprint:
        """Rebuild what `to_dict` gave, also after a round trip through JSON."""
        noise = values["noise"]
        plain = {key: _tuples(value) for key, value in values.items() if key != "noise"}
        return cls(noise=noise if isinstance(noise, Noise) else Noise(**noise), **plain)

    @property
    def dose(self) -> float | None:
        """Electrons per pixel at the mean intensity [e-], where the noise tells; None elsewhere."""
        if self.noise.gain is None or self.noise.offset is None:
            return None
        return max((self.mean - self.noise.offset) / self.noise.gain, 0.0)

    def patch_sizes(self) -> tuple[int, ...]:
        """Return patch sizes [px] that fit the smallest image and hold a few objects."""
        side = min(min(shape) for shape in self.shapes)
        scale = self.object_scale or 0.0
        low, high = min(max(2 * scale, _PATCHES[0]), 96), max(4 * scale, 128)
        fitting = tuple(size for size in _PATCHES if low <= size <= min(high, side))
        return fitting or (max(size for size in (16, *_PATCHES) if size <= side),)

    def max_levels(self) -> int:
        """Return the largest number of resolution levels that is worth trying.

        The coarsest level sees an object as about a pixel, and has four pixels of the smallest patch.
        """
        wanted = 4 if self.object_scale is None else math.ceil(math.log2(max(self.object_scale, 1))) + 1
        possible = int(math.log2(min(self.patch_sizes()) / 4)) + 1
        return max(min(wanted, possible, 5), min(2, possible))

    def losses(self, regime: str) -> tuple[str, ...]:
        """Return the losses that estimate the right thing with this noise.

        Against clean targets all do. Against noisy ones the structural similarity rewards noise, and the
        absolute error finds the median, which is not the mean where few electrons were counted.

        Parameters
        ----------
        regime
            ``clean``, ``synthetic``, ``noise2noise`` or ``blind_spot``.
        """
        if regime in ("clean", "synthetic"):
            return ("l1", "l2", "huber", "ssim_l1")
        skewed = self.dose is not None and self.dose < _FEW_ELECTRONS
        return ("l2", "huber") if skewed else ("l1", "l2", "huber")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, (list, tuple)) else value

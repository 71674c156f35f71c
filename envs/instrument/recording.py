"""One recorded image, and what was set when it was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from beamwright.envs.instrument.protocol import Frame
from beamwright.errors import MicroscopeError

__all__ = ["Recording"]


@dataclass(frozen=True, eq=False)
class Recording:
    """One recorded image and the conditions that it was taken under.

    Parameters
    ----------
    image
        Counts [e-], (H, W).
    pixel_size
        Edge of a pixel [nm], of a ``ronchigram`` [mrad].
    dwell
        Time of a scanned pixel, or of the whole exposure of a camera [us].
    settings
        Settings of the controls, such as ``{"C10": -5.0}``; the same ones in all recordings of a session.
    detector
        One of `DETECTORS`.

    Raises
    ------
    MicroscopeError
        If the image is not two-dimensional or holds NaN, or a size or time is not positive.
    """

    image: np.ndarray
    pixel_size: float
    dwell: float = 1.0
    settings: Mapping[str, float] = field(default_factory=dict)
    detector: str = "haadf"

    def __post_init__(self) -> None:
        image = np.asarray(self.image)
        if image.ndim != 2 or not image.size:
            raise MicroscopeError(
                f"A recording must be one image, (H, W), not an array of shape {image.shape}."
            )
        if wrong := int(np.count_nonzero(~np.isfinite(image))):
            raise MicroscopeError(
                f"A recorded image must be finite; {wrong} of its {image.size} pixels are NaN or infinite. "
                "Replace them before you replay it."
            )
        Frame(image.shape, self.pixel_size, self.dwell, self.detector)

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width [nm], of a ``ronchigram`` [mrad]."""
        return self.image.shape[0] * self.pixel_size, self.image.shape[1] * self.pixel_size

    def rate(self, points: np.ndarray) -> np.ndarray:
        """Return the counts per microsecond of a pixel of the recording at some positions.

        Parameters
        ----------
        points
            (..., 2) positions (y, x) from the upper left corner, in the unit of `pixel_size`.

        Returns
        -------
        np.ndarray
            (...,) bilinear interpolation; within half a pixel of the edge, the edge's value.
        """
        image = np.asarray(self.image, dtype=np.float64)
        last = np.array(image.shape) - 1
        place = np.clip(points / self.pixel_size - 0.5, 0, last)  # (..., 2) [px]
        low = np.minimum(place.astype(int), np.maximum(last - 1, 0))
        high = np.minimum(low + 1, last)
        (y, x), (y0, x0), (y1, x1) = (np.moveaxis(item, -1, 0) for item in (place - low, low, high))
        top = image[y0, x0] * (1 - x) + image[y0, x1] * x
        bottom = image[y1, x0] * (1 - x) + image[y1, x1] * x
        return (top * (1 - y) + bottom * y) / self.dwell

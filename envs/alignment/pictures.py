"""Pictures of the exposures of a step: side by side, as a tableau, as diffractograms, or as figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from beamwright.envs.alignment.config import TILTS, AlignConfig
from beamwright.envs.alignment.types import Shots
from beamwright.envs.alignment.variants import AlignSTEMConfig
from beamwright.envs.core.canvas import Box, Canvas, number
from beamwright.envs.core.pictures import ImagePanel

__all__ = ["diffractograms", "draw_shots", "mosaic"]

_GAP = 2  # [px]
_SIDE_BY_SIDE = 2
_ELECTRONS = "e\N{SUPERSCRIPT MINUS}"


def draw_shots(canvas: Canvas, box: Box, config: AlignConfig, shots: Shots) -> None:
    """Draw what the agent is shown of one environment's exposures.

    Parameters
    ----------
    canvas, box
        Where to draw.
    config
        What is observed.
    shots
        Of a batch of one.
    """
    if shots.images is None:
        _draw_figures(canvas, box, config, shots)
        return
    images = shots.images[0].numpy(force=True)  # (E, H, W)
    if config.observation == "spectrum":
        title = "Diffractograms" if len(images) > 1 else "Diffractogram"
        shown = mosaic(diffractograms(images), config.diagnostic)
        ImagePanel(canvas, box, shown, title=title, note=_tilts(config))
    elif len(images) > _SIDE_BY_SIDE:
        shown, limits = mosaic(images, config.diagnostic), _limits(images)
        ImagePanel(canvas, box, shown, title="Exposures", note=_tilts(config), limits=limits, unit=_ELECTRONS)
    else:
        _draw_side_by_side(canvas, box, config, images)


def _draw_figures(canvas: Canvas, box: Box, config: AlignConfig, shots: Shots) -> None:
    assert shots.figures is not None
    figures = shots.figures[0].reshape(-1, config.rings, config.directions).numpy(force=True)  # (E, R, D)
    shown = np.concatenate(list(figures), axis=1)
    title = "Sharpness by ring and direction"
    ImagePanel(canvas, box, shown, title=title, note="log of power", colours="magma")


def _draw_side_by_side(canvas: Canvas, box: Box, config: AlignConfig, images: np.ndarray) -> None:
    ronchigram = isinstance(config, AlignSTEMConfig) and config.probe == "ronchigram"
    boxes, limits = box.columns(*[1.0] * len(images)), _limits(images)
    for place, image, changes in zip(boxes, images, config.diagnostic, strict=True):
        ImagePanel(
            canvas,
            place,
            image,
            title="Ronchigram" if ronchigram else "Exposure",
            note=_in_words(changes),
            limits=limits,
            unit=_ELECTRONS,
            pixel_size=None if ronchigram else config.sampling,
        )


def _in_words(changes: Mapping[str, float]) -> str:
    """Return what an exposure changes, such as ``C10 6, C21a 150 nm``."""
    unit = "mrad" if set(TILTS) & set(changes) else "nm"
    if len({name in TILTS for name in changes}) > 1:
        unit = ""
    return (
        f"{', '.join(f'{name} {number(value)}' for name, value in changes.items())} {unit}" if changes else ""
    )


def _tilts(config: AlignConfig) -> str:
    sizes = {abs(changes[name]) for changes in config.diagnostic for name in TILTS if name in changes}
    return f"beam tilted by {number(max(sizes), 'mrad')}" if sizes else ""


def _limits(images: np.ndarray) -> tuple[float, float]:
    """Return values of black and white that a few bright pixels do not decide."""
    return float(np.quantile(images, 0.01)), max(1.0, float(np.quantile(images, 0.995)))


def diffractograms(images: np.ndarray) -> np.ndarray:
    """Return the logarithm of the smoothed power over shot noise of images, zero frequency in the middle.

    Parameters
    ----------
    images
        Counts, ``(E, H, W)``.
    """
    counts = np.maximum(images.sum((-2, -1), keepdims=True), 1.0)
    power = np.abs(np.fft.fft2(images)) ** 2 / counts
    power[:, 0, 0] = 1.0
    # Each mode alone is speckle; the rings show in the mean of neighbours.
    smooth = np.mean([np.roll(power, (y, x), (-2, -1)) for y in (-1, 0, 1) for x in (-1, 0, 1)], axis=0)
    return np.fft.fftshift(np.log(smooth + 0.3), axes=(-2, -1))


def mosaic(images: np.ndarray, exposures: Sequence[Mapping[str, float]]) -> np.ndarray:
    """Return one picture of several, each where its tilt points, or row by row where tilts do not tell.

    Parameters
    ----------
    images
        ``(E, H, W)``.
    exposures
        What each of them changes.
    """
    places = [tuple(1 + int(np.sign(changes.get(name, 0.0))) for name in TILTS) for changes in exposures]
    if len(set(places)) < len(places) or len(places) < 3:
        across = math.ceil(math.sqrt(len(images)))
        places = [divmod(index, across) for index in range(len(images))]
    height, width = images.shape[-2] + _GAP, images.shape[-1] + _GAP
    rows, columns = (max(place[axis] for place in places) + 1 for axis in (0, 1))
    picture = np.full((rows * height - _GAP, columns * width - _GAP), np.nan)
    for image, (row, column) in zip(images, places, strict=True):
        picture[row * height :, column * width :][: image.shape[-2], : image.shape[-1]] = image
    return picture

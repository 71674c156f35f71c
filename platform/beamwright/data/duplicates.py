"""Files that are the same, and fields of view that were taken twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice, product

import numpy as np

from beamwright.data.image import ImageFile
from beamwright.data.memory import MemoryImage
from beamwright.data.sampling import spread

__all__ = ["find_duplicates", "have_in_common", "shift_between"]

_SIDE = 128
_MOVIE_SIDE = 256
_MIN_SIDE = 24
_MAX_THUMBNAILS = 40
_MAX_PIXELS = 100_000_000
_MAX_FOUND = 100
_ROWS = 4
# Of 2600 pairs of unrelated real micrographs the peaks reach 16 deviations and the correlations 0.13, but
# no product exceeds 3 at full size; one field with noise of twice the contrast gives 5 to 60.
_PEAK = 7.5
_KINSHIP = 4.0
_OVERLAP = 0.25
_COARSE = 6.0
_PLAIN = 0.1
_CHANCE = 4.0


@dataclass(frozen=True, eq=False)
class _Thumbnail:
    file: ImageFile
    image: np.ndarray  # (h, w), without gradients and brightness
    transform: np.ndarray  # (_SIDE, _SIDE) of modulus 1


def find_duplicates(files: Mapping[str, Sequence[ImageFile]]) -> tuple[tuple[str, str, str], ...]:
    """Compare the files of each role with those of the others; of one role only, with each other.

    All files are compared by their content; a spread sample of them by what they show.

    Parameters
    ----------
    files
        By role.

    Returns
    -------
    tuple
        ``(name, name, kind)``, kind being ``same file`` (one file in two roles), ``identical`` (the same
        bytes or pixels) or ``same field`` (one field of view, shifted and with other noise).
    """
    exact = list(_exact(files))
    known = {pair[:2] for pair in exact}
    near = [pair for pair in _near(files) if pair[:2] not in known]
    return tuple(exact + near)


def shift_between(first: np.ndarray, second: np.ndarray) -> tuple[int, int] | None:
    """Return the shift (dy, dx) [px] of the first image against the second, or None if it cannot be told.

    Parameters
    ----------
    first, second
        ``(H, W)`` of one shape; large ones are averaged down first.
    """
    factor = max(1, -(-max(first.shape) // _MOVIE_SIDE))
    side = max(first.shape) // factor
    images = [_shrink(image, factor) for image in (first, second)]
    one, two = (_whitened(image, (side, side)) for image in images)
    dy, dx, height = _peak(one * two.conj())
    likeness = _likeness(_details(images[0]), _details(images[1]), dy, dx, height)
    return None if likeness < _KINSHIP else (dy * factor, dx * factor)


def have_in_common(first: np.ndarray, second: np.ndarray) -> bool:
    """Tell whether two unshifted images ``(H, W)`` have anything in common, however faint."""
    if min(first.std(), second.std()) == 0 or np.corrcoef(first.ravel(), second.ravel())[0, 1] > _PLAIN:
        return True
    one, two = (np.fft.fft2(image - image.mean()) for image in (first, second))
    correlation = np.fft.ifft2(one * two.conj()).real
    return bool(correlation[0, 0] > _CHANCE * correlation.std())


def _exact(files: Mapping[str, Sequence[ImageFile]]) -> Iterator[tuple[str, str, str]]:
    paths = {role: {file.path.resolve(): file for file in group} for role, group in files.items()}
    for first, second in combinations(paths, 2):
        # Parts of one file may be in different roles; the same part may not.
        parts = {(file.path.resolve(), file.key, file.item) for file in files[first]}
        for file in files[second]:
            if (file.path.resolve(), file.key, file.item) in parts:
                yield file.name, file.name, "same file"
    signatures: dict[str, list[tuple[str, ImageFile]]] = {}
    for role, by_path in paths.items():
        for file in by_path.values():
            signatures.setdefault(file.signature(), []).append((role, file))
    for group in signatures.values():
        for (role, one), (other_role, other) in combinations(group, 2):
            if one.path.resolve() == other.path.resolve() or (role == other_role and len(files) > 1):
                continue
            if one.identity() == other.identity():
                yield one.name, other.name, "identical"


def _near(files: Mapping[str, Sequence[ImageFile]]) -> Iterator[tuple[str, str, str]]:
    # Simulated specimens of a class are alike and yet never the same.
    recorded = ([file for file in group if not isinstance(file, MemoryImage)] for group in files.values())
    groups = [group for group in recorded if group]
    everything = [file for group in groups for file in group]
    if len(everything) < 2:
        return
    factor = max(1, -(-max(max(file.shape[-2:]) for file in everything) // _SIDE))
    each = max(_budget(everything, factor) // len(groups), 2)
    thumbnails = [_thumbnails(spread(group, each), factor) for group in groups]
    pairs: Iterable[tuple[_Thumbnail, _Thumbnail]]
    if len(groups) == 1:
        pairs = combinations(thumbnails[0], 2)
    else:
        pairs = chain.from_iterable(product(one, two) for one, two in combinations(thumbnails, 2))
    related = ((one.file.name, two.file.name, _kinship(one, two)) for one, two in pairs)
    yield from islice(((one, two, kind) for one, two, kind in related if kind), _MAX_FOUND)


def _budget(files: Sequence[ImageFile], factor: int) -> int:
    largest = max(file.shape[-1] * file.shape[-2] for file in files)
    read = largest * min(1, _ROWS / factor)
    return int(np.clip(_MAX_PIXELS / read, 4, _MAX_THUMBNAILS))


def _thumbnails(files: Sequence[ImageFile], factor: int) -> list[_Thumbnail]:
    made = []
    for file in files:
        image = _shrink(file.read(file.frames // 2), factor)
        if min(image.shape) >= _MIN_SIDE and image.std() > 0:
            made.append(_Thumbnail(file, _details(image), _whitened(image, (_SIDE, _SIDE))))
    return made


def _shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of `factor` columns and of a few of their rows, so that fewer rows are read."""
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    cut = image[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    step = max(factor // _ROWS, 1)
    return cut[:, ::step].mean(axis=(1, 3), dtype=np.float32)


def _details(image: np.ndarray) -> np.ndarray:
    """Take gradients and brightness away."""
    from scipy.ndimage import gaussian_filter

    details: np.ndarray = image - gaussian_filter(image, _COARSE)
    return details


def _whitened(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the windowed transform with all moduli 1: gradients and periods count no more than details."""
    window = np.hanning(image.shape[0])[:, None] * np.hanning(image.shape[1])
    transform = np.fft.fft2((image - image.mean()) * window, shape)
    return transform / np.maximum(np.abs(transform), 1e-12)


def _peak(spectrum: np.ndarray) -> tuple[int, int, float]:
    correlation = np.fft.ifft2(spectrum).real
    where = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
    height = float((correlation[where] - correlation.mean()) / max(correlation.std(), 1e-12))
    dy, dx = (
        (int(at) + size // 2) % size - size // 2 for at, size in zip(where, correlation.shape, strict=True)
    )
    return dy, dx, height


def _kinship(one: _Thumbnail, two: _Thumbnail) -> str | None:
    dy, dx, height = _peak(one.transform * two.transform.conj())
    if _likeness(one.image, two.image, dy, dx, height) < _KINSHIP:
        return None
    if dy == dx == 0 and one.file.shape == two.file.shape and _same_pixels(one.file, two.file):
        return "identical"
    return "same field"


def _likeness(one: np.ndarray, two: np.ndarray, dy: int, dx: int, height: float) -> float:
    """Weigh a peak of the phase correlation by how alike the images are where they overlap."""
    first, second = _overlap(one, two, dy, dx), _overlap(two, one, -dy, -dx)
    if height < _PEAK or first.size < _OVERLAP * one.size or first.shape != second.shape:
        return 0.0
    alike = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    return float(height * alike * min(np.sqrt(first.size) / _SIDE, 1))


def _same_pixels(one: ImageFile, two: ImageFile) -> bool:
    return np.array_equal(one.read(one.frames // 2), two.read(two.frames // 2))


def _overlap(image: np.ndarray, other: np.ndarray, dy: int, dx: int) -> np.ndarray:
    """Return the part of `image` that `other`, shifted by (dy, dx), covers."""
    top, left = max(dy, 0), max(dx, 0)
    bottom, right = min(image.shape[0], other.shape[0] + dy), min(image.shape[1], other.shape[1] + dx)
    return image[top:bottom, left:right]

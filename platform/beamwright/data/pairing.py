"""Which target belongs to which input: by file name, or by what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from beamwright.data.image import ImageFile
from beamwright.errors import DataError

__all__ = ["Pair", "pair_up"]

Pair = tuple[ImageFile, ImageFile | None]

_SHOWN = 10


def pair_up(images: Sequence[ImageFile], targets: Sequence[ImageFile]) -> list[Pair]:
    """Pair inputs with targets.

    Parameters
    ----------
    images, targets
        Paired by their names without suffixes; if these differ, by what remains when each side's common
        beginning and ending are taken off, so that ``a_noisy, b_noisy`` fit ``a_clean, b_clean``.

    Raises
    ------
    DataError
        If a file has no partner or several, or a pair has different shapes; all of these at once.
    """
    pairs = _match(images, targets, [file.stem for file in images], [file.stem for file in targets])
    if pairs is None:
        pairs = _match(images, targets, _distinctive(images), _distinctive(targets))
    if pairs is None:
        raise _unpaired(images, targets)
    faults = [fault for image, target in pairs if (fault := _misfit(image, target))]
    if faults:
        raise DataError("\n".join(["An input and its target must have one shape:", *_some(faults)]))
    return [*pairs]


def _match(
    images: Sequence[ImageFile], targets: Sequence[ImageFile], names: list[str], target_names: list[str]
) -> list[tuple[ImageFile, ImageFile]] | None:
    partners = dict(zip(target_names, targets, strict=True))
    unique = len(set(names)) == len(names) == len(partners) == len(targets)
    if not unique or set(names) != set(partners):
        return None
    return [(image, partners[name]) for image, name in zip(images, names, strict=True)]


def _distinctive(files: Sequence[ImageFile]) -> list[str]:
    names = [file.stem for file in files]
    begin = _common(names)
    rest = [name[begin:] for name in names]
    end = _common([name[::-1] for name in rest])
    return [name[: len(name) - end] for name in rest]


def _common(names: Sequence[str]) -> int:
    """Return how many characters all names begin with."""
    letters = zip(*names, strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, letters))


def _unpaired(images: Sequence[ImageFile], targets: Sequence[ImageFile]) -> DataError:
    stems, target_stems = {file.stem for file in images}, {file.stem for file in targets}
    lines = [f"{len(images)} inputs and {len(targets)} targets must pair by file name:"]
    lines += _some([f"{file.name} has no target" for file in images if file.stem not in target_stems])
    lines += _some([f"{file.name} has no input" for file in targets if file.stem not in stems])
    lines += _some(_repeated(images) + _repeated(targets))
    return DataError("\n".join([*lines, "Rename them, or name only those that belong together."]))


def _repeated(files: Sequence[ImageFile]) -> list[str]:
    stems = [file.stem for file in files]
    return [f"{file.name} shares its name with another" for file in files if stems.count(file.stem) > 1]


def _misfit(image: ImageFile, target: ImageFile) -> str | None:
    # One clean image may be the target of all frames of a movie.
    if image.shape[-2:] == target.shape[-2:] and target.frames in (1, image.frames):
        return None
    return f"{image.name} {image.shape} and {target.name} {target.shape}"


def _some(lines: list[str]) -> list[str]:
    shown = [f"  {line}" for line in lines[:_SHOWN]]
    return shown + ([f"  and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else [])

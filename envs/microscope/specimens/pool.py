"""Specimens held ready, so that a reset costs a look-up and not a construction."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import replace

import torch

from beamwright.envs.core.config import Split
from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.compose import with_pedestal
from beamwright.envs.microscope.specimens.config import SpecimenConfig
from beamwright.envs.microscope.specimens.making import make, stacked, turned
from beamwright.envs.microscope.specimens.specimen import Specimen
from beamwright.errors import MicroscopeError

__all__ = ["SpecimenPool", "specimen_pool"]

_FIRST_SEED = 1 << 61  # far from the seeds of episodes
_SEEDS = 1 << 21  # of one split of one pool


class SpecimenPool:
    """Specimens made once; `draw` gives each episode one of them, turned or mirrored.

    Parameters
    ----------
    config
        Classes, shares, number and seed.
    shape
        Rows and columns (H, W) [px].
    pixel_size
        Sampling [nm]; None leaves each class its natural one, which `Specimen.pixel_size` then says.
    split
        ``train`` or ``test``: other seeds, other files, and the held-out classes where there are any.
    device
        Where the specimens are kept. They are made on the CPU, so that every device sees the same.

    Attributes
    ----------
    kinds
        Names of the classes; `Specimen.kind` is an index into them.
    specimens
        All of them, class by class.

    Raises
    ------
    UnknownNameError
        If there is no such class.
    MicroscopeError
        If the options do not fit a class, the field is empty, or the pool is smaller than its classes.
    DataError
        If recorded images cannot be read.
    """

    def __init__(
        self,
        config: SpecimenConfig,
        *,
        shape: tuple[int, int],
        pixel_size: float | None = None,
        split: Split = "train",
        device: str | torch.device = "cpu",
    ) -> None:
        _check_field(shape, pixel_size)
        shares = config.of_split(split)
        self.kinds = tuple(shares)
        common = {"pixel_size": pixel_size, "folder": config.folder, "split": split}
        first = _FIRST_SEED + (2 * config.seed + (split == "test")) * _SEEDS
        batches = []
        for kind, (name, count) in enumerate(_counts(shares, config.pool).items()):
            options = config.options.get(name, {})
            seeds = range(first, first + count)
            made = make(name, seeds, shape=shape, options=options, common=common)
            batches.append(replace(made, kind=torch.full_like(made.kind, kind)))
            first += count
        self.specimens = with_pedestal(stacked(batches), config.background).to(device)

    def __len__(self) -> int:
        return self.specimens.count

    def draw(self, streams: Streams) -> Specimen:
        """Return one specimen per stream, in a random one of the orientations that the field allows.

        Parameters
        ----------
        streams
            Of the episodes that begin, on the device of the pool.
        """
        index = streams.integers(1, low=0, high=len(self))[:, 0]
        return turned(self.specimens.take(index), streams.uniform(3) < 0.5)


def specimen_pool(
    config: SpecimenConfig,
    *,
    shape: tuple[int, int],
    pixel_size: float | None = None,
    split: Split = "train",
    device: str | torch.device = "cpu",
) -> SpecimenPool:
    """Return the pool of a configuration; the last four are remembered, so that equal environments share one.

    Parameters and errors are those of `SpecimenPool`.
    """
    return _remembered(config.model_dump_json(), (shape[0], shape[1]), pixel_size, split, str(device))


@functools.lru_cache(maxsize=4)
def _remembered(
    config: str, shape: tuple[int, int], pixel_size: float | None, split: Split, device: str
) -> SpecimenPool:
    validated = SpecimenConfig.model_validate_json(config)
    return SpecimenPool(validated, shape=shape, pixel_size=pixel_size, split=split, device=device)


def _counts(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Return whole numbers in these shares that add up to the total, at least one each."""
    if total < len(shares):
        raise MicroscopeError(
            f"A pool must hold a specimen of each of its {len(shares)} classes, not {total} altogether; "
            f"set pool to at least {len(shares)}."
        )
    spare = total - len(shares)
    counts = {name: 1 + int(share * spare) for name, share in shares.items()}
    lacking = sorted(shares, key=lambda name: counts[name] - shares[name] * total)
    for name in lacking[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def _check_field(shape: tuple[int, int], pixel_size: float | None) -> None:
    if len(shape) != 2 or min(shape) < 8:
        raise MicroscopeError(f"A field must have at least 8 x 8 pixels, not {' x '.join(map(str, shape))}.")
    if pixel_size is not None and not 0 < pixel_size < math.inf:
        raise MicroscopeError(f"A pixel must have a positive size, not {pixel_size:g} nm.")

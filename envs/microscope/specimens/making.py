"""Making specimens of one class, and putting batches of different classes together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.kinds import SPECIMENS
from beamwright.envs.microscope.specimens.specimen import Specimen
from beamwright.errors import MicroscopeError, did_you_mean

__all__ = ["make", "stacked", "turned"]

_PORTION = 64
"""Specimens made at once, which bounds the memory that making them takes."""


def make(
    name: str,
    seeds: range,
    *,
    shape: tuple[int, int],
    options: Mapping[str, Any],
    common: Mapping[str, Any],
) -> Specimen:
    """Return specimens of a class, one per seed.

    Parameters
    ----------
    name
        Of the class.
    seeds
        Each specimen depends on its own only.
    shape
        Rows and columns [px].
    options
        Arguments of this class.
    common
        What any class may want to know: those that its generator takes are passed on, unless they are None.

    Raises
    ------
    UnknownNameError
        If there is no such class.
    MicroscopeError
        If there is no such option, or it has an impossible value.
    """
    generator = SPECIMENS.load(name)
    known = set(inspect.signature(generator).parameters) - {"streams", "shape", "cells"}
    _check_options(name, options, known)
    given = {key: value for key, value in common.items() if key in known and value is not None}
    portions = [seeds[start : start + _PORTION] for start in range(0, len(seeds), _PORTION)]
    try:
        made = [generator(Streams.from_seeds(part), shape=shape, **{**given, **options}) for part in portions]
    except (TypeError, ValueError, RuntimeError) as error:
        if not options:
            raise
        message = f'The options of the class "{name}" have values that it cannot use: {error}'
        raise MicroscopeError(message) from error
    return stacked(made)


def stacked(batches: Sequence[Specimen]) -> Specimen:
    """Return batches of specimens as one, those with fewer atoms than others filled up with empty columns."""
    most = max(batch.weights.shape[1] for batch in batches)
    padded = [_padded(batch, most) for batch in batches]
    names = [field.name for field in fields(Specimen)]
    return Specimen(**{name: torch.cat([getattr(batch, name) for batch in padded]) for name in names})


def turned(specimen: Specimen, choices: torch.Tensor) -> Specimen:
    """Return specimens mirrored upside down, left to right, and along the diagonal where the field is square.

    Parameters
    ----------
    specimen
        Of one shape.
    choices
        Which of the three ``(B, 3)``, bool, applied in this order.
    """
    height, width = specimen.shape
    upside, sides, diagonal = choices.unbind(1)
    diagonal = diagonal & (height == width)
    extent = torch.tensor([height, width], device=choices.device) * specimen.pixel_size[:, None]  # (B, 2)
    there = torch.where(choices[:, None, :2], extent[:, None] - specimen.positions, specimen.positions)

    def of_map(maps: torch.Tensor) -> torch.Tensor:
        maps = torch.where(upside[:, None, None], maps.flip(1), maps)
        maps = torch.where(sides[:, None, None], maps.flip(2), maps)
        return torch.where(diagonal[:, None, None], maps.mT, maps) if height == width else maps

    return replace(
        specimen,
        signal=of_map(specimen.signal),
        phase=of_map(specimen.phase),
        positions=torch.where(diagonal[:, None, None], there.flip(-1), there),
    )


def _check_options(name: str, options: Mapping[str, Any], known: set[str]) -> None:
    for key in options:
        if key not in known:
            raise MicroscopeError(
                f'Specimens of the class "{name}" have no option "{key}".{did_you_mean(key, known)} '
                f"Known: {', '.join(sorted(known))}."
            )


def _padded(specimen: Specimen, most: int) -> Specimen:
    extra = most - specimen.weights.shape[1]
    pad: Callable[..., torch.Tensor] = torch.nn.functional.pad
    return replace(
        specimen,
        positions=pad(specimen.positions, (0, 0, 0, extra)),
        numbers=pad(specimen.numbers, (0, extra)),
        weights=pad(specimen.weights, (0, extra)),
    )

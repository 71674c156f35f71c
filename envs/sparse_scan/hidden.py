"""The specimen as a perfect slow scan would show it, and what is left of it when atoms leave."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from beamwright.envs.core import Streams, draw
from beamwright.envs.microscope.damage import deposit, remove_atoms
from beamwright.envs.microscope.imaging import secondary_electron
from beamwright.envs.microscope.points import pixel_index, sample, to_pixels
from beamwright.envs.microscope.specimens import Specimen, keep_atoms
from beamwright.envs.sparse_scan.config import ScanConfig
from beamwright.envs.sparse_scan.filters import blurred
from beamwright.envs.sparse_scan.types import Atoms, View

__all__ = ["choose_view", "knock_out", "look", "with_atoms"]

_RELIEF = 1 / 8
"""Height of the brightest place of a specimen as a surface, as a share of the shorter edge of the field."""
_SEAM = 1 / 4
"""Width of the strip that continues the field on every side, for secondary electrons, as a share of it."""


def choose_view(specimen: Specimen, config: ScanConfig, streams: Streams) -> View:
    """Return how specimens are seen in the episodes that begin.

    Parameters
    ----------
    specimen
        Fresh.
    config
        Imaging and probe.
    streams
        Of the episodes; the probe is drawn where it varies.
    """
    blur = brightest = None
    if config.effects.blur != 0:
        blur = draw(config.effects.blur, streams, split=config.split) / specimen.pixel_size  # (B,) [px]
    if config.imaging == "secondary_electron":
        brightest = _secondary(specimen).amax((1, 2))
    return View(blur, brightest)


def look(specimen: Specimen, view: View) -> Tensor:
    """Return the signal ``(B, H, W)``: 1 for the brightest place of a fresh specimen, before the blur."""
    signal = specimen.signal
    if view.brightest is not None:
        signal = _secondary(specimen) / view.brightest[:, None, None]
    return signal if view.blur is None else blurred(signal, view.blur)


def with_atoms(specimen: Specimen, view: View, signal: Tensor) -> Atoms | None:
    """Return the atoms of specimens that begin to be scanned; None where there are none to lose.

    Parameters
    ----------
    specimen
        Fresh.
    view
        How it is seen.
    signal
        What `look` gives of it.
    """
    if not specimen.weights.shape[1]:
        return None
    lean = replace(specimen, phase=specimen.phase[:, :0])  # it is not looked at, and would be carried along
    return Atoms(lean, specimen.mask, view, signal)


def knock_out(atoms: Atoms, places: Tensor, electrons: Tensor, critical: Tensor, streams: Streams) -> Atoms:
    """Return the atoms that are left after electrons went to places.

    Parameters
    ----------
    atoms
        Left as they are.
    places
        Where the beam was on the specimen, ``(B, N, 2)`` [px].
    electrons
        At each of them, ``(B, N)``.
    critical
        Dose that an atom survives on average, ``(B,)`` [e-/nm^2].
    streams
        One uniform number per atom of the largest specimen of the pool is taken, present or not.
    """
    specimen, size = atoms.specimen, atoms.specimen.pixel_size
    nothing = specimen.signal.new_zeros(len(places), *specimen.shape)
    dose = deposit(nothing, electrons, places, pixel_size=size)  # (B, H, W) [e-/nm^2]
    where = to_pixels(specimen.positions, size)  # (B, A, 2)
    _, inside = pixel_index(where, specimen.shape)
    present = remove_atoms(atoms.present, sample(dose, where) * inside, critical, streams)
    lost = atoms.present & ~present
    if not lost.any():
        return replace(atoms, present=present)
    specimen = replace(specimen, signal=_without(specimen, lost))
    return Atoms(specimen, present, atoms.view, look(specimen, atoms.view))


def _without(specimen: Specimen, lost: Tensor) -> Tensor:
    """Return the sharp signal without some atoms ``(B, A)``; only as many as need be are drawn."""
    lost, index = lost.int().topk(int(lost.sum(1).max()), dim=1)  # (B, K)
    few = replace(
        specimen,
        positions=specimen.positions.gather(1, index[..., None].expand(-1, -1, 2)),
        numbers=specimen.numbers.gather(1, index),
        weights=specimen.weights.gather(1, index),
    )
    return keep_atoms(few, lost == 0, phase=False).signal


def _secondary(specimen: Specimen) -> Tensor:
    """Return the secondary electrons of the signal taken for a surface, relative to a flat one."""
    rows, columns = specimen.shape
    seam, size = int(min(rows, columns) * _SEAM), specimen.pixel_size
    height = specimen.signal * (size * min(rows, columns) * _RELIEF)[:, None, None]  # [nm]
    wide = torch.nn.functional.pad(height[:, None], (seam,) * 4, mode="replicate")[:, 0]
    sharp = wide.new_ones(1, wide.shape[1], wide.shape[2] // 2 + 1)  # the probe is in the view's blur
    return secondary_electron(wide, sharp, pixel_size=size, margin=seam)

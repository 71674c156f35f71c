"""Amorphous films, whose atoms are so many that only their statistics count."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens.compose import compose
from beamwright.envs.microscope.specimens.elements import POTENTIAL_WIDTHS, phase_integrals, scattering_power
from beamwright.envs.microscope.specimens.fields import Limits, between, frequencies, per_map
from beamwright.envs.microscope.specimens.materials import CARBON
from beamwright.envs.microscope.specimens.specimen import Specimen

__all__ = ["amorphous_film", "carbon_film"]


def amorphous_film(
    streams: Streams,
    *,
    shape: tuple[int, int],
    pixel_size: float = 0.1,
    thickness: Limits = (4.0, 10.0),
    width: float = 0.008,
) -> Specimen:
    """Return amorphous carbon, of which Thon rings are made; it repeats with the field without a seam.

    Parameters
    ----------
    streams
        One per specimen.
    shape
        Rows and columns [px].
    pixel_size
        Sampling [nm]; details up to half its inverse are there, so 0.05 to 0.2 nm suits Thon rings.
    thickness
        Of the film [nm].
    width
        Standard deviation of an atom in the signal [nm].

    Notes
    -----
    The atoms of a film overlap so often that their projected density is a Gaussian random field: white
    noise of the variance of counting atoms, coloured by the structure factor of the glass and by the
    potential of one atom. Signal and phase come from the same atoms.
    """
    film = carbon_film(streams, thickness, shape=shape, pixel_size=pixel_size, width=width)
    return compose(*film, pixel_size=pixel_size, width=width)


def carbon_film(
    streams: Streams, thickness: Limits, *, shape: tuple[int, int], pixel_size: float, width: float
) -> tuple[Tensor, Tensor]:
    """Return high-angle scattering [1/nm^2] and phase [rad] of amorphous carbon, each ``(B, H, W)``.

    Nothing is taken from the streams where the thickness is 0.
    """
    if thickness == 0:
        empty = torch.zeros(streams.count, *shape, device=streams.device)
        return empty, empty
    ((element, density),) = CARBON.density
    areal = per_map(density * between(streams, thickness))  # (B, 1, 1) [1/nm^2]
    frequency = frequencies(shape, streams.device) / pixel_size  # (H, W // 2 + 1) [1/nm]
    noise = torch.fft.rfft2(streams.normal(*shape)) * structure_factor(frequency).sqrt()
    noise = noise * areal.sqrt() / pixel_size  # the density of atoms counted in pixels [1/nm^2]
    number = torch.tensor(element, device=streams.device)
    waves = sum(
        integral * _damping(frequency, deviation)
        for integral, deviation in zip(phase_integrals(number), POTENTIAL_WIDTHS, strict=True)
    )
    power = scattering_power(number)
    signal = power * (areal + torch.fft.irfft2(noise * _damping(frequency, width), s=shape))
    phase = areal * phase_integrals(number).sum() + torch.fft.irfft2(noise * waves, s=shape)
    return signal.clamp_min(0), phase


def structure_factor(frequency: Tensor) -> Tensor:
    """Return how strongly atoms of amorphous carbon order, by spatial frequency [1/nm]; 1 is not at all.

    Atoms keep a distance (little power at low frequencies) and have neighbours at 0.2 nm (a halo at 5 / nm).
    """
    distance = 1 - torch.exp(-((frequency / 3.5) ** 2))
    halo = 0.6 * torch.exp(-(((frequency - 4.9) / 0.9) ** 2))
    return 0.35 + 0.65 * distance + halo


def _damping(frequency: Tensor, deviation: float) -> Tensor:
    return torch.exp(-2 * (math.pi * deviation * frequency) ** 2)

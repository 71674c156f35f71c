"""From specimen to expected image: HAADF and bright-field STEM, HRTEM, and secondary electrons.

Images are relative to the beam: an expected count is the image times the electrons of a pixel. Fourier
methods repeat the field beyond its edges; where it does not really repeat, make the specimen larger than the
image and cut the seam off by ``margin``, pixels on every side that the probe or the lens reaches over.
"""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from beamwright.errors import MicroscopeError, PhysicsWarning

__all__ = ["bright_field", "cut_margin", "haadf", "hrtem", "secondary_electron", "weak_phase"]

THIN = math.pi / 2
"""Largest deviation of a phase from its mean for which a specimen passes as thin [rad]."""

WEAK = 0.3
"""Largest root mean square of a phase for which its image is linear [rad]."""


def haadf(signal: Tensor, transfer: Tensor, *, margin: int = 0) -> Tensor:
    """Return the incoherent image of high-angle scattering: the signal as the probe moves over it.

    Parameters
    ----------
    signal
        Scattering power ``(B, H, W)``, such as `Specimen.signal`.
    transfer
        Transfer of the scanned probe ``(B or 1, H, W // 2 + 1)``, see `probe_transfer`.
    margin
        Pixels to cut off on every side.

    Returns
    -------
    Tensor
        ``(B, H - 2 margin, W - 2 margin)``, not negative.

    References
    ----------
    Nellist and Pennycook, Adv. Imaging Electron Phys. 113, 147 (2000).
    """
    return cut_margin(_convolved(signal, transfer), margin).clamp_min(0)


def bright_field(signal: Tensor, transfer: Tensor, *, opacity: float = 1.0, margin: int = 0) -> Tensor:
    """Return the incoherent bright-field STEM image: what is left of the beam, by Beer's law, in each place.

    The detector is taken to be large, so that phase contrast averages out; for an axial one use `hrtem`,
    which is the same image by reciprocity.

    Parameters
    ----------
    signal, transfer, margin
        As in `haadf`.
    opacity
        Scattering mean free paths that the brightest place of the signal is thick.

    Returns
    -------
    Tensor
        ``(B, H - 2 margin, W - 2 margin)``, between 0 and 1.

    References
    ----------
    Reimer and Kohl, Transmission Electron Microscopy, 5th ed. (2008), section 6.1.
    """
    return cut_margin(_convolved(torch.exp(-opacity * signal), transfer), margin).clamp(0, 1)


def weak_phase(phase: Tensor, transfer: Tensor, *, margin: int = 0, check: bool = True) -> Tensor:
    """Return the image of a weak phase object, linear in the phase: half the transforms of `hrtem`.

    Parameters
    ----------
    phase
        ``(B, H, W)`` [rad].
    transfer
        Linear transfer of the lens ``(B or 1, H, W // 2 + 1)``, see `phase_transfer`.
    margin
        Pixels to cut off on every side.
    check
        Warn if the phase is not weak; a loop over one specimen checks once.

    Returns
    -------
    Tensor
        ``(B, H - 2 margin, W - 2 margin)``, mean about 1, not negative.

    Warns
    -----
    PhysicsWarning
        If the phase varies by more than 0.3 rad, root mean square.

    References
    ----------
    Kirkland, Advanced Computing in Electron Microscopy, 3rd ed. (2020), chapter 3.
    """
    if check:
        _check_weak(phase)
    return cut_margin(1 + 2 * _convolved(phase, transfer), margin).clamp_min(0)


def hrtem(phase: Tensor, pupil: Tensor, *, margin: int = 0, check: bool = True) -> Tensor:
    """Return the image of a phase object: ``|F^-1[F[exp(i phase)] pupil]|^2``.

    Parameters
    ----------
    phase
        ``(B, H, W)`` [rad].
    pupil
        Aperture, aberrations and envelopes ``(B or 1, H, W)`` in the layout of ``fft2``, see `pupil`.
    margin
        Pixels to cut off on every side.
    check
        Warn if the specimen is not thin; a loop over one specimen checks once.

    Returns
    -------
    Tensor
        ``(B, H - 2 margin, W - 2 margin)``, mean about 1.

    Warns
    -----
    PhysicsWarning
        If the phase is more than pi/2 away from its mean, where a specimen is not thin any more.

    References
    ----------
    Kirkland, Advanced Computing in Electron Microscopy, 3rd ed. (2020), chapter 3.
    """
    if check:
        _check_thin(phase)
    wave = torch.polar(torch.ones_like(phase), phase)
    image = torch.fft.ifft2(torch.fft.fft2(wave) * pupil)
    return cut_margin(image.real.square() + image.imag.square(), margin)


def secondary_electron(
    height: Tensor,
    transfer: Tensor,
    *,
    pixel_size: Tensor | float,
    escape: float = 2.0,
    edge: float = 0.4,
    shadow: float = 0.2,
    margin: int = 0,
) -> Tensor:
    """Return the secondary electrons of a surface: steep places, ridges and the detector's side are bright.

    Parameters
    ----------
    height
        Of the surface ``(B, H, W)`` [nm].
    transfer, margin
        As in `haadf`.
    pixel_size
        Sampling [nm], one number or ``(B,)``.
    escape
        Depth from which secondary electrons come out [nm].
    edge
        Strength of the contrast of ridges against grooves, from 0 to 1.
    shadow
        How much brighter a wall is that faces the detector, which looks down from the first row.

    Returns
    -------
    Tensor
        Relative to a flat surface, ``(B, H - 2 margin, W - 2 margin)``, not negative.

    Notes
    -----
    The yield grows as 1 / cos of the tilt, up to where the path through the escape depth is as long as the
    spread of the beam lets it be (taken at 75 degrees). A ridge lets more electrons escape and a groove
    fewer; what counts as one is the height over its surroundings within a few escape depths.

    References
    ----------
    Reimer, Scanning Electron Microscopy, 2nd ed. (1998): chapter 4 for the yield, 6 for the contrast.
    """
    size = torch.as_tensor(pixel_size, dtype=height.dtype, device=height.device).reshape(-1, 1, 1)
    rise_y, rise_x = (slope / size for slope in torch.gradient(height, dim=(1, 2)))
    steepness = torch.sqrt(1 + rise_y.square() + rise_x.square())  # 1 / cos(tilt)
    tilt = steepness.clamp_max(1 / math.cos(math.radians(75)))
    relief = height - _blurred(height, 2 * escape / size)
    ridges = 1 + edge * relief / (relief.abs() + escape)
    facing = 1 + shadow * rise_y / steepness
    return cut_margin(_convolved(tilt * ridges * facing, transfer), margin).clamp_min(0)


def cut_margin(image: Tensor, margin: int) -> Tensor:
    """Return an image ``(B, H, W)`` without so many pixels on every side.

    Raises
    ------
    MicroscopeError
        If nothing would be left, or the margin is negative.
    """
    height, width = image.shape[-2:]
    if not 0 <= 2 * margin < min(height, width):
        raise MicroscopeError(
            f"A margin of {margin} pixels on every side leaves nothing of a field of {height} x {width}; "
            f"choose 0 to {(min(height, width) - 1) // 2}."
        )
    return image[..., margin : height - margin, margin : width - margin]


def _convolved(maps: Tensor, transfer: Tensor) -> Tensor:
    return torch.fft.irfft2(torch.fft.rfft2(maps) * transfer, s=maps.shape[-2:])


def _blurred(maps: Tensor, length: Tensor) -> Tensor:
    """Return maps convolved with Gaussians of standard deviations ``(B or 1, 1, 1)`` [px]."""
    y = torch.fft.fftfreq(maps.shape[-2], device=maps.device)[:, None]
    x = torch.fft.rfftfreq(maps.shape[-1], device=maps.device)
    return _convolved(maps, torch.exp(-2 * (math.pi * length) ** 2 * (y.square() + x.square())))


def _check_thin(phase: Tensor) -> None:
    largest = float((phase - phase.mean(dim=(-2, -1), keepdim=True)).abs().max())
    if largest > THIN:
        warnings.warn(
            f"A phase object must be thin, its phase within pi/2 = {THIN:.2f} rad of the mean, not "
            f"{largest:.2f} rad away; the dynamical scattering of thicker ones is missing from this image.",
            PhysicsWarning,
            stacklevel=3,
        )


def _check_weak(phase: Tensor) -> None:
    largest = float(phase.std(dim=(-2, -1)).max())
    if largest > WEAK:
        warnings.warn(
            f"A weak phase object must vary by at most {WEAK} rad (root mean square), not {largest:.2f} rad; "
            "use hrtem, which is not linear.",
            PhysicsWarning,
            stacklevel=3,
        )

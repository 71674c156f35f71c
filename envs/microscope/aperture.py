"""The pupil of the probe-forming lens, computed only where the aperture lets electrons through."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.envs.microscope.aberrations import phase_basis
from beamwright.envs.microscope.grid import Grid, precomputed
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.waves import phase_factor

__all__ = ["Disc", "disc", "soft_aperture"]


@dataclass(frozen=True, eq=False)
class Disc:
    """The P pixels of the diffraction plane inside the aperture: what no probe of a batch changes.

    Parameters
    ----------
    shape
        Of the diffraction plane [px].
    index
        Where the pixels lie in the flattened plane, ``(P,)``.
    exponent
        Minus the phase of one nanometre of each coefficient, ``(K, P)`` [rad/nm].
    defocus
        Minus the phase of one nanometre of C10, ``(P,)`` [rad/nm].
    tilts
        Phase of a shift of the probe by one nanometre along y and x, ``(2, P)`` [rad/nm].
    amplitude
        Of the pupil, ``(P,)``; its squares sum to one.
    """

    shape: tuple[int, int]
    index: Tensor
    exponent: Tensor
    defocus: Tensor
    tilts: Tensor
    amplitude: Tensor

    def fill(self, exponents: Tensor) -> Tensor:
        """Return the pupil ``A exp(i exponents)`` in the whole plane.

        Parameters
        ----------
        exponents
            Of the pixels inside, ``(..., P)`` [rad].

        Returns
        -------
        Tensor
            ``(..., H, W)``, complex64.
        """
        inside = phase_factor(exponents) * self.amplitude
        plane = inside.new_zeros(*exponents.shape[:-1], math.prod(self.shape))
        return plane.index_copy_(-1, self.index, inside).unflatten(-1, self.shape)


@precomputed
def disc(names: tuple[str, ...], optics: Optics, grid: Grid, device: torch.device) -> Disc:
    """Return the pixels inside the aperture, with the phases of the named coefficients."""
    grid.check_holds(optics)
    alpha, phi = grid.angles(optics.voltage, device)
    amplitude = soft_aperture(alpha, phi, optics, grid)
    index = amplitude.flatten().nonzero()[:, 0]
    inside = alpha.flatten()[index], phi.flatten()[index]
    basis = -phase_basis((*names, "C10"), inside, optics.voltage)
    frequencies = torch.stack(torch.broadcast_tensors(*grid.frequencies(device)))  # (2, H, W)
    amplitude = amplitude.flatten()[index]
    return Disc(
        shape=grid.shape,
        index=index,
        exponent=basis[:-1],
        defocus=basis[-1],
        tilts=(-2 * math.pi * frequencies.flatten(1)[:, index]).float(),
        amplitude=(amplitude / amplitude.square().sum().sqrt()).float(),
    )


def soft_aperture(alpha: Tensor, phi: Tensor, optics: Optics, grid: Grid) -> Tensor:
    """Return the amplitude behind the aperture, whose edge is one pixel of the diffraction plane wide.

    So the probe does not depend on how the pixels happen to fall on the edge.

    Parameters
    ----------
    alpha, phi
        Scattering angles [mrad] and azimuths [rad] of one shape.
    optics
        Voltage and aperture.
    grid
        Whose diffraction plane it is.

    Returns
    -------
    Tensor
        The shape of `alpha`, from 0 to 1.
    """
    step_y, step_x = grid.steps(optics.voltage)
    step = torch.hypot(step_x * torch.cos(phi), step_y * torch.sin(phi))
    return ((optics.aperture - alpha) / step + 0.5).clamp(0, 1)

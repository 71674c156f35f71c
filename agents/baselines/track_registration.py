"""Where the field is and how far out of focus, from two patches and a reference."""

from __future__ import annotations

import torch
from torch import Tensor

from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.probe import probe_transfer
from beamwright.envs.track_drift.physics import Field

__all__ = ["Registration"]

_REACH, _STEP = 60.0, 4.0  # [nm], of the focus
_SOFT = 0.05
"""Regularisation of the deconvolution of the reference, relative to its mean power."""
_INFLATION = 2.0
"""Of variances: edges of patches, noise of the reference and the grid of foci are not in the likelihood."""


class Registration:
    """Least squares over defocus and shift: the reference, blurred as it should be, against the two patches.

    The reference is in focus and in place; divided by its own transfer function it predicts the pair under
    and over focus for any defocus. The best shift is the peak of a cross-correlation.

    Parameters
    ----------
    field
        What is imaged, and how.

    References
    ----------
    M. Guizar-Sicairos, S. T. Thurman and J. R. Fienup, Optics Letters 33 (2008) 156-158.
    """

    def __init__(self, field: Field) -> None:
        config, device = field.config, field.device
        self.grid = Grid((config.size, config.size), config.sampling)
        self.foci = torch.arange(-_REACH, _REACH + _STEP / 2, _STEP, device=device)  # (Z,) [nm]
        changes = torch.tensor([0.0, *config.diagnostic], device=device)
        coefficients = (self.foci[:, None] + changes).flatten()[:, None]
        transfers = probe_transfer(coefficients, ("C10",), field.optics, self.grid)
        self._pairs = transfers.unflatten(0, (len(self.foci), -1))[:, 1:]  # (Z, 2, H, W // 2 + 1)
        self._sharp = probe_transfer(torch.zeros(1, 1, device=device), ("C10",), field.optics, self.grid)
        window = torch.hann_window(config.size, device=device)
        self._window = window[:, None] * window
        self._dose = config.reference_dose
        self._limit = config.margin

    def __call__(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return offsets and the variances of their noise.

        Parameters
        ----------
        patches
            Counts of reference, under and over focus, ``(B, 3, H, W)``.

        Returns
        -------
        tuple of Tensor
            Along y, along x and of the focus, ``(B, 3)`` [nm] and [nm^2].
        """
        spectra, noise = self._spectra(patches)  # (B, 3, H, W // 2 + 1), (B,)
        reference = spectra[:, :1] / self._dose
        softness = _SOFT * reference.abs().square().mean((-2, -1), keepdim=True)
        power = reference.abs().square()
        specimen = (
            reference
            * self._sharp.conj()
            * power
            / ((power + softness) * (self._sharp.abs().square() + _SOFT))
        )
        expected = specimen[:, None] * self._pairs  # (B, Z, 2, H, W // 2 + 1)
        crossed = (expected.conj() * spectra[:, None, 1:]).sum(2)
        match = torch.fft.irfft2(crossed, s=self.grid.shape) * (
            self.grid.shape[0] * self.grid.shape[1]
        )  # (B, Z, H, W)
        strength = torch.fft.irfft2(expected.abs().square().sum(2), s=self.grid.shape)[..., 0, 0]
        likelihood = match - strength[..., None, None] * (self.grid.shape[0] * self.grid.shape[1]) / 2
        return self._peak(likelihood / noise[:, None, None, None])

    def _spectra(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return transforms of windowed patches without their mean, and noise power of a mode, ``(B,)``."""
        flat = patches - patches.mean((-2, -1), keepdim=True)
        noise = patches[:, 1:].mean((1, 2, 3)).clamp_min(1e-3) * self._window.square().sum()
        return torch.fft.rfft2(flat * self._window), noise

    def _peak(self, likelihood: Tensor) -> tuple[Tensor, Tensor]:
        """Return the top of ``(B, Z, H, W)``, to fractions of a step, and its width."""
        count = len(likelihood)
        near = self._limit
        shifted = likelihood.roll((near, near), dims=(-2, -1))[..., : 2 * near + 1, : 2 * near + 1]
        top = shifted.flatten(1).argmax(1)
        size = 2 * near + 1
        z, y, x = top // size**2, top // size % size, top % size
        rows = torch.arange(count, device=likelihood.device)
        steps = (self.grid.sampling, self.grid.sampling, _STEP)
        found, variance = [], []
        for axis, step in zip((1, 2, 0), steps, strict=True):
            place = [z, y, x]
            last = shifted.shape[1 + axis] - 1
            middle = place[axis].clamp(1, last - 1)
            values = []
            for move in (-1, 0, 1):
                moved = list(place)
                moved[axis] = middle + move
                values.append(shifted[rows, moved[0], moved[1], moved[2]])
            below, here, above = values
            bend = (2 * here - below - above).clamp_min(1e-6)
            origin = self.foci[middle] if axis == 0 else (middle - near) * step
            found.append(origin + ((above - below) / (2 * bend)).clamp(-1, 1) * step)
            variance.append(step**2 / bend * _INFLATION)
        return torch.stack(found, 1), torch.stack(variance, 1)

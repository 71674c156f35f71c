"""The pixels of a field of view, and the angles that they stand for in the diffraction plane."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar, cast

import torch
from torch import Tensor

from beamwright.envs.microscope.physics import Optics, wavelength
from beamwright.errors import MicroscopeError

__all__ = ["Grid", "precomputed", "round_down"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def precomputed(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Remember what a function of hashable arguments returned: what does not depend on the batch.

    Its tensors are shared by all callers and must not be modified. They are ordinary tensors even if the
    first caller was in inference mode, so that a later one may differentiate through them.
    """
    remembered = functools.lru_cache(maxsize=32)(torch.inference_mode(False)(torch.no_grad()(function)))
    return cast(Callable[Parameters, Result], remembered)


@dataclass(frozen=True, slots=True)
class Grid:
    """Square pixels in rows y and columns x; the field repeats itself beyond its edges.

    Parameters
    ----------
    shape
        Rows and columns [px].
    sampling
        Size of a pixel [nm].

    Raises
    ------
    MicroscopeError
        If there are no pixels, or they have no size.
    """

    shape: tuple[int, int]
    sampling: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        if len(self.shape) != 2 or min(self.shape) < 2:
            raise MicroscopeError(f"A grid has at least 2 x 2 pixels, not {self.shape}.")
        if not 0 < self.sampling < math.inf:
            raise MicroscopeError(f"The size of a pixel must be positive, not {self.sampling:g} nm.")

    @property
    def extent(self) -> tuple[float, float]:
        """Height and width of the field [nm]."""
        return self.shape[0] * self.sampling, self.shape[1] * self.sampling

    def steps(self, voltage: float) -> tuple[float, float]:
        """Return the angles from one pixel of the diffraction plane to the next, along y and x [mrad]."""
        height, width = self.extent
        return wavelength(voltage) / height * 1e3, wavelength(voltage) / width * 1e3

    def cutoff(self, voltage: float) -> float:
        """Return the largest angle that the grid holds [mrad]: ``lambda / (2 sampling)``."""
        return wavelength(voltage) / (2 * self.sampling) * 1e3

    def frequencies(self, device: torch.device | str = "cpu", *, half: bool = False) -> tuple[Tensor, Tensor]:
        """Return the spatial frequencies in the order of the discrete Fourier transform [1/nm].

        Parameters
        ----------
        device
            Where they are needed.
        half
            Those of ``rfft2``, which leaves out the negative ones along x.

        Returns
        -------
        tuple of Tensor
            Along y, ``(H, 1)``, and along x, ``(1, W)`` or ``(1, W // 2 + 1)``; float64.
        """
        along_x = torch.fft.rfftfreq if half else torch.fft.fftfreq
        options = {"d": self.sampling, "dtype": torch.float64, "device": device}
        return torch.fft.fftfreq(self.shape[0], **options)[:, None], along_x(self.shape[1], **options)[None]

    def angles(
        self, voltage: float, device: torch.device | str = "cpu", *, half: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Return the polar scattering angles in the order of the discrete Fourier transform.

        Parameters
        ----------
        voltage
            Accelerating voltage [kV].
        device
            Where they are needed.
        half
            Those of ``rfft2``, which leaves out the negative frequencies along x.

        Returns
        -------
        tuple of Tensor
            ``alpha = lambda |k|`` [mrad] and the azimuth ``phi`` from x towards y [rad], ``(H, W)`` or
            ``(H, W // 2 + 1)``; float64.
        """
        y, x = torch.broadcast_tensors(*self.frequencies(device, half=half))
        return torch.hypot(y, x) * (wavelength(voltage) * 1e3), torch.atan2(y, x)

    def refined(self, factor: float) -> Grid:
        """Return the same field in pixels at least so many times finer, whose number transforms fast."""
        parts = math.gcd(*self.shape)
        count = math.ceil(parts * factor)
        while not _is_fast(count):
            count += 1
        height, width = (n // parts * count for n in self.shape)
        return Grid((height, width), self.sampling * parts / count)

    def check_holds(self, optics: Optics) -> None:
        """Refuse an aperture that reaches beyond the largest angle of the grid.

        Raises
        ------
        MicroscopeError
            If it does.
        """
        cutoff = self.cutoff(optics.voltage)
        if optics.aperture > cutoff:
            enough = round_down(optics.wavelength / (2e-3 * optics.aperture))
            raise MicroscopeError(
                f"An aperture of {optics.aperture:g} mrad is beyond the {cutoff:.4g} mrad that pixels of "
                f"{self.sampling:g} nm hold at {optics.voltage:g} kV; choose a sampling <= {enough:g} nm."
            )


def round_down(value: float) -> float:
    """Return a positive number cut to three digits: a limit in a message that, when kept, is enough."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return math.floor(value / unit) * unit


def _is_fast(length: int) -> bool:
    """Tell whether a length is an even product of 2, 3 and 5."""
    rest = length
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    return length % 2 == 0 and rest == 1

"""The network: cross-spectrum in, misalignment and its uncertainty out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from beamwright.envs.alignment.spectra import CROSS_CHANNELS

__all__ = ["AberrationNet"]

MODES = 64
"""Of an image that are looked at: those with most power."""
OCTAVES = 3
"""Of sines and cosines that tell a mode's place to the network."""
FEATURES, EVIDENCE, HIDDEN = 128, 256, 128
"""Widths of the layers: of each mode, of their sum, and after it."""
_BRIGHTNESS = 4
"""Channel of a cross-spectrum that tells the power of a mode."""
_LOG_SIGMA = -5.0, 3.5


class AberrationNet(nn.Module):
    """Reads what each knob has to put right from the cross-spectrum of a pair of exposures.

    Every mode of a crystal is a measurement of its own, and what several say adds up, as the logarithm of a
    likelihood does. So the network looks at the strongest modes one by one, each with its spatial frequency,
    takes the mean of what they say, and concludes from that. Which modes a specimen has does not matter.

    Parameters
    ----------
    shape
        Rows and columns of the cross-spectrum, ``H, W // 2 + 1``.
    spread
        Standard deviation of the misalignment that each of K knobs may have to put right [rad].

    References
    ----------
    M. Zaheer et al., Deep Sets, NeurIPS 30 (2017), theorem 2.
    """

    def __init__(self, shape: tuple[int, int], spread: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("spread", torch.tensor(spread))
        places = _places(shape)  # (2, M)
        self.register_buffer("places", places)
        self.register_buffer("veto", -100.0 * (places == 0).all(0))  # of the mode that says nothing, (M,)
        self.modes = min(MODES, places.shape[1] - 1)
        self.mode = nn.Sequential(
            nn.Linear(CROSS_CHANNELS + 2 + 4 * OCTAVES, FEATURES), nn.ReLU(), nn.Linear(FEATURES, EVIDENCE), nn.ReLU()
        )
        self.conclusion = nn.Sequential(
            nn.Linear(EVIDENCE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * len(spread))
        )
        nn.init.zeros_(self.conclusion[-1].weight)
        nn.init.zeros_(self.conclusion[-1].bias)

    def forward(self, cross_spectrum: Tensor) -> Tensor:
        """Return means, then logarithms of standard deviations.

        Parameters
        ----------
        cross_spectrum
            ``(B, 5, H, W // 2 + 1)`` in the order of ``rfft2``.

        Returns
        -------
        Tensor
            ``(B, 2 K, 1, 1)`` [rad]: an image of one pixel, as a bundle gives it.
        """
        return self.conclude(self.strongest(cross_spectrum))[..., None, None]

    def strongest(self, cross_spectrum: Tensor) -> Tensor:
        """Return the strongest modes with their places, ``(B, m, 7)``: all that the network looks at."""
        modes = cross_spectrum.flatten(2)  # (B, 5, M)
        index = (modes[:, _BRIGHTNESS] + self.veto).topk(self.modes, dim=1).indices  # (B, m)
        seen = modes.gather(2, index[:, None].expand(-1, CROSS_CHANNELS, -1))
        return torch.cat([seen.transpose(1, 2), self.places[:, index].permute(1, 2, 0)], dim=2)

    def conclude(self, strongest: Tensor) -> Tensor:
        """Return the belief ``(B, 2 K)`` [rad] from what `strongest` gave."""
        places = strongest[..., CROSS_CHANNELS:] * math.pi
        waves = [wave(places * 2.0**octave) for octave in range(OCTAVES) for wave in (torch.sin, torch.cos)]
        evidence = self.mode(torch.cat([strongest, *waves], dim=2)).mean(1)
        mean, log_sigma = self.conclusion(evidence).chunk(2, dim=1)
        return torch.cat([mean * self.spread, (log_sigma + self.spread.log()).clamp(*_LOG_SIGMA)], dim=1)


def _places(shape: tuple[int, int]) -> Tensor:
    """Return frequencies along y and x in units of the highest, ``(2, H * (W // 2 + 1))``."""
    y = torch.fft.fftfreq(shape[0])[:, None].expand(shape)
    x = torch.linspace(0, 0.5, shape[1])[None].expand(shape)
    return 2 * torch.stack([y, x]).flatten(1)

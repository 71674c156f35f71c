"""The network: cross-spectrum in, misalignment and its uncertainty out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from beamwright.envs.alignment.spectra import CROSS_CHANNELS

__all__ = ["AberrationNet"]

WIDTHS = (24, 48, 64)
"""Channels of the three convolutions, each of which halves rows and columns."""
NARROW, HIDDEN = 16, 96
"""Channels that the dense part sees, and its width."""
_LOG_SIGMA = -5.0, 3.5


class AberrationNet(nn.Module):
    """Reads what each knob has to put right from the cross-spectrum of a pair of exposures.

    Which spatial frequency is seen matters as much as what is seen there: the frequencies are channels of
    the input, and the dense part knows every place.

    Parameters
    ----------
    shape
        Rows and columns of the cross-spectrum, ``H, W // 2 + 1``.
    spread
        Standard deviation of the misalignment that each of K knobs may have to put right [rad].
    """

    def __init__(self, shape: tuple[int, int], spread: Sequence[float]) -> None:
        super().__init__()
        self.shape = (int(shape[0]), int(shape[1]))
        self.register_buffer("spread", torch.tensor(spread))
        self.register_buffer("frequencies", _frequencies(self.shape))
        channels = (CROSS_CHANNELS + len(self.frequencies), *WIDTHS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels[i], channels[i + 1], 3 if i else 5, stride=2, padding=1 if i else 2)
            for i in range(len(WIDTHS))
        )
        self.narrow = nn.Conv2d(WIDTHS[-1], NARROW, 1)
        height, width = (-(-size // 2 ** len(WIDTHS)) for size in self.shape)
        self.hidden = nn.Linear(NARROW * height * width, HIDDEN)
        self.belief = nn.Linear(HIDDEN, 2 * len(spread))
        nn.init.zeros_(self.belief.weight)
        nn.init.zeros_(self.belief.bias)

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
        rows = self.shape[0] // 2
        centred = torch.cat([cross_spectrum[:, :, rows:], cross_spectrum[:, :, :rows]], dim=2)
        places = self.frequencies[None] + torch.zeros_like(centred[:, :1])  # (B, 3, H, W // 2 + 1)
        features = torch.cat([centred, places], dim=1)
        for convolution in self.convolutions:
            features = torch.relu(convolution(features))
        hidden = torch.relu(self.hidden(torch.relu(self.narrow(features)).flatten(1)))
        mean, log_sigma = self.belief(hidden).chunk(2, dim=1)
        log_sigma = (log_sigma + self.spread.log()).clamp(*_LOG_SIGMA)
        return torch.cat([mean * self.spread, log_sigma], dim=1)[..., None, None]


def _frequencies(shape: tuple[int, int]) -> Tensor:
    """Return frequencies along y and x and their modulus, in units of the highest, ``(3, H, W // 2 + 1)``."""
    y = torch.linspace(-1, 1 - 2 / shape[0], shape[0])[:, None].expand(shape)
    x = torch.linspace(0, 1, shape[1])[None].expand(shape)
    return torch.stack([y, x, torch.hypot(y, x)])

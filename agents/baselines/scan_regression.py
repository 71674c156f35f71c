"""A small regression from features to something positive: expected error, expected reduction of error."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Regression", "fit_regression"]

_HIDDEN = 24
_SMALLEST = 1e-6
"""What counts as nothing."""
_LIMITS = (-14.0, 4.0)
"""Of the logarithm."""


class Regression:
    """Features to the logarithm of an expectation: two hidden layers on standardised features.

    Parameters
    ----------
    features
        Examples, ``(N, F)``, whose mean and standard deviation are taken as the scale.
    """

    def __init__(self, features: Tensor) -> None:
        self._mean, self._spread = features.mean(0), features.std(0) + 1e-6  # (F,)
        self.last = nn.Linear(_HIDDEN, 1)
        first, second = nn.Linear(features.shape[1], _HIDDEN), nn.Linear(_HIDDEN, _HIDDEN)
        self.layers = nn.Sequential(first, nn.GELU(), second, nn.GELU(), self.last).to(features.device)

    def __call__(self, features: Tensor) -> Tensor:
        """Return the logarithm of the expectation for features ``(..., F)``, ``(...)``."""
        found: Tensor = self.layers((features - self._mean) / self._spread)
        return found[..., 0].clamp(*_LIMITS)


def fit_regression(
    features: Tensor, target: Tensor, *, steps: int = 300, batch: int = 4096, seed: int = 0
) -> Regression:
    """Return a regression whose exponential is the expectation of a target.

    The loss, ``log q + t / q``, is smallest where q is the mean of t, and weighs all orders of magnitude
    alike: the likelihood of an exponential distribution.

    Parameters
    ----------
    features
        ``(N, F)``.
    target
        ``(N,)``, not negative.
    steps, batch
        Of Adam, with a rate that falls to zero along a cosine.
    seed
        Of the first weights and of the order of the examples.
    """
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        model = Regression(features)
        nn.init.constant_(model.last.bias, float(torch.log(target.mean() + _SMALLEST)))
        optimiser = torch.optim.Adam(model.layers.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            rows = torch.randint(0, len(features), (batch,))
            found = model(features[rows])
            loss = (found + (target[rows] + _SMALLEST) * (-found).exp()).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    model.layers.requires_grad_(False)
    return model

"""Maximum likelihood of aberrations over all exposures of an unknown specimen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from beamwright.agents.baselines.align_model import ExposureModel
from beamwright.agents.baselines.align_parameters import Settings

__all__ = ["DiversityFit", "Fitted", "Record"]

_FIRST_DAMPING, _LESS, _MORE = 1e-2, 0.2, 8.0


@dataclass(frozen=True)
class Record:
    """What the E exposures of B episodes gave, and how they were taken.

    Parameters
    ----------
    spectra
        Transforms of the counts over the root of the total counts: noise has variance one in each mode.
        ``(B, E, M)``, complex.
    scales
        Root of the total counts, relative to the mean exposure, ``(B, E)``.
    settings
        Of the exposures.
    """

    spectra: Tensor
    scales: Tensor
    settings: Settings

    def rows(self, start: int, stop: int) -> Record:
        """Return a part of the episodes."""
        return Record(self.spectra[start:stop], self.scales[start:stop], self.settings.rows(start, stop))


@dataclass(frozen=True)
class Fitted:
    """What was found.

    Parameters
    ----------
    values
        Parameters ``(B, S, P)``, the most likely first.
    misfit
        Minus the logarithm of the likelihood and the prior, but for a constant, ``(B, S)`` [nats].
    covariance
        Of the parameters of the most likely one, ``(B, P, P)``.
    """

    values: Tensor
    misfit: Tensor
    covariance: Tensor


@dataclass(frozen=True)
class _Point:
    """Where a descent stands: values ``(N, P)``, misfit, slope and curvature there."""

    values: Tensor
    misfit: Tensor
    slope: Tensor
    curvature: Tensor


class DiversityFit:
    """Phase diversity: whatever the specimen is, exposures differ only by their transfer functions.

    Each mode of the specimen is a complex number F with ``D_e = F T_e + noise`` for all exposures e. The best
    F is ``sum conj(T_e) D_e / (sum |T_e|^2 + regularisation)``, which leaves a misfit that depends on the
    aberrations alone. It is minimised by damped Gauss-Newton steps on the projected residuals.

    Parameters
    ----------
    model
        Gives the transfer functions.
    regularisation
        Noise over expected power of the specimen in a mode.
    modes
        How many of the strongest modes are fitted.

    References
    ----------
    R. A. Gonsalves, Optical Engineering 21 (1982) 829-832. R. G. Paxman, T. J. Schulz and J. R. Fienup,
    J. Opt. Soc. Am. A 9 (1992) 1072-1085, eq. 22. G. Golub and V. Pereyra, Inverse Problems 19 (2003) R1-R26:
    the projection of what enters linearly, in Kaufman's approximation.
    """

    def __init__(self, model: ExposureModel, *, regularisation: float = 1e-7, modes: int = 64) -> None:
        self.model, self.regularisation, self.modes = model, regularisation, modes
        height, width = model.grid.shape
        weight = torch.ones(height, width // 2 + 1, device=model.column.device)
        # The other modes of rfft2 are there once; these come in pairs that say the same.
        weight[:, 0] = 0.5
        if width % 2 == 0:
            weight[:, -1] = 0.5
        weight[0, 0] = 0.0  # what background there is
        self.weight = weight.flatten()  # (M,)

    def misfits(self, record: Record, values: Tensor) -> Tensor:
        """Return the misfits of S candidates for each episode ``(B, S, P)``, as ``(B, S)`` [nats]."""
        return torch.stack([self._misfits(record.rows(i, i + 1), values[i]) for i in range(len(values))])

    def table(self, record: Record, points: Tensor, *, piece: int = 256) -> Tensor:
        """Return the misfits of the same N points ``(N, P)`` for all episodes, ``(B, N)`` [nats].

        The episodes must have been exposed alike, as at their beginning: then the transfer functions are
        theirs all, and the misfits are products of matrices.
        """
        spectra = record.spectra * self.weight.sqrt()  # (B, E, M)
        here, there = torch.triu_indices(spectra.shape[1], spectra.shape[1])
        twice = torch.where(here == there, 1.0, 2.0)[:, None]  # (E, f) stands for (f, E) too
        # The real part of a product is that of the parts, with one factor conjugated.
        pairs = torch.view_as_real((spectra[:, here].conj() * spectra[:, there] * twice).resolve_conj()).flatten(1)
        explained = []
        for some in points.split(piece):
            settings = record.settings.rows(0, 1).repeated(len(some))
            transfers = self.model.transfers(some, settings) * record.scales[:1, :, None]  # (N, E, M)
            total = transfers.abs().square().sum(1) + self.regularisation
            weights = (transfers[:, here].conj() * transfers[:, there] / total[:, None]).resolve_conj()
            explained.append(torch.view_as_real(weights).flatten(1) @ pairs.T)  # (n, B)
        return spectra.abs().square().sum((1, 2))[:, None] - torch.cat(explained).T

    def descend(self, record: Record, starts: Tensor, *, steps: int) -> Fitted:
        """Descend from S starts for each episode, ``(B, S, P)``, by so many Gauss-Newton steps."""
        count = starts.shape[1]
        found = [self._descend(record.rows(i, i + 1), starts[i], steps) for i in range(len(starts))]
        values, misfit, curvature = (
            torch.stack([getattr(point, name) for point in found]) for name in ("values", "misfit", "curvature")
        )
        order = misfit.argsort(1)  # (B, S)
        rows = torch.arange(len(starts), device=starts.device)[:, None].expand(-1, count)
        return Fitted(values[rows, order], misfit[rows, order], torch.linalg.inv(curvature[rows, order][:, 0]))

    def _descend(self, record: Record, starts: Tensor, steps: int) -> _Point:
        """Descend from S starts for one episode."""
        index = self._strongest(record)
        here = self._expand(record, index, starts)
        damping = torch.full_like(here.misfit, _FIRST_DAMPING)
        for _ in range(steps):
            lifted = here.curvature + torch.diag_embed(damping[:, None] * here.curvature.diagonal(dim1=1, dim2=2))
            step = torch.linalg.solve(lifted, here.slope)
            there = self._expand(record, index, here.values + step)
            better = there.misfit < here.misfit
            here = _Point(
                *(
                    torch.where(better.view(-1, *[1] * (new.ndim - 1)), new, old)
                    for new, old in zip(vars(there).values(), vars(here).values(), strict=True)
                )
            )
            damping = torch.where(better, damping * _LESS, damping * _MORE)
        return here

    def _expand(self, record: Record, index: Tensor, values: Tensor) -> _Point:
        """Return misfit, slope and curvature at S points of one episode."""
        count, weight = len(values), self.weight[index].sqrt()  # (1, m)
        settings, modes = record.settings.repeated(count), index.expand(count, -1)
        transfers, slopes = self.model.with_slopes(values, settings, modes)
        scales = record.scales[..., None]  # (1, E, 1)
        transfers, slopes = transfers * scales, slopes * scales[..., None]
        spectra = record.spectra.gather(2, index[:, None].expand(-1, transfers.shape[1], -1)) * weight
        total = transfers.abs().square().sum(1) + self.regularisation  # (S, m)
        specimen = (transfers.conj() * spectra).sum(1) / total
        residual = spectra - transfers * specimen[:, None]  # (S, E, m)
        moved = slopes * specimen[:, None, None]  # (S, E, P, m)
        along = (transfers.conj()[:, :, None] * moved).sum(1) / total.sqrt()[:, None]  # (S, P, m)
        data = residual.abs().square().sum((1, 2)) + self.regularisation * specimen.abs().square().sum(1)
        away, spread = values - self.model.parameters.middle, self.model.parameters.spread
        curvature = 2 * (_products(moved.movedim(2, 1).flatten(2)) - _products(along))
        return _Point(
            values,
            data + (away / spread).square().sum(1) / 2,
            2 * (moved.conj() * residual[:, :, None]).real.sum((1, 3)) - away / spread.square(),
            curvature + torch.diag(1 / spread.square()),
        )

    def _misfits(self, record: Record, values: Tensor) -> Tensor:
        """Return the misfits of S points of one episode, ``(S,)``."""
        index = self._strongest(record)[0]
        transfers = self.model.transfers(values, record.settings.repeated(len(values)))[..., index]
        transfers = transfers * record.scales[..., None]  # (S, E, m)
        spectra = record.spectra[..., index] * self.weight[index].sqrt()
        total = transfers.abs().square().sum(1) + self.regularisation
        explained = (transfers.conj() * spectra).sum(1).abs().square() / total  # (S, m)
        away = (values - self.model.parameters.middle) / self.model.parameters.spread
        return spectra.abs().square().sum() - explained.sum(1) + away.square().sum(1) / 2

    def _strongest(self, record: Record) -> Tensor:
        """Return the modes that tell most, ``(B, m)``."""
        strength = record.spectra.abs().square().sum(1) * self.weight  # (B, M)
        return strength.topk(min(self.modes, strength.shape[1]), dim=1).indices


def _products(slopes: Tensor) -> Tensor:
    """Return the real parts of the scalar products of P complex vectors ``(S, P, n)``, ``(S, P, P)``."""
    parts = torch.view_as_real(slopes).flatten(2)
    return parts @ parts.transpose(1, 2)

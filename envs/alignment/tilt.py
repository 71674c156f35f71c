"""What a tilted beam sees: every aberration shows up in those of lower order, down to an image shift."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import comb

import torch
from torch import Tensor

from beamwright.envs.microscope.aberrations import find
from beamwright.errors import MicroscopeError

__all__ = ["closed_under_tilt", "tilted"]

_MRAD = 1e-3


def tilted(coefficients: Tensor, names: Sequence[str], tilt: Tensor) -> tuple[Tensor, Tensor]:
    """Return the aberrations about a tilted axis, and the shift of the image.

    The aberration function is expanded about the tilt ``t``. With complex angles ``w = alpha exp(i phi)``,
    one coefficient ``c = a + i b`` contributes ``Re(c w^p conj(w)^q) / (n + 1)`` with
    ``p = (n + 1 - m) / 2`` and ``q = (n + 1 + m) / 2``, and the binomial expansion of ``w + t`` gives all
    others. Spherical aberration, for example, gives coma ``3 C30 t``, astigmatism ``C30 t^2`` and defocus
    ``C10 += 2 C30 |t|^2``, and coma gives ``C12 += 2/3 C21 t`` and ``C10 += 4/3 Re(C21 conj(t))``.

    Parameters
    ----------
    coefficients
        About the optic axis, ``(B, K)`` [nm].
    names
        The K coefficients, closed under tilt (see `closed_under_tilt`).
    tilt
        Of the beam, ``(B, 2)`` as (y, x) [mrad].

    Returns
    -------
    tuple of Tensor
        The coefficients about the tilted beam ``(B, K)`` [nm], and by how much the image moves
        ``(B, 2)`` as (y, x) [nm].

    Raises
    ------
    MicroscopeError
        If a coefficient arises that has no name among `names`.

    References
    ----------
    F. Zemlin, K. Weiss, P. Schiske, W. Kunath and K.-H. Herrmann, Ultramicroscopy 3 (1978) 49-60:
    the tableau of diffractograms. O. L. Krivanek, N. Dellby and A. R. Lupini, Ultramicroscopy 78 (1999) 1-11.
    """
    plan = _plan(tuple(names), coefficients.device)
    angle = torch.complex(tilt[:, 1], tilt[:, 0]) * _MRAD  # (B,) [rad]
    powers = _powers(angle, plan.highest)  # (B, P)
    sources = coefficients[:, plan.source] * plan.unit  # (B, T)
    terms = sources * powers[:, plan.power] * powers[:, plan.conjugate_power].conj() * plan.factor  # (B, T)
    terms = torch.where(plan.conjugated, terms.conj(), terms)
    parts = torch.view_as_real(terms).flatten(1)  # (B, 2 T)
    result = parts @ plan.collect  # (B, K + 2)
    return result[:, 2:], result[:, :2]


def _powers(angle: Tensor, highest: int) -> Tensor:
    """Return the powers from 0 on ``(B, P)``, by products: on a GPU a complex 0 ** n may be not-a-number."""
    powers = [torch.ones_like(angle)]
    for _ in range(highest):
        powers.append(powers[-1] * angle)
    return torch.stack(powers, dim=1)


def closed_under_tilt(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, and those of the aberrations that a tilt makes of them, in the order of the phase.

    Parameters
    ----------
    names
        Coefficients.
    """
    wanted = {symbol for name in names for symbol in _descendants(find(name).n, find(name).m)}
    return tuple(name for symbol in sorted(wanted) for name in _names(*symbol))


def _names(n: int, m: int) -> tuple[str, ...]:
    return tuple(f"C{n}{m}{part}" for part in ("ab" if m else ("",)))


def _descendants(n: int, m: int) -> set[tuple[int, int]]:
    return {(n, m)} | {term.target for term in _expansion(n, m) if term.target[0] > 0}


@dataclass(frozen=True)
class _Term:
    """``factor t^power conj(t)^conjugate_power`` times a coefficient, or the conjugate of all of it."""

    target: tuple[int, int]
    factor: float
    power: int
    conjugate_power: int
    conjugated: bool


def _expansion(n: int, m: int) -> Iterator[_Term]:
    """Expand one aberration about a tilt; (0, 1) is the image shift, the constant is left out."""
    p, q = (n + 1 - m) // 2, (n + 1 + m) // 2
    for j in range(p + 1):
        for k in range(q + 1):
            if j + k:
                order = j + k - 1
                factor = (order + 1) / (n + 1) * comb(p, j) * comb(q, k)
                yield _Term((order, abs(k - j)), factor, p - j, q - k, j > k)


@dataclass(frozen=True)
class _Plan:
    source: Tensor
    unit: Tensor
    factor: Tensor
    power: Tensor
    conjugate_power: Tensor
    conjugated: Tensor
    collect: Tensor
    highest: int


@functools.lru_cache(maxsize=16)
def _plan(names: tuple[str, ...], device: torch.device) -> _Plan:
    """Lay the expansion out as T terms, so that a batch takes a few operations."""
    terms = [(i, name, term) for i, name in enumerate(names) for term in _terms(name)]
    columns = ["shift_y", "shift_x", *names]
    collect = torch.zeros(len(terms), 2, len(columns))
    for row, (_, name, term) in enumerate(terms):
        for part, column in enumerate(_columns(term.target)):
            if column not in columns:
                raise MicroscopeError(
                    f"A tilted beam turns {name} into {column}, which is not among the coefficients; "
                    f"add {column}."
                )
            collect[row, part, columns.index(column)] = 1.0
    return _Plan(
        source=torch.tensor([i for i, _, _ in terms], device=device),
        unit=torch.tensor([1j if name.endswith("b") else 1 for _, name, _ in terms], device=device),
        factor=torch.tensor([term.factor for *_, term in terms], device=device),
        power=torch.tensor([term.power for *_, term in terms], device=device),
        conjugate_power=torch.tensor([term.conjugate_power for *_, term in terms], device=device),
        conjugated=torch.tensor([term.conjugated for *_, term in terms], device=device),
        collect=collect.flatten(0, 1).to(device),
        highest=max((max(term.power, term.conjugate_power) for *_, term in terms), default=0),
    )


def _terms(name: str) -> Iterator[_Term]:
    one = find(name)
    return _expansion(one.n, one.m)


def _columns(target: tuple[int, int]) -> tuple[str, ...]:
    """Return where the real and the imaginary part of a term go."""
    return ("shift_x", "shift_y") if target == (0, 1) else _names(*target)

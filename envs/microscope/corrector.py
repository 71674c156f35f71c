"""Correctors and stages: what knobs really do, after cross-talk, hysteresis, settling and slow drift.

A command passes four stages: every knob has play (backlash of a stage, hysteresis of a magnet), settles
exponentially, acts on all quantities through a response matrix, and is added to an offset that drifts. None
of this is known to who turns the knobs. A stage is a corrector whose knobs are ``"y"`` and ``"x"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.batching import Value, check_range, expand
from beamwright.envs.microscope.drift import Drift, wait
from beamwright.envs.microscope.relaxation import decay

__all__ = [
    "Corrector",
    "CorrectorState",
    "actual",
    "backlash",
    "command",
    "draw_corrector",
    "hysteresis",
    "ideal_corrector",
    "rest",
    "rotation_matrix",
    "settle",
]


@dataclass(frozen=True)
class Corrector:
    """Parameters of an episode's corrector.

    Parameters
    ----------
    response
        Effect on each quantity of each knob, ``(B, K, K)``; the identity for a perfect one.
    play
        Half-widths of the play operators of each knob, ``(B, K, J)``, in the knob's unit.
    weight
        Their weights, ``(B, K, J)``, which sum to 1.
    settle
        Time constant with which a knob follows, ``(B, K)`` [s].
    diffusion
        Of the random walk of each quantity, ``(B, K)`` [unit^2/s].
    velocity
        Of its steady drift, ``(B, K)`` [unit/s].
    """

    response: Tensor
    play: Tensor
    weight: Tensor
    settle: Tensor
    diffusion: Tensor
    velocity: Tensor


@dataclass(frozen=True)
class CorrectorState:
    """A corrector and how it stands.

    Parameters
    ----------
    corrector
        Its parameters.
    setting
        What was commanded in all, ``(B, K)``.
    plays
        Outputs of the play operators, ``(B, K, J)``.
    settled
        What the knobs have reached, ``(B, K)``.
    offset
        Quantities when all knobs are at zero, ``(B, K)``; they drift.
    """

    corrector: Corrector
    setting: Tensor
    plays: Tensor
    settled: Tensor
    offset: Tensor


def rest(corrector: Corrector, offset: Tensor) -> CorrectorState:
    """Return correctors whose knobs are at zero, amid their play, and whose quantities are ``(B, K)``."""
    zero = torch.zeros_like(offset)
    return CorrectorState(corrector, zero, torch.zeros_like(corrector.play), zero, offset)


def command(state: CorrectorState, delta: Tensor, dt: Value, streams: Streams) -> CorrectorState:
    """Turn the knobs, then let time pass.

    Parameters
    ----------
    state
        Left as it is.
    delta
        Change of each knob, ``(B, K)``; zeros to wait.
    dt
        Time after the change [s], a number or ``(B,)``.
    streams
        For the drift: K normal numbers are taken.
    """
    corrector = state.corrector
    setting = state.setting + delta
    plays = backlash(state.plays, setting[..., None], corrector.play)  # (B, K, J)
    return settle(replace(state, setting=setting, plays=plays, offset=_drifted(state, dt, streams)), dt)


def settle(state: CorrectorState, dt: Value) -> CorrectorState:
    """Let the knobs follow for a time [s], a number or ``(B,)``, during which nothing drifts."""
    target = (state.corrector.weight * state.plays).sum(-1)  # (B, K)
    left = decay(expand(dt, 1), state.corrector.settle)
    return replace(state, settled=target + (state.settled - target) * left)


def actual(state: CorrectorState) -> Tensor:
    """Return the quantities as they are, ``(B, K)``: response times settled knobs, and the offset."""
    return torch.einsum("bij,bj->bi", state.corrector.response, state.settled) + state.offset


def backlash(output: Tensor, command: Tensor, half_width: Tensor) -> Tensor:
    """Return the output of play operators: it moves only when the command pushes it.

    Parameters
    ----------
    output
        Before, any shape.
    command, half_width
        Broadcastable to it.

    References
    ----------
    M. Brokate and J. Sprekels, Hysteresis and Phase Transitions, Springer (1996), ch. 2.
    """
    return torch.minimum(torch.maximum(output, command - half_width), command + half_width)


def hysteresis(half_width: Tensor, operators: int = 1) -> tuple[Tensor, Tensor]:
    """Return play operators and weights for `Corrector`.

    One operator is the backlash of a mechanism: nothing moves within its play. Several, with half-widths
    spread evenly from zero on (Prandtl and Ishlinskii), are the hysteresis of a magnet: it always follows,
    but by less after each turn.

    Parameters
    ----------
    half_width
        Of the widest operator, ``(B, K)``, in units of the knobs.
    operators
        J.

    Returns
    -------
    play, weight
        ``(B, K, J)``.
    """
    check_range(operators, "number of play operators", low=1)
    spread = torch.linspace(0, 1, operators) if operators > 1 else torch.ones(1)
    play = half_width[..., None] * spread.to(half_width)
    return play, torch.full_like(play, 1 / operators)


def ideal_corrector(count: int, knobs: int, *, device: str | torch.device = "cpu") -> Corrector:
    """Return correctors that do exactly what they are told, at once."""
    zeros = torch.zeros(count, knobs, device=device)
    play, weight = hysteresis(zeros)
    response = torch.eye(knobs, device=device).expand(count, -1, -1)
    return Corrector(response, play, weight, zeros, zeros, zeros)


def draw_corrector(
    streams: Streams,
    names: Sequence[str],
    *,
    unit: Sequence[float] | Tensor | None = None,
    gain: Value = 0.0,
    coupling: Value = 0.0,
    rotation: Value = 0.0,
    play: Value = 0.0,
    operators: int = 1,
    settle: Value = 0.0,
    wander: Value = 0.0,
    trend: Value = 0.0,
) -> Corrector:
    """Return random correctors.

    Parameters
    ----------
    streams
        One number per entry of the response, one for the rotation, and one per knob for the trend are taken.
    names
        Of the knobs: coefficients in Krivanek notation, or pairs that end in ``y`` and ``x``.
    unit
        A natural size of each knob, in its own unit, e.g. the quarter-wave limits: `coupling`, `play`,
        `wander` and `trend` are shares of it, so that nanometres of defocus and of coma weigh alike. 1 by
        default.
    gain
        Largest error of a knob's own effect, 0.1 for 10 %.
    coupling
        Largest effect of a knob on another quantity, as a share of its own.
    rotation
        Largest angle between the axes of knobs and optics [rad]; a pair of m-fold symmetry turns by m times
        as much.
    play, operators
        Half-width and number of play operators; see `hysteresis`.
    settle
        Time constant [s].
    wander
        Standard deviation of the drift after a second; it grows with the square root of time.
    trend
        Largest steady drift in a second.

    Raises
    ------
    MicroscopeError
        If a size is negative.
    """
    sizes = {"gain": gain, "coupling": coupling, "play": play, "wander": wander, "trend": trend}
    for what, value in sizes.items():
        check_range(value, f"{what} of a corrector", cure="0 switches it off")
    check_range(settle, "settling time of a corrector", "s", cure="0 switches it off")
    knobs = len(names)
    size = torch.as_tensor(
        [1.0] * knobs if unit is None else unit, dtype=torch.float32, device=streams.device
    )
    ones = size.expand(streams.count, -1)  # (B, K)
    angle = expand(rotation, 1) * streams.uniform(1, low=-1)  # (B, 1)
    response = rotation_matrix(names, angle[:, 0]) @ _mixing(streams, knobs, gain, coupling)
    plays, weight = hysteresis(expand(play, 1) * ones, operators)
    return Corrector(
        response=response * (size[:, None] / size),
        play=plays,
        weight=weight,
        settle=expand(settle, 1) * torch.ones_like(ones),
        diffusion=(expand(wander, 1) * ones) ** 2 / 2,
        velocity=expand(trend, 1) * ones * streams.uniform(knobs, low=-1),
    )


def rotation_matrix(names: Sequence[str], angle: Tensor) -> Tensor:
    """Return how quantities change when the axes of the knobs are turned, ``(B, K, K)``.

    Parameters
    ----------
    names
        Of the quantities. ``C12a`` and ``C12b`` turn into each other by twice the angle, ``C21a`` and
        ``C21b`` by the angle, and so on; ``tilt_x`` and ``tilt_y`` as vectors; those without a partner stay.
    angle
        ``(B,)`` [rad], from x towards y.
    """
    matrix = torch.eye(len(names), device=angle.device).repeat(len(angle), 1, 1)
    for first, second, fold in _pairs(names):
        cosine, sine = (fold * angle).cos(), (fold * angle).sin()
        matrix[:, first, first] = matrix[:, second, second] = cosine
        matrix[:, first, second], matrix[:, second, first] = -sine, sine
    return matrix


def _pairs(names: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return the places of the components along x and y, and their symmetry, of all pairs."""
    partners = {"a": "b", "x": "y"}
    places = {name: index for index, name in enumerate(names)}
    return [
        (places[name], places[name[:-1] + partners[name[-1]]], int(name[2]) if name[-1] == "a" else 1)
        for name in names
        if name[-1] in partners and name[:-1] + partners[name[-1]] in places
    ]


def _mixing(streams: Streams, knobs: int, gain: Value, coupling: Value) -> Tensor:
    """Return the identity with errors of the gains on its diagonal and couplings beside it, ``(B, K, K)``."""
    eye = torch.eye(knobs, device=streams.device)
    largest = expand(gain, 2) * eye + expand(coupling, 2) * (1 - eye)
    return eye + largest * streams.uniform(knobs, knobs, low=-1)


def _drifted(state: CorrectorState, dt: Value, streams: Streams) -> Tensor:
    corrector = state.corrector
    drift = Drift(state.offset, corrector.velocity, corrector.diffusion)
    seconds = torch.as_tensor(dt, dtype=torch.float32, device=state.offset.device).expand(len(state.offset))
    return wait(drift, seconds, streams).position

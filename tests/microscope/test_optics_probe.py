"""Probes against abTEM, and their averages against explicit sums."""

from __future__ import annotations

from collections.abc import Mapping

import abtem
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from beamwright.envs.microscope import (
    Grid,
    Optics,
    edge_phase,
    probe_amplitude,
    probe_intensity,
    probe_transfer,
    up_to_order,
)
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)

FIFTH = up_to_order(5)
GRID = Grid((96, 128), 0.02)


def _polar(values: Mapping[str, float]) -> dict[str, float]:
    """Return coefficients as abTEM takes them: magnitudes [Å] and azimuths."""
    polar = {}
    for symbol in dict.fromkeys(name[:3] for name in values):
        m = int(symbol[2])
        if m == 0:
            polar[symbol] = values[symbol] * 10
        else:
            a, b = values.get(symbol + "a", 0.0), values.get(symbol + "b", 0.0)
            polar[symbol], polar[f"phi{symbol[1:]}"] = np.hypot(a, b) * 10, np.arctan2(b, a) / m
    return polar


def _abtem(values: Mapping[str, float], optics: Optics, grid: Grid) -> np.ndarray:
    probe = abtem.Probe(
        energy=optics.voltage * 1e3,
        semiangle_cutoff=optics.aperture,
        gpts=grid.shape[::-1],
        extent=tuple(10 * length for length in grid.extent[::-1]),
        aberrations=_polar(values),
    )
    wave = np.asarray(probe.build((0.0, 0.0), lazy=False).array).T.astype(complex)  # abTEM's axes are (x, y)
    return np.abs(wave) ** 2 / np.sum(np.abs(wave) ** 2)


def _random(count: int, names: tuple[str, ...], optics: Optics, *, phase: float = 2.0) -> torch.Tensor:
    noise = torch.randn(count, len(names), generator=torch.Generator().manual_seed(count))
    return noise * phase / edge_phase(names, optics)


def _nrmse(found: torch.Tensor, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found.double().numpy() - expected) / np.linalg.norm(expected))


@pytest.mark.parametrize(("voltage", "aperture"), [(200.0, 25.0), (60.0, 34.0), (300.0, 21.4)])
def test_a_hundred_random_probes_agree_with_abtem(voltage: float, aperture: float) -> None:
    optics, count = Optics(voltage, aperture), 100 if voltage == 200.0 else 10
    coefficients = _random(count, FIFTH, optics)
    probes = probe_intensity(coefficients, FIFTH, optics, GRID)
    for row, probe in zip(coefficients.tolist(), probes, strict=True):
        assert _nrmse(probe, _abtem(dict(zip(FIFTH, row, strict=True)), optics, GRID)) < 0.01


def test_a_focal_spread_is_the_average_of_abtems_probes_over_defocus() -> None:
    optics = Optics(focal_spread=4.0)
    coefficients = _random(3, FIFTH, optics, phase=1.0)
    probes = probe_intensity(coefficients, FIFTH, optics, GRID)
    defoci = np.linspace(-4, 4, 41)
    weights = np.exp(-(defoci**2) / 2)
    for row, probe in zip(coefficients.tolist(), probes, strict=True):
        values = dict(zip(FIFTH, row, strict=True))
        parts = [_abtem(values | {"C10": values["C10"] + 4 * x}, optics, GRID) for x in defoci]
        assert _nrmse(probe, np.average(parts, axis=0, weights=weights)) < 0.01


def test_a_source_blurs_abtems_probe() -> None:
    optics = Optics(source_size=0.05)
    coefficients = _random(5, FIFTH, optics)
    probes = probe_intensity(coefficients, FIFTH, optics, GRID)
    for row, probe in zip(coefficients.tolist(), probes, strict=True):
        sharp = _abtem(dict(zip(FIFTH, row, strict=True)), optics, GRID)
        assert _nrmse(probe, gaussian_filter(sharp, 0.05 / 0.02, mode="wrap", truncate=6)) < 0.01


def test_coherence_may_differ_within_a_batch() -> None:
    coefficients = _random(3, FIFTH, Optics())
    widths, spreads = torch.tensor([0.0, 0.02, 0.05]), torch.tensor([0.0, 1.0, 3.0])
    varied = Optics(focal_spread=3.0)
    probes = probe_intensity(coefficients, FIFTH, varied, GRID, source_size=widths, focal_spread=spreads)
    transfers = probe_transfer(coefficients, FIFTH, varied, GRID, source_size=widths, focal_spread=spreads)
    for i in range(3):
        optics = Optics(source_size=float(widths[i]), focal_spread=float(spreads[i]))
        alone = probe_intensity(coefficients[i : i + 1], FIFTH, optics, GRID)
        assert torch.allclose(probes[i], alone[0], atol=2e-3 * float(alone.max()))
        assert torch.allclose(transfers[i], torch.fft.rfft2(alone[0]).conj(), atol=2e-3)


@given(st.lists(st.floats(-4, 4), min_size=25, max_size=25))
@settings(max_examples=25, deadline=None)
def test_probes_keep_the_current_and_turn_with_their_aberrations(values: list[float]) -> None:
    optics, grid = Optics(source_size=0.02), Grid((64, 64), 0.02)
    coefficients = torch.tensor([values]) / edge_phase(FIFTH, optics)
    turned = coefficients.clone()
    for i, name in enumerate(FIFTH):
        if name.endswith("a"):  # a quarter turn from x towards y
            phase = torch.polar(torch.tensor(1.0), torch.tensor(int(name[2]) * torch.pi / 2))
            both = torch.complex(coefficients[0, i], coefficients[0, i + 1]) * phase
            turned[0, i], turned[0, i + 1] = both.real, both.imag
    one, other = (probe_intensity(c, FIFTH, optics, grid, centred=True)[0] for c in (coefficients, turned))
    assert float(one.sum()) == pytest.approx(1, abs=1e-5)
    by_hand = torch.roll(torch.rot90(one, -1), (0, 1), (0, 1))  # the centre is pixel 32, not 31.5
    assert torch.allclose(other, by_hand, atol=1e-5)


def test_amplitudes_square_to_the_probe_of_a_point_source() -> None:
    coefficients = _random(2, FIFTH, Optics())
    amplitude = probe_amplitude(coefficients, FIFTH, Optics(), GRID)
    intensity = probe_intensity(coefficients, FIFTH, Optics(), GRID)
    assert torch.allclose(amplitude.abs().square(), intensity, atol=1e-7)
    assert amplitude.dtype == torch.complex64


def test_a_centred_probe_without_aberrations_is_brightest_in_the_middle() -> None:
    probe = probe_intensity(torch.zeros(1, 1), ("C10",), Optics(), GRID, centred=True)[0]
    assert divmod(int(probe.argmax()), 128) == (48, 64)


@pytest.mark.parametrize("shape", [(32, 32), (24, 40), (33, 33)])
def test_coarse_pixels_do_not_alias_the_transfer(shape: tuple[int, int]) -> None:
    optics = Optics(source_size=0.03)
    coarse, fine = Grid(shape, 0.08), Grid((shape[0] * 4, shape[1] * 4), 0.02)
    coefficients = _random(4, FIFTH, optics, phase=0.5)
    found = probe_transfer(coefficients, FIFTH, optics, coarse)
    full = torch.fft.rfft2(probe_intensity(coefficients, FIFTH, optics, fine)).conj()
    rows = torch.fft.fftfreq(shape[0], 1 / shape[0]).round().long()
    assert torch.allclose(found, full[:, rows, : shape[1] // 2 + 1], atol=2e-4)
    assert torch.allclose(found[:, 0, 0], torch.ones(4, dtype=torch.complex64), atol=1e-5)


def test_the_batch_does_not_change_a_probe() -> None:
    optics, grid = Optics(focal_spread=1.0), Grid((64, 64), 0.03)
    coefficients = _random(40, FIFTH, optics)
    together = probe_transfer(coefficients, FIFTH, optics, grid)
    for i in (0, 17, 39):
        assert torch.equal(probe_transfer(coefficients[i : i + 1], FIFTH, optics, grid)[0], together[i])


def test_probes_can_be_differentiated_even_if_first_made_in_inference_mode() -> None:
    names, optics, grid = ("C10", "C12a"), Optics(voltage=199.0), Grid((64, 64), 0.03)
    with torch.inference_mode():
        probe_transfer(torch.zeros(1, 2), names, optics, grid)
    coefficients = torch.tensor([[2.0, 1.0]], requires_grad=True)
    loss = probe_transfer(coefficients, names, optics, grid).abs().square().sum()
    loss.backward()
    assert coefficients.grad is not None
    step = torch.tensor([[0.05, 0.0]])
    with torch.no_grad():
        ahead, behind = (
            probe_transfer(coefficients + s, names, optics, grid).abs().square().sum() for s in (step, -step)
        )
    assert float(coefficients.grad[0, 0]) == pytest.approx(float((ahead - behind) / 0.1), rel=0.02)


def test_apertures_beyond_the_grid_are_refused_and_the_cure_cures() -> None:
    none = torch.zeros(1, 1)
    with pytest.raises(
        MicroscopeError,
        match=r"25 mrad is beyond the 12\.54 mrad that pixels of 0\.1 nm hold at 200 kV; "
        r"choose a sampling <= 0\.0501 nm",
    ):
        probe_intensity(none, ("C10",), Optics(), Grid((64, 64), 0.1))
    probe_intensity(none, ("C10",), Optics(), Grid((64, 64), 0.0501))
    with pytest.raises(MicroscopeError, match=r"far larger than the probe .* sampling <= 0\.374 nm, or"):
        probe_transfer(none, ("C10",), Optics(), Grid((64, 64), 1.0))
    probe_transfer(none, ("C10",), Optics(), Grid((64, 64), 0.374))


def test_a_spread_within_the_batch_needs_its_upper_limit() -> None:
    with pytest.raises(MicroscopeError, match=r"its upper limit, is 0; give the optics the largest"):
        probe_transfer(torch.zeros(1, 1), ("C10",), Optics(), GRID, focal_spread=torch.ones(1))


def test_a_hopeless_focal_spread_is_refused() -> None:
    with pytest.raises(MicroscopeError, match=r"focal spread of 1000 nm would need more than 33 points"):
        probe_intensity(torch.zeros(1, 1), ("C10",), Optics(focal_spread=1000.0), GRID)

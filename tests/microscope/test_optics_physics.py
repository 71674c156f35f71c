"""Constants, grid, notation and limits against the literature and closed formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from abtem.core.energy import energy2sigma, energy2wavelength
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.envs.microscope import (
    ABERRATIONS,
    Grid,
    Optics,
    aberration_phase,
    check_field,
    edge_phase,
    electrons,
    interaction_constant,
    magnitudes,
    phase_basis,
    phase_error,
    probe_intensity,
    quarter_wave_limits,
    scherzer_defocus,
    strehl_ratio,
    up_to_order,
    wavelength,
    within_quarter_wave,
)
from beamwright.envs.microscope.aberrations import find, phase_gradients
from beamwright.errors import MicroscopeError, PhysicsWarning

torch.set_num_threads(1)

FIFTH = up_to_order(5)


@pytest.mark.parametrize(("voltage", "pm"), [(100, 3.7014), (200, 2.5079), (300, 1.9687)])
def test_wavelengths_are_those_of_the_tables(voltage: float, pm: float) -> None:
    assert wavelength(voltage) * 1e3 == pytest.approx(pm, abs=1e-4)


@given(st.floats(1, 3000))
def test_constants_agree_with_abtem(voltage: float) -> None:
    assert wavelength(voltage) == pytest.approx(energy2wavelength(voltage * 1e3) / 10, rel=1e-6)
    assert interaction_constant(voltage) == pytest.approx(energy2sigma(voltage * 1e3) * 10, rel=1e-6)


def test_a_picoampere_carries_six_electrons_a_microsecond() -> None:
    assert electrons(1.0, 1.0) == pytest.approx(6.241509, rel=1e-6)
    assert torch.allclose(electrons(torch.tensor([2.0, 4.0]), 10.0), torch.tensor([124.83018, 249.66036]))


def test_there_are_25_coefficients_to_fifth_order() -> None:
    assert [len(up_to_order(n)) for n in range(1, 6)] == [3, 7, 12, 18, 25]
    assert len({one.name for one in ABERRATIONS}) == 25
    assert all((one.n + one.m) % 2 == 1 and one.m <= one.n + 1 for one in ABERRATIONS)


def test_frequencies_are_those_of_numpy_and_half_of_them_those_of_rfft() -> None:
    grid = Grid((6, 8), 0.5)
    y, x = grid.frequencies()
    assert np.allclose(y[:, 0], np.fft.fftfreq(6, 0.5))
    assert np.allclose(x[0], np.fft.fftfreq(8, 0.5))
    assert np.allclose(grid.frequencies(half=True)[1][0], np.fft.rfftfreq(8, 0.5))
    alpha, phi = grid.angles(200.0)
    assert alpha[0, 1] == pytest.approx(grid.steps(200.0)[1])
    assert alpha[1, 0] == pytest.approx(grid.steps(200.0)[0])
    assert phi[1, 0] == pytest.approx(math.pi / 2)  # from x towards y
    assert float(alpha[0].max()) == pytest.approx(grid.cutoff(200.0))


@pytest.mark.parametrize("shape", [(64, 64), (48, 96), (50, 70), (33, 33)])
def test_a_refined_grid_is_the_same_field(shape: tuple[int, int]) -> None:
    grid = Grid(shape, 0.03)
    fine = grid.refined(1.3)
    assert fine.extent == pytest.approx(grid.extent)
    assert fine.shape[0] >= 1.3 * shape[0]
    assert all(n % 2 == 0 for n in fine.shape)


@given(st.lists(st.floats(-3, 3), min_size=25, max_size=25), st.floats(0.5, 40), st.floats(-3.1, 3.1))
@settings(max_examples=50, deadline=None)
def test_slopes_are_the_derivatives_of_the_phase(values: list[float], alpha: float, phi: float) -> None:
    coefficients = torch.tensor([values]) / edge_phase(FIFTH, Optics(aperture=40.0))
    angle = torch.tensor([alpha, phi], dtype=torch.float64, requires_grad=True)
    basis = torch.stack([_phase_of(name, *angle) for name in FIFTH])
    chi = coefficients.double() @ basis
    chi.backward()
    assert angle.grad is not None
    radial, around = phase_gradients(FIFTH, (angle[0].detach(), angle[1].detach()), 200.0)
    scale = {"rel": 1e-3, "abs": 1e-3}
    assert float(coefficients @ radial) == pytest.approx(float(angle.grad[0]), **scale)
    assert float(coefficients @ around) == pytest.approx(float(angle.grad[1]) / alpha, **scale)
    ours = aberration_phase(coefficients, phase_basis(FIFTH, (angle[0].detach(), angle[1].detach()), 200.0))
    assert float(ours) == pytest.approx(float(chi.detach()), **scale)


def _phase_of(name: str, alpha: torch.Tensor, phi: torch.Tensor) -> torch.Tensor:
    """Krivanek's formula for one nanometre, written once more."""
    n, m = int(name[1]), int(name[2])
    turn = torch.sin(m * phi) if name.endswith("b") else torch.cos(m * phi)
    return 2 * math.pi / wavelength(200.0) * (alpha * 1e-3) ** (n + 1) / (n + 1) * turn


def test_quarter_wave_limits_at_200_kv_and_25_mrad() -> None:
    limits = quarter_wave_limits(("C10", "C12a", "C21b", "C30"), Optics(200.0, 25.0))
    assert limits.tolist() == pytest.approx([1.0, 1.0, 60.0, 3200.0], rel=0.01)


def test_both_components_count_for_the_quarter_wave_limit() -> None:
    names, optics = ("C10", "C12a", "C12b"), Optics()
    limit = float(quarter_wave_limits(names, optics)[1])
    found = torch.tensor([[0.0, 0.8, 0.0], [0.0, 0.8, 0.8], [0.99, 0.6, -0.6], [-1.01, 0.0, 0.0]]) * limit
    assert torch.allclose(magnitudes(found, names)[2], torch.tensor([0.99, 0.72**0.5, 0.72**0.5]) * limit)
    assert within_quarter_wave(found, names, optics).tolist() == [True, False, True, False]


@given(st.lists(st.floats(-3, 3), min_size=25, max_size=25))
@settings(max_examples=30, deadline=None)
def test_the_phase_error_is_the_deviation_from_the_best_plane(values: list[float]) -> None:
    optics = Optics()
    coefficients = torch.tensor([values]) / edge_phase(FIFTH, optics)
    radius, phi = np.meshgrid(np.sqrt((np.arange(200) + 0.5) / 200), (np.arange(64) + 0.5) * np.pi / 32)
    angles = torch.tensor(radius.ravel() * optics.aperture), torch.tensor(phi.ravel())
    chi = aberration_phase(coefficients, phase_basis(FIFTH, angles, optics.voltage))[0].double().numpy()
    plane = np.stack(
        [np.ones(chi.size), (radius * np.cos(phi)).ravel(), (radius * np.sin(phi)).ravel()], axis=1
    )
    rest = chi - plane @ np.linalg.lstsq(plane, chi, rcond=None)[0]
    assert float(phase_error(coefficients, FIFTH, optics)) == pytest.approx(rest.std(), rel=1e-3, abs=1e-4)


def test_phase_errors_are_those_of_born_and_wolf() -> None:
    names, optics = ("C10", "C21a", "C30"), Optics()
    one_radian = torch.diag(1 / edge_phase(names, optics))
    expected = [1 / 12**0.5, 1 / 72**0.5, (4 / 45) ** 0.5]
    assert phase_error(one_radian, names, optics).tolist() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("phase", [0.0, 0.5, 2.0, 4.0])
def test_the_strehl_ratio_of_defocus_is_a_sinc(phase: float) -> None:
    optics = Optics()
    coefficients = phase / edge_phase(("C10",), optics)[None]
    expected = np.sinc(phase / 2 / np.pi) ** 2
    assert float(strehl_ratio(coefficients, ("C10",), optics)) == pytest.approx(expected, abs=1e-5)


@given(st.lists(st.floats(-1, 1), min_size=25, max_size=25), st.floats(0.02, 0.1))
@settings(max_examples=40, deadline=None)
def test_marechal_holds_for_small_aberrations(values: list[float], error: float) -> None:
    optics = Optics()
    coefficients = torch.tensor([[*values[:-1], 1.0]]) / edge_phase(FIFTH, optics)
    coefficients *= error / phase_error(coefficients, FIFTH, optics)
    strehl = float(strehl_ratio(coefficients, FIFTH, optics))
    assert 1 - strehl == pytest.approx(1 - math.exp(-(error**2)), rel=0.03, abs=1e-6)


def test_the_strehl_ratio_is_the_peak_of_a_finely_sampled_probe() -> None:
    names, optics, grid = up_to_order(3), Optics(), Grid((512, 512), 0.005)
    noise = torch.randn(12, 12, generator=torch.Generator().manual_seed(0))
    coefficients = torch.cat([noise, torch.zeros(1, 12)]) / edge_phase(names, optics)
    peaks = probe_intensity(coefficients, names, optics, grid).amax((1, 2))
    assert torch.allclose(strehl_ratio(coefficients, names, optics), peaks / peaks[-1], rtol=0.01, atol=1e-3)


def test_scherzers_defocus_opens_the_widest_band() -> None:
    assert scherzer_defocus(1.2e6, 200.0) == pytest.approx(-67.19, abs=0.01)
    assert scherzer_defocus(-1.2e6, 200.0) == pytest.approx(67.19, abs=0.01)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Optics(voltage=-200.0), r"voltage must be positive and finite, not -200 kV"),
        (lambda: wavelength(0.0), r"voltage must be positive and finite, not 0 kV"),
        (lambda: Optics(aperture=0.0), r"aperture must be a positive semi-angle, not 0 mrad; inf is an open"),
        (
            lambda: Optics(focal_spread=-1.0),
            r"focal_spread is a standard deviation and cannot be -1; 0 switches",
        ),
        (lambda: Optics(source_size=math.nan), r"source_size is a standard deviation and cannot be nan"),
        (lambda: Grid((64, 1), 0.1), r"at least 2 x 2 pixels, not \(64, 1\)"),
        (lambda: Grid((64, 64), 0.0), r"size of a pixel must be positive, not 0 nm"),
        (lambda: find("C13"), r'no aberration "C13"\. Did you mean "C[0-9ab]+"\? Known: C10, C12a'),
        (
            lambda: edge_phase(("C10",), Optics(aperture=math.inf)),
            r"open objective has no edge; give the apert",
        ),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(MicroscopeError, match=message):
        make()  # type: ignore[operator]


def test_coefficients_must_fit_their_names() -> None:
    grid = Grid((64, 64), 0.02)
    with pytest.raises(MicroscopeError, match=r"a column for each of C10, C12a, not \(4, 3\)"):
        probe_intensity(torch.zeros(4, 3), ("C10", "C12a"), Optics(), grid)
    with pytest.raises(MicroscopeError, match='no aberration "C21"'):
        probe_intensity(torch.zeros(4, 1), ("C21",), Optics(), grid)


def test_a_field_smaller_than_the_blur_is_warned_of() -> None:
    grid = Grid((64, 64), 0.02)
    check_field([20.0], ("C10",), Optics(), grid)
    with pytest.warns(PhysicsWarning, match=r"up to 2\.5 nm off the axis, but half the field is 0\.64 nm"):
        check_field([-100.0], ("C10",), Optics(), grid)

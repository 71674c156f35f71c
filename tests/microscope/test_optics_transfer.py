"""The transfer of a TEM against closed formulas, abTEM and the images that it stands for."""

from __future__ import annotations

import math

import abtem
import numpy as np
import pytest
import torch

from beamwright.envs.microscope import (
    Grid,
    Optics,
    contrast_transfer,
    edge_phase,
    phase_transfer,
    pupil,
    scherzer_defocus,
    thon_rings,
    up_to_order,
    wavelength,
)

torch.set_num_threads(1)

GRID = Grid((256, 320), 0.04)
OPEN = Optics(voltage=200.0, aperture=math.inf)
EVEN = {"C10": -70.0, "C12a": 15.0, "C12b": -22.0, "C30": 1.2e6, "C32a": 4e3, "C34b": 8e3}


def _zeros(defocus: float, spherical: float, end: float) -> np.ndarray:
    """Return the frequencies [1/nm] at which ``pi lambda C10 k^2 + pi/2 lambda^3 C30 k^4`` is ``n pi``."""
    length = wavelength(200.0)
    roots = [np.roots([length**3 * spherical / 2, length * defocus, -n]) for n in range(-80, 81)]
    squares = np.concatenate(roots)
    found = np.sqrt(squares[(np.abs(squares.imag) < 1e-9) & (squares.real > 1e-6)].real)
    return np.unique(found[found < end].round(9))


LENSES = [(-67.2, 1.2e6, 5.0), (-300.0, 1.2e6, 5.0), (-50.0, 0.0, 8.0), (12.0, -15e3, 12.0)]


@pytest.mark.parametrize(("defocus", "spherical", "end"), LENSES)
@pytest.mark.parametrize("axis", [0, 1])
def test_zeros_of_the_contrast_lie_where_the_formula_has_them(
    axis: int, defocus: float, spherical: float, end: float
) -> None:
    contrast = contrast_transfer(torch.tensor([[defocus, spherical]]), ("C10", "C30"), OPEN, GRID)[0]
    line = (contrast[:128, 0] if axis == 0 else contrast[0, :160]).numpy()
    k = GRID.frequencies()[axis].flatten()[: len(line)].numpy()
    changes = k[1:-1][line[1:-1] * line[2:] < 0] + k[1] / 2
    expected = _zeros(defocus, spherical, end)
    assert np.abs(changes[: len(expected)] - expected).max() < k[1]
    assert (changes < end).sum() == pytest.approx(len(expected), abs=1)  # a zero may lie across the end


def _abtem(values: dict[str, float], optics: Optics) -> np.ndarray:
    polar = {"C10": values["C10"] * 10, "C30": values["C30"] * 10}
    for symbol in ("C12", "C32", "C34"):
        a, b = values.get(f"{symbol}a", 0.0), values.get(f"{symbol}b", 0.0)
        polar[symbol], polar[f"phi{symbol[1:]}"] = np.hypot(a, b) * 10, np.arctan2(b, a) / int(symbol[2])
    function = abtem.CTF(
        energy=optics.voltage * 1e3,
        focal_spread=2**0.5 * optics.focal_spread * 10,  # half widths at 1/e
        angular_spread=2**0.5 * optics.convergence,
        semiangle_cutoff=optics.aperture,
        gpts=GRID.shape[::-1],
        sampling=GRID.sampling * 10,
        **polar,
    )
    return np.asarray(function._evaluate_kernel()).T


@pytest.mark.parametrize(
    "optics",
    [
        OPEN,
        Optics(200.0, math.inf, focal_spread=3.0),
        Optics(200.0, math.inf, convergence=0.3),
        Optics(200.0, 15.0, focal_spread=4.0, convergence=0.2),
    ],
)
def test_pupil_contrast_and_envelopes_agree_with_abtem(optics: Optics) -> None:
    names, values = tuple(EVEN), torch.tensor([list(EVEN.values())])
    expected = _abtem(EVEN, optics)
    found = pupil(values, names, optics, GRID)[0].numpy()
    assert np.linalg.norm(found - expected) / np.linalg.norm(expected) < 1e-2
    contrast = contrast_transfer(values, names, optics, GRID)[0].numpy()
    assert np.linalg.norm(contrast + expected.imag) / np.linalg.norm(expected.imag) < 1e-2
    assert np.abs(np.abs(found) - np.abs(expected)).max() < 1e-2


@pytest.mark.parametrize("convergence", [0.0, 0.2])
def test_the_linear_transfer_makes_the_image_of_a_weak_phase(convergence: float) -> None:
    names, grid = up_to_order(3), Grid((64, 64), 0.05)
    optics = Optics(200.0, 20.0, focal_spread=2.0, convergence=convergence)
    generator = torch.Generator().manual_seed(0)
    coefficients = torch.randn(3, 12, generator=generator) * 3 / edge_phase(names, optics)
    phase = 1e-3 * torch.randn(3, 64, 64, generator=generator)
    wave = torch.fft.fft2(torch.polar(torch.ones_like(phase).double(), phase.double()))
    image = torch.fft.ifft2(wave * pupil(coefficients, names, optics, grid)).abs().square()
    transfer = phase_transfer(coefficients, names, optics, grid)
    linear = 1 + 2 * torch.fft.irfft2(torch.fft.rfft2(phase) * transfer, s=grid.shape)
    assert torch.allclose(image.float() - 1, linear - 1, atol=0.02 * float((linear - 1).abs().max()))


def test_without_odd_aberrations_the_linear_transfer_is_the_contrast() -> None:
    names, values = tuple(EVEN), torch.tensor([list(EVEN.values())])
    optics = Optics(200.0, math.inf, focal_spread=3.0, convergence=0.2)
    contrast = contrast_transfer(values, names, optics, GRID)
    linear = phase_transfer(values, names, optics, GRID)
    assert torch.allclose(linear.real, contrast[..., :161], atol=1e-5)
    assert float(linear.imag.abs().max()) < 1e-5
    assert torch.allclose(thon_rings(values, names, optics, GRID), contrast.square(), atol=1e-5)


def test_coma_moves_what_is_imaged_but_leaves_thon_rings_alone() -> None:
    names = ("C10", "C21a")
    values = torch.tensor([[-200.0, 0.0], [-200.0, 900.0]])
    rings = thon_rings(values, names, OPEN, GRID)
    linear = phase_transfer(values, names, OPEN, GRID)
    assert torch.allclose(rings[0], rings[1], atol=1e-5)
    assert float((linear[0] - linear[1]).abs().max()) > 0.5


def test_underfocus_makes_a_phase_dark() -> None:
    spot = torch.zeros(1, 64, 64)
    spot[0, 32, 32] = 0.1
    underfocus = torch.tensor([[scherzer_defocus(1.2e6, 200.0), 1.2e6]])
    transfer = phase_transfer(underfocus, ("C10", "C30"), OPEN, Grid((64, 64), 0.1))
    image = torch.fft.irfft2(torch.fft.rfft2(spot) * transfer)
    assert float(image[0, 32, 32]) == float(image.min()) < 0

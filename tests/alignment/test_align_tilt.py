import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.envs.alignment.tilt import closed_under_tilt, tilted
from beamwright.envs.microscope.aberrations import ABERRATIONS, phase_basis
from beamwright.envs.microscope.physics import wavelength
from beamwright.errors import MicroscopeError

NAMES = tuple(one.name for one in ABERRATIONS)
VOLTAGE = 200.0


def phase(coefficients, y, x):
    """The aberration function at angles (P,) [mrad], ``(P,)`` [rad], in double precision."""
    basis = phase_basis(NAMES, (torch.hypot(y, x), torch.atan2(y, x)), VOLTAGE).double()
    return coefficients.double() @ basis


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), tilt=st.tuples(*[st.floats(-12, 12)] * 2))
def test_the_expansion_is_the_aberration_function_about_the_tilted_axis(seed, tilt):
    generator = torch.Generator().manual_seed(seed)
    edge = phase_basis(NAMES, (torch.tensor([20.0]), torch.tensor([0.3])), VOLTAGE)[:, 0].abs() + 1e-6
    coefficients = torch.randn(len(NAMES), generator=generator) * (3 / edge).clamp(max=1e7)
    around, shift = tilted(coefficients[None], NAMES, torch.tensor([tilt]))
    y, x = 8 * torch.randn(2, 50, generator=generator).double()
    here = torch.tensor(tilt).double()
    expected = phase(coefficients, y + here[0], x + here[1]) - phase(coefficients, *here[:, None])
    turns = 2e-3 * math.pi / wavelength(VOLTAGE)
    found = phase(around[0], y, x) + turns * (shift[0, 0] * y + shift[0, 1] * x)
    scale = max(1.0, float(expected.abs().max()))
    assert torch.allclose(found, expected, atol=2e-4 * scale)


def test_spherical_aberration_makes_coma_astigmatism_and_defocus():
    names = closed_under_tilt(["C30"])
    assert names == ("C10", "C12a", "C12b", "C21a", "C21b", "C30")
    found, shift = tilted(torch.tensor([[0.0, 0, 0, 0, 0, 1e6]]), names, torch.tensor([[0.0, 5.0]]))
    assert found[0].tolist() == pytest.approx([2 * 25, 25, 0, 3 * 5000, 0, 1e6])
    assert shift[0].tolist() == pytest.approx([0, 1e6 * 0.005**3])


def test_coma_makes_astigmatism_and_defocus():
    names = closed_under_tilt(["C21a"])
    found, _ = tilted(torch.tensor([[0.0, 0, 0, 3000, 0]]), names, torch.tensor([[0.0, 10.0]]))
    assert found[0, 0] == pytest.approx(4 / 3 * 3000 * 0.01)
    assert found[0, 1] == pytest.approx(2 / 3 * 3000 * 0.01)


def test_no_tilt_changes_nothing():
    coefficients = torch.randn(3, len(NAMES))
    found, shift = tilted(coefficients, NAMES, torch.zeros(3, 2))
    assert torch.equal(found, coefficients)
    assert not shift.any()


def test_a_coefficient_without_a_name_is_an_error():
    with pytest.raises(MicroscopeError, match=r"turns C30 into C21a, which is not among .*; add C21a"):
        tilted(torch.zeros(1, 4), ("C10", "C12a", "C12b", "C30"), torch.zeros(1, 2))

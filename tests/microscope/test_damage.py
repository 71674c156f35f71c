from __future__ import annotations

import math
import warnings

import pytest
import torch

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.damage import (
    contamination,
    critical_dose,
    deposit,
    fade,
    knock_on_cross_section,
    knock_on_threshold,
    mass_left,
    removal_probability,
    remove_atoms,
    squared_velocity,
    transferable_energy,
)
from beamwright.errors import MicroscopeError, PhysicsWarning

torch.set_num_threads(1)
CARBON = 12.011


def test_the_dose_map_holds_all_electrons() -> None:
    points = torch.rand(2, 100, 2) * 14
    electrons = torch.rand(2, 100) * 50
    dose = deposit(torch.ones(2, 16, 16), electrons, points, pixel_size=torch.tensor([0.1, 0.5]))
    area = torch.tensor([0.01, 0.25])
    assert torch.allclose(((dose - 1).sum((1, 2)) * area), electrons.sum(1), rtol=1e-3)


def test_a_uniform_raster_gives_the_dose_of_its_pixels() -> None:
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    points = torch.stack((y, x), -1).reshape(1, 64, 2)
    dose = deposit(torch.zeros(1, 8, 8), torch.full((1, 64), 30.0), points, pixel_size=0.2)
    assert torch.allclose(dose, torch.full((1, 8, 8), 30 / 0.04))


def test_mass_is_lost_exponentially() -> None:
    dose = torch.linspace(0, 5000, 20)[None]
    assert torch.allclose(mass_left(dose, 1000.0), torch.exp(-dose / 1000))
    parts = mass_left(dose * 0.3, 1000.0) * mass_left(dose * 0.7, 1000.0)
    assert torch.allclose(parts, mass_left(dose, 1000.0))
    faded = fade(
        torch.full((2, 3), 0.8),
        torch.tensor([[0.0, 700.0, 1e9]] * 2),
        torch.tensor([1000.0, 500.0]),
        residue=0.25,
    )
    left = [0.8, 0.8 * (0.25 + 0.75 * math.exp(-0.7)), 0.2]
    assert faded[0].tolist() == pytest.approx(left)
    assert float(faded[1, 1]) == pytest.approx(0.8 * (0.25 + 0.75 * math.exp(-1.4)))


def test_velocities_and_the_critical_dose() -> None:
    assert math.sqrt(squared_velocity(200.0)) == pytest.approx(0.6953, abs=1e-4)
    assert math.sqrt(squared_velocity(100.0)) == pytest.approx(0.5482, abs=1e-4)
    assert critical_dose(1000.0, 200.0, measured_at=100.0) == pytest.approx(
        1000 * (0.69531 / 0.54822) ** 2, rel=1e-3
    )


def test_the_energy_that_an_electron_can_give() -> None:
    assert transferable_energy(80.0, CARBON) == pytest.approx(15.8, abs=0.1)  # as in the literature
    assert knock_on_threshold(transferable_energy(123.0, CARBON), CARBON) == pytest.approx(123.0)
    assert knock_on_threshold(16.9, CARBON) == pytest.approx(85.4, abs=0.5)


def _integrated(voltage: float, displacement: float, mass: float, number: int) -> float:
    """Integrate the differential cross-section over the angles that displace [nm^2]."""
    beta2 = squared_velocity(voltage)
    beta, most = math.sqrt(beta2), transferable_energy(voltage, mass)
    low = 2 * math.asin(math.sqrt(displacement / most))
    angle = torch.linspace(low, math.pi, 200_001, dtype=torch.float64)
    half = (angle / 2).sin()
    radius = 2.8179403205e-6  # nm
    rutherford = (number * radius / 2) ** 2 * (1 - beta2) / beta2**2 / half**4
    correction = 1 - beta2 * half**2 + math.pi * number / 137.036 * beta * half * (1 - half)
    return float(torch.trapezoid(rutherford * correction * 2 * math.pi * angle.sin(), angle))


@pytest.mark.parametrize(
    ("voltage", "displacement", "mass", "number"), [(200, 17, CARBON, 6), (300, 22, 28.086, 14)]
)
def test_the_knock_on_cross_section_is_its_integral(
    voltage: float, displacement: float, mass: float, number: int
) -> None:
    section = knock_on_cross_section(voltage, displacement, mass=mass, number=number)
    assert section == pytest.approx(_integrated(voltage, displacement, mass, number), rel=1e-4)
    assert 1e-10 < section < 1e-8  # some ten barn


def test_no_atom_is_displaced_below_the_threshold() -> None:
    threshold = knock_on_threshold(17.0, CARBON)
    assert knock_on_cross_section(threshold - 0.1, 17.0, mass=CARBON, number=6) == 0
    assert knock_on_cross_section(threshold + 5, 17.0, mass=CARBON, number=6) > 0


def test_heavy_atoms_are_outside_the_validity() -> None:
    with pytest.warns(PhysicsWarning, match="holds to about Z = 30, not for Z = 79; treat it as an"):
        knock_on_cross_section(300.0, 2.0, mass=196.97, number=79)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        knock_on_cross_section(300.0, 20.0, mass=63.55, number=29)


def test_atoms_leave_with_the_probability_of_the_dose() -> None:
    dose = torch.tensor([0.0, 10.0, 300.0, 2000.0]).repeat(20_000)[None]
    present = torch.ones(1, 80_000, dtype=torch.bool)
    left = remove_atoms(present, dose, 1000.0, Streams.from_seed(0, 1)).reshape(-1, 4).float().mean(0)
    assert torch.allclose(left, torch.exp(-dose[0, :4] / 1000), atol=0.01)
    assert float(left[0]) == 1.0


def test_many_small_doses_remove_as_many_atoms_as_a_large_one() -> None:
    streams, present = Streams.from_seed(0, 4), torch.ones(4, 20_000, dtype=torch.bool)
    for _ in range(10):
        present = remove_atoms(present, torch.full((4, 20_000), 70.0), 1000.0, streams)
    assert float(present.float().mean()) == pytest.approx(math.exp(-0.7), abs=0.006)
    assert float(removal_probability(torch.tensor([1e-6]), 1.0)) == pytest.approx(1e-6)


def test_contamination_grows_and_saturates() -> None:
    dose = torch.tensor([[1.0, 1e4, 1e9]])
    thickness = contamination(dose, thickest=5.0, saturation=1e4)
    assert thickness[0].tolist() == pytest.approx([5e-4, 5 * (1 - math.exp(-1)), 5.0], rel=1e-3)


def test_impossible_beams_are_refused() -> None:
    with pytest.raises(MicroscopeError, match="accelerating voltage must be above 0 kV, not -200"):
        transferable_energy(-200.0, CARBON)
    with pytest.raises(MicroscopeError, match="displacement energy must be above 0 eV, not 0"):
        knock_on_threshold(0.0, CARBON)

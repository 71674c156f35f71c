from __future__ import annotations

import math

import pytest
import torch

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.imaging import (
    bright_field,
    cut_margin,
    haadf,
    hrtem,
    secondary_electron,
    weak_phase,
)
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.probe import probe_intensity, probe_transfer
from beamwright.envs.microscope.specimens import SPECIMENS
from beamwright.envs.microscope.transfer import phase_transfer, pupil
from beamwright.errors import MicroscopeError, PhysicsWarning

torch.set_num_threads(1)
GRID = Grid((64, 64), 0.025)
NAMES = ("C10", "C12a", "C21b", "C30")
COEFFICIENTS = torch.tensor([[5.0, 3.0, 100.0, 1e4], [-12.0, 0.0, 40.0, -5e3]])
NO_LENS = torch.ones(1, 64, 33)


def _signal(count: int = 2) -> torch.Tensor:
    return Streams.from_seed(0, count).uniform(64, 64)


def test_a_point_is_imaged_as_the_mirrored_probe() -> None:
    point = torch.zeros(2, 64, 64)
    point[:, 20, 30] = 1
    optics = Optics(200.0, 25.0, source_size=0.02)
    image = haadf(point, probe_transfer(COEFFICIENTS, NAMES, optics, GRID))
    probe = probe_intensity(COEFFICIENTS, NAMES, optics, GRID)
    mirrored = probe.flip((1, 2)).roll(
        (21, 31), (1, 2)
    )  # a beam at r sees the point at 0 with the probe at -r
    assert torch.allclose(image, mirrored, atol=1e-6)


def test_the_probe_moves_the_signal_about_and_loses_none_of_it() -> None:
    image = haadf(_signal(), probe_transfer(COEFFICIENTS, NAMES, Optics(), GRID))
    assert torch.allclose(image.mean((1, 2)), _signal().mean((1, 2)), rtol=1e-5)
    assert float(image.min()) >= 0


def test_a_margin_cuts_off_what_wraps_around() -> None:
    wide = torch.zeros(1, 64, 64)
    wide[:, 0] = 1
    transfer = probe_transfer(torch.tensor([[40.0]]), ("C10",), Optics(), GRID)
    assert float(haadf(wide, transfer)[0, -1].max()) > 0.01
    image = haadf(wide, transfer, margin=20)
    assert image.shape == (1, 24, 24)
    assert torch.equal(image, cut_margin(haadf(wide, transfer), 20))


@pytest.mark.parametrize("margin", [-1, 32])
def test_a_margin_must_leave_an_image(margin: int) -> None:
    with pytest.raises(
        MicroscopeError, match=rf"margin of {margin} pixels .* leaves nothing .*choose 0 to 31"
    ):
        haadf(_signal(), NO_LENS, margin=margin)


def test_bright_field_is_what_beer_leaves_of_the_beam() -> None:
    image = bright_field(torch.full((1, 64, 64), 0.5), NO_LENS, opacity=3.0)
    assert torch.allclose(image, torch.full_like(image, math.exp(-1.5)), atol=1e-6)
    darkest = bright_field(_signal(), NO_LENS).flatten(1).argmin(1)
    assert torch.equal(darkest, _signal().flatten(1).argmax(1))


def test_small_phases_have_linear_images() -> None:
    optics = Optics(200.0, 30.0, focal_spread=3.0)
    phase = 0.01 * Streams.from_seed(1, 2).normal(64, 64)
    full = hrtem(phase, pupil(COEFFICIENTS, NAMES, optics, GRID)) - 1
    linear = weak_phase(phase, phase_transfer(COEFFICIENTS, NAMES, optics, GRID)) - 1
    assert float((full - linear).std() / full.std()) < 0.03


def test_a_perfect_lens_shows_nothing_of_a_phase() -> None:
    image = hrtem(0.5 * _signal(), torch.ones(1, 64, 64))
    assert torch.allclose(image, torch.ones_like(image), atol=1e-5)


def test_an_open_lens_loses_no_electron() -> None:
    image = hrtem(0.5 * _signal(), pupil(COEFFICIENTS, NAMES, Optics(200.0, math.inf), GRID))
    assert torch.allclose(image.mean((1, 2)), torch.ones(2), atol=1e-5)


def test_thick_specimens_are_imaged_with_a_warning() -> None:
    crystal = SPECIMENS.load("wulff_crystal")(Streams.from_seed(0, 1), shape=(64, 64))
    with pytest.warns(PhysicsWarning, match=r"within pi/2 = 1\.57 rad of the mean, not \d"):
        hrtem(crystal.phase, torch.ones(1, 64, 64))
    hrtem(crystal.phase, torch.ones(1, 64, 64), check=False)


def test_strong_phases_are_not_linear() -> None:
    phase = Streams.from_seed(0, 1).normal(64, 64)
    with pytest.warns(
        PhysicsWarning, match=r"at most 0\.3 rad \(root mean square\), not \d\.\d\d rad; use hrtem"
    ):
        weak_phase(phase, NO_LENS)
    weak_phase(phase, NO_LENS, check=False)


def test_an_amorphous_film_is_weak_enough_for_thon_rings() -> None:
    film = SPECIMENS.load("amorphous_film")(Streams.from_seed(0, 4), shape=(64, 64), pixel_size=0.1)
    grid = Grid((64, 64), 0.1)
    coefficients = torch.tensor([[-400.0, 1.2e6]]).expand(4, -1)
    transfer = phase_transfer(coefficients, ("C10", "C30"), Optics(200.0, 20.0), grid)
    image = weak_phase(film.phase, transfer)
    power = torch.fft.rfft2(image - image.mean((1, 2), keepdim=True)).abs().square().mean(0)
    bright, dark = transfer[0].abs() > 0.95, transfer[0].abs() < 0.05
    assert float(power[dark].mean() / power[bright].mean()) < 0.02


def test_a_flat_surface_gives_one() -> None:
    image = secondary_electron(torch.full((1, 64, 64), 7.0), NO_LENS, pixel_size=1.0)
    assert torch.allclose(image, torch.ones_like(image), atol=1e-5)


@pytest.mark.parametrize("degrees", [20.0, 45.0, 60.0])
def test_a_slope_gives_one_over_the_cosine_of_its_tilt(degrees: float) -> None:
    slope = math.tan(math.radians(degrees))
    height = (torch.arange(64.0) * 0.5 * slope).expand(1, 64, 64)
    image = secondary_electron(height, NO_LENS, pixel_size=0.5, edge=0.0, shadow=0.0, margin=8)
    expected = torch.full_like(image, 1 / math.cos(math.radians(degrees)))
    assert torch.allclose(image, expected, rtol=1e-3)


def test_ridges_are_bright_grooves_dark_and_walls_that_face_the_detector_bright() -> None:
    row = torch.arange(64.0)[:, None].expand(64, 64)
    ridge = 10 * torch.exp(-(((row - 32) / 4) ** 2))
    image = secondary_electron(torch.stack([ridge, -ridge]), NO_LENS, pixel_size=1.0)
    assert float(image[0, 32, 32]) > 1.1 > 0.9 > float(image[1, 32, 32])
    assert float(image[0, 28, 32]) > float(image[0, 36, 32]), "the wall towards the first row is brighter"


def test_every_specimen_may_have_its_own_sampling() -> None:
    height = 3 * _signal()
    both = secondary_electron(height, NO_LENS, pixel_size=torch.tensor([0.5, 2.0]))
    alone = secondary_electron(height[1:], NO_LENS, pixel_size=2.0)
    assert torch.allclose(both[1], alone[0], atol=1e-5)

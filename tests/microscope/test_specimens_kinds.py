from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from beamwright.data import write_image
from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens import SPECIMENS
from beamwright.envs.microscope.specimens.fields import between
from beamwright.envs.microscope.specimens.films import structure_factor
from beamwright.envs.microscope.specimens.specimen import Specimen
from beamwright.envs.microscope.specimens.wulff import face_normals, random_rotations, wulff_thickness
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)
LATTICES = ("square", "rect", "hexagonal", "honeycomb", "perovskite", "dumbbell", "random_lattice")
LOCALISED = ("particle_cluster", "atom_cluster", "textured_flake")
STATIONARY = ("lattice_with_defects", "membrane_texture")


def _make(
    name: str, count: int = 2, shape: tuple[int, int] = (96, 96), seed: int = 0, **options: object
) -> Specimen:
    specimen = SPECIMENS.load(name)(Streams.from_seed(seed, count), shape=shape, **options)
    assert isinstance(specimen, Specimen)
    return specimen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for index in range(3):
        write_image(tmp_path / f"{index}.tif", rng.random((80, 90)).astype(np.float32))
    return tmp_path


@pytest.mark.parametrize("name", SPECIMENS.names())
def test_every_class_makes_specimens_that_keep_the_rules(name: str, folder: Path) -> None:
    options = {"folder": str(folder)} if name == "images" else {}
    both, second = _make(name, 5, (48, 56), **options), _make(name, 1, (48, 56), seed=1, **options)
    assert both.signal.shape == both.phase.shape == (5, 48, 56)
    assert both.signal.dtype == both.phase.dtype == torch.float32
    assert torch.isfinite(both.phase).all()
    assert float(both.signal.min()) >= 0
    assert float(both.signal.amax()) == pytest.approx(1, abs=1e-6)
    assert both.positions.shape == (*both.weights.shape, 2)
    assert both.numbers.dtype == both.kind.dtype == torch.int64
    assert torch.allclose(both.signal[1], second.signal[0], atol=1e-5), "a specimen depends on its seed only"
    assert torch.allclose(both.phase[1], second.phase[0], atol=1e-4)
    assert not torch.allclose(both.signal[0], both.signal[1], atol=0.05)
    assert float(both.signal.std()) > 0.01, "there is something to see"


def _empty_share(name: str) -> torch.Tensor:
    """Share of blocks of 12 x 12 pixels in which nothing reaches a quarter of the full scale."""
    signal = _make(name, 8).signal
    return (torch.nn.functional.max_pool2d(signal[:, None], 12) < 0.25).float().mean(dim=(1, 2, 3))


@pytest.mark.parametrize("name", LOCALISED)
def test_localised_classes_are_one_structure_in_an_empty_field(name: str) -> None:
    empty = _empty_share(name)
    assert float(empty.min()) > 0.45
    assert float(empty.max()) < 0.97


@pytest.mark.parametrize("name", STATIONARY)
def test_stationary_classes_leave_no_place_empty(name: str) -> None:
    assert float(_empty_share(name).mean()) < 0.1


def test_particles_anywhere_are_scattered_over_all_quarters() -> None:
    signal = _make("particles_anywhere", 16).signal
    quarters = torch.nn.functional.max_pool2d(signal[:, None], 48)
    assert float((quarters > 0.25).float().mean()) > 0.9
    assert 0.3 < float(_empty_share("particles_anywhere").mean()) < 0.9


@pytest.mark.parametrize(
    ("name", "distance"), [("square", 0.2039), ("hexagonal", 0.2884), ("dumbbell", 0.1413)]
)
def test_neighbours_are_as_far_apart_as_in_the_crystal(name: str, distance: float) -> None:
    specimen = _make(name, 1, (64, 64), scale=1.0, disorder=0.0)
    positions = specimen.positions[0][specimen.mask[0]]
    between_all = torch.cdist(positions, positions) + 9 * torch.eye(len(positions))
    inner = ((positions > 0.3) & (positions < 1.3)).all(-1)
    assert torch.allclose(between_all[inner].amin(1), torch.tensor(distance), rtol=2e-3)


def test_columns_fill_the_field_at_the_density_of_the_crystal() -> None:
    specimen = _make("hexagonal", 16, (96, 96), scale=1.0)
    inside = ((specimen.positions > 0) & (specimen.positions < 2.4)).all(-1) & specimen.mask
    density = float(inside.sum(1).float().mean()) / 2.4**2
    assert density == pytest.approx(2 / (3**0.5 * 0.2884**2), rel=0.03)


@pytest.mark.parametrize("name", LATTICES)
def test_lattices_repeat_with_the_field_only_where_asked(name: str) -> None:
    def sharpness(commensurate: bool) -> float:
        specimen = _make(name, 4, (64, 64), commensurate=commensurate, disorder=0.0, vacancies=0.0)
        power = torch.fft.rfft2(specimen.signal - specimen.signal.mean((1, 2), keepdim=True)).abs().square()
        largest = power.flatten(1).sort(dim=1, descending=True).values
        return float((largest[:, :400].sum(1) / largest.sum(1)).min())

    assert sharpness(True) > 0.999
    assert sharpness(False) < 0.995


def test_pixels_give_a_lattice_no_frequencies_of_their_own() -> None:
    specimen = _make("square", 2, (70, 70), commensurate=True, disorder=0.0, scale=1.0)  # 9 cells of 7.8 px
    power = torch.fft.fft2(specimen.signal).abs().square()
    order = (torch.fft.fftfreq(70) * 70).round()
    inner, of_lattice = order.abs() <= 28, order % 9 == 0
    own = (of_lattice[:, None] & of_lattice)[inner][:, inner]
    power = power[:, inner][:, :, inner]
    power[:, 0, 0] = 0
    assert float(power[:, ~own].sum() / power.sum()) < 0.002


def test_a_field_without_room_for_a_cell_cannot_be_commensurate() -> None:
    with pytest.raises(
        MicroscopeError, match=r"0\.2 x 0\.2 nm holds no whole unit cell.* at least 1\.1\d? nm"
    ):
        _make("dumbbell", 1, (8, 8), pixel_size=0.025, commensurate=True, scale=1.0)


def test_vacancies_and_dopants_have_their_shares() -> None:
    whole = _make("hexagonal", 16, scale=1.0)
    changed = _make("hexagonal", 16, scale=1.0, vacancies=0.1, dopants=(0.2, 0.2))
    left = float(changed.mask.sum()) / float(whole.mask.sum())
    foreign = float((changed.numbers == 74)[changed.mask].float().mean())
    assert left == pytest.approx(0.9, abs=0.02)
    assert foreign == pytest.approx(0.2, abs=0.03)


def test_a_grain_boundary_joins_two_orientations_without_crowding() -> None:
    specimen, strange = _make("hexagonal", 16, boundary=1.0, disorder=0.0, scale=1.0), 0
    for positions, mask in zip(specimen.positions, specimen.mask, strict=True):
        here = positions[mask]
        nearest = (torch.cdist(here, here) + 9 * torch.eye(len(here))).amin(1)
        assert float(nearest.min()) > 0.07
        bulk = ((here > 0.3) & (here < 2.1)).all(-1)
        odd = int((nearest[bulk] < 0.28).sum() + (nearest[bulk] > 0.29).sum())
        assert odd < 0.3 * int(bulk.sum())
        strange += odd > 0
    assert strange > 12, "some boundaries happen to leave all distances to neighbours as they were"


def test_tilted_columns_are_longer_along_one_direction() -> None:
    upright = _make("hexagonal", 1, layers=10.0)
    leaning = _make("hexagonal", 1, layers=10.0, tilt=50.0)
    assert leaning.weights.shape[1] == pytest.approx(3 * upright.weights.shape[1], rel=0.1)
    assert float(leaning.weights.sum()) == pytest.approx(float(upright.weights.sum()), rel=0.1)
    first = leaning.positions[0].reshape(-1, 2)[:3]
    assert float((first[2] - first[0]).norm()) == pytest.approx(0.05 * 4.0 * 2 / 3, rel=0.01)


def test_the_columns_of_a_small_crystal_are_as_long_as_its_shape_is_thick() -> None:
    specimen = _make("wulff_crystal", 8, radius=0.3)
    radius = 0.3 * 96 * 0.03  # [nm]
    volume = float(specimen.weights.sum(1).mean()) * 0.4078**3 / 4  # four atoms to a cell of gold
    assert volume == pytest.approx((4 * 3**0.5 - 4 * (3**0.5 - 1.15) ** 3) * radius**3, rel=0.05)


def test_a_wulff_polyhedron_has_the_volume_of_a_truncated_octahedron_from_all_sides() -> None:
    streams = Streams.from_seed(2, 5)
    rotations = random_rotations(streams, 1)[:, 0]
    assert torch.allclose(rotations @ rotations.mT, torch.eye(3).expand(5, -1, -1), atol=1e-5)
    axis = torch.linspace(-2, 2, 201)
    y, x = axis[None, :, None].expand(5, -1, -1), axis[None, None, :].expand(5, -1, -1)
    thickness = wulff_thickness(y, x, torch.ones(5, 1, 1), face_normals() @ rotations)
    volume = thickness.sum((1, 2)) * 0.02**2
    expected = 4 * 3**0.5 - 4 * (3**0.5 - 1.15) ** 3  # the octahedron without its six corners
    assert torch.allclose(volume, torch.tensor(expected), rtol=5e-3)
    assert float(wulff_thickness(y, x, torch.zeros(5, 1, 1), face_normals() @ rotations).max()) == 0


def test_the_spectrum_of_an_amorphous_film_is_that_of_its_atoms() -> None:
    size, thickness = 0.1, 6.0
    phase = _make("amorphous_film", 24, (64, 64), pixel_size=size, thickness=thickness).phase
    power = torch.fft.rfft2(phase - phase.mean((1, 2), keepdim=True)).abs().square().mean(0) * size**2 / 64**2
    frequency = torch.hypot(torch.fft.fftfreq(64, size)[:, None], torch.fft.rfftfreq(64, size)[None])
    carbon = torch.stack(  # scattering factor [0.1 nm] of three Gaussians
        [
            a * torch.exp(-2 * (torch.pi * w * frequency) ** 2)
            for a, w in ((0.338, 0.01135), (1.588, 0.03531), (0.612, 0.08689))
        ]
    ).sum(0)
    expected = 100 * thickness * structure_factor(frequency) * (0.0072884 * 0.047878 * carbon) ** 2
    band = (frequency > 0.5) & (frequency < 4.5)
    assert float((power[band] / expected[band]).mean()) == pytest.approx(1, abs=0.03)
    assert float(phase.mean()) == pytest.approx(100 * thickness * 0.0072884 * 0.047878 * 2.538, rel=0.02)


def test_thicker_films_give_stronger_phases() -> None:
    thin, thick = (_make("amorphous_film", 4, thickness=value).phase.std() for value in (2.0, 8.0))
    assert float(thick / thin) == pytest.approx(2, rel=0.1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hexagonal", {"pixel_size": 0.5}, r"half a lattice constant.*not 0\.5 nm; choose .* at most 0\.15"),
        (
            "atom_cluster",
            {"pixel_size": 0.5},
            r"Atoms need pixels of at most 0\.1 nm, not 0\.5 nm.*particle_cluster",
        ),
        ("random_atoms", {"pixel_size": 0.2}, r"Atoms need pixels of at most 0\.1 nm, not 0\.2 nm"),
        ("porous", {"period": (0.3, 0.1)}, r"\[low, high\] with low at most high, not \[0\.3, 0\.1\]"),
        ("porous", {"period": (0.3, 0.1, 0.2)}, r"\[low, high\] .* not \[0\.3, 0\.1, 0\.2\]; one number"),
    ],
)
def test_impossible_specimens_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(MicroscopeError, match=message):
        _make(name, 1, (32, 32), **options)


def test_limits_are_kept() -> None:
    values = between(Streams.from_seed(0, 100), (2.0, 3.0), 5)
    assert values.shape == (100, 5)
    assert 2 <= float(values.min()) < 2.1 < 2.9 < float(values.max()) < 3

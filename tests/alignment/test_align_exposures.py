import numpy as np
import pytest
import torch

from beamwright.envs.alignment.column import Column
from beamwright.envs.alignment.exposure import PhaseContrast, Ronchigram, ScannedImage, exposure_for
from beamwright.envs.alignment.sharpness import sectors_for
from beamwright.envs.alignment.shifting import displaced
from beamwright.envs.alignment.spectra import cross_spectrum, log_power_spectrum
from beamwright.envs.alignment.variants import AlignSTEMConfig, AlignTEMConfig
from beamwright.envs.core import Streams
from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.physics import interaction_constant
from beamwright.envs.microscope.probe import probe_intensity
from beamwright.envs.microscope.specimens import specimen_pool

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def column_of(config):
    return Column(config, CPU)


def specimen(column, count=2, seed=0):
    pool = specimen_pool(
        column.config.specimen.model_copy(update={"pool": 4}),
        shape=column.grid.shape,
        pixel_size=column.config.sampling,
    )
    return pool.draw(Streams.from_seed(seed, count))


def test_the_cross_spectrum_is_its_definition():
    images = np.random.default_rng(0).poisson(9.9, (3, 2, 64, 64)).astype(np.float32)
    first, second = np.fft.rfft2(images[:, 0]), np.fft.rfft2(images[:, 1])
    s = images.sum((-2, -1)).mean(1)[:, None, None]
    t = abs(first) ** 2 + abs(second) ** 2 + 8 * s
    cross = first * second.conj() / t
    log = np.log((abs(first) ** 2 + abs(second) ** 2) / (2 * s) + 0.3) / 5
    expected = np.stack(
        [(abs(first) ** 2 - s) / t, (abs(second) ** 2 - s) / t, cross.real, cross.imag, log], 1
    )
    found = cross_spectrum(torch.from_numpy(images))
    assert found.shape == (3, 5, 64, 33)
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_the_specimen_cancels_in_the_cross_spectrum():
    column = column_of(AlignSTEMConfig())
    exposure = ScannedImage(column)
    spectrum = exposure.prepare(specimen(column))  # two specimens
    same = torch.tensor([[6.0, 1.0, 0.0, 150.0, 0.0], [-6.0, 1.0, 0.0, 0.0, 150.0]])
    pairs = [
        torch.stack([exposure.image(one[None], pair[None], torch.zeros(1, 2))[0] for pair in same])
        for one in spectrum
    ]
    found = cross_spectrum(1e9 * torch.stack(pairs))
    bright = found[:, 4].amin(0) > 0.8  # modes that both specimens have, far above shot noise
    assert bright.sum() > 50
    difference = (found[0, :4] - found[1, :4])[:, bright]
    assert difference.abs().max() < 0.05


def test_a_symmetric_pair_cannot_tell_the_sign_of_coma_and_the_default_pair_can():
    column = column_of(AlignSTEMConfig())
    exposure, spectrum = ScannedImage(column), torch.ones(1, 64, 33, dtype=torch.complex64)

    def powers(pair, coma):
        changes = [[float(shot.get(name, 0.0)) for name in column.names] for shot in pair]
        aberrations = torch.tensor(changes) + torch.tensor([0.0, 0.0, 0.0, coma, 0.0])
        return exposure.power(spectrum.expand(2, -1, -1), aberrations)

    symmetric = ({"C10": 6.0}, {"C10": -6.0})
    assert torch.allclose(powers(symmetric, 100.0), powers(symmetric, -100.0), atol=1e-5)
    pair = column.config.diagnostic
    assert (powers(pair, 100.0) - powers(pair, -100.0)).abs().max() > 0.02


def test_a_scanned_image_is_the_specimen_correlated_with_the_probe():
    column = column_of(AlignSTEMConfig(sampling=0.02))
    exposure, thing = ScannedImage(column), specimen(column, count=1)
    aberrations = torch.tensor([[5.0, 2.0, -1.0, 100.0, 50.0]])
    image = exposure.image(exposure.prepare(thing), aberrations, torch.zeros(1, 2))[0]
    probe = probe_intensity(aberrations, column.names, column.optics, column.grid)[0]
    signal = thing.signal[0] / thing.signal[0].mean()
    expected = torch.fft.irfft2(torch.fft.rfft2(signal) * torch.fft.rfft2(probe).conj(), s=signal.shape)
    assert image.mean() == pytest.approx(1, abs=1e-4)
    assert torch.allclose(image, expected, atol=2e-3 * float(expected.max()))


def test_whole_pixels_of_shift_roll_the_map():
    grid = Grid((32, 48), 0.1)
    image = torch.rand(1, 32, 48)
    moved = torch.fft.irfft2(
        displaced(torch.fft.rfft2(image), torch.tensor([[0.3, -0.5]]), grid), s=grid.shape
    )
    assert torch.allclose(moved, torch.roll(image, (3, -5), (1, 2)), atol=1e-5)


def test_thon_rings_are_dark_where_the_transfer_is_zero():
    config = AlignTEMConfig(
        size=128, focal_spread=0.0, convergence=0.0, offsets={"C30": 1.2e6, "tilt_y": 0, "tilt_x": 0}
    )
    column = column_of(config)
    exposure = exposure_for(column)
    assert isinstance(exposure, PhaseContrast)
    aberrations = torch.zeros(1, len(column.names))
    aberrations[0, column.names.index("C10")] = -100.0
    aberrations[0, column.names.index("C30")] = 1.2e6
    power = exposure.power(torch.ones(1, 128, 65, dtype=torch.complex64), aberrations)[0]
    k = torch.arange(65) / (128 * config.sampling)  # [1/nm]
    angle = k * column.optics.wavelength
    chi = 2 * torch.pi / column.optics.wavelength * (-100 * angle**2 / 2 + 1.2e6 * angle**4 / 4)
    inside = angle * 1e3 < config.aperture - 1
    assert torch.allclose(power[0, inside], 4 * chi[inside].sin() ** 2, atol=5e-3)


def test_a_tilt_moves_a_scanned_image_against_the_probe():
    column = column_of(
        AlignSTEMConfig(
            offsets={"C10": 1000.0}, knobs=["C10", "C21a", "C21b"], diagnostic=[{"tilt_x": 1.0}] * 2
        )
    )
    fixed = torch.zeros(1, 2 + len(column.names))
    fixed[0, 1], fixed[0, 2 + column.names.index("C10")] = 1.0, 100.0
    # An overfocus of 100 nm throws the ray of 1 mrad by 0.1 nm, so the beam sees what lies there.
    assert column.aberrations(fixed, torch.zeros(1, 3))[1][0].tolist() == pytest.approx([0.0, -0.1])


def test_the_phase_is_that_of_the_voltage():
    slow, fast = (column_of(AlignTEMConfig(voltage=voltage)) for voltage in (100.0, 200.0))
    thing = specimen(fast, count=1)
    maps = [exposure_for(column).imaged(thing) for column in (slow, fast)]
    ratio = interaction_constant(100.0) / interaction_constant(200.0)
    assert ratio > 1.2
    assert torch.allclose(maps[0], ratio * maps[1], atol=1e-6)


def test_the_shift_of_a_tilted_beam_moves_the_image():
    column = column_of(AlignTEMConfig())
    exposure, thing = exposure_for(column), specimen(column, count=1)
    spectrum, aberrations = exposure.prepare(thing), torch.zeros(1, len(column.names))
    aberrations[0, column.names.index("C10")] = -60.0
    still = exposure.image(spectrum, aberrations, torch.zeros(1, 2))
    moved = exposure.image(spectrum, aberrations, torch.tensor([[0.2, 0.0]]))
    assert torch.allclose(moved, torch.roll(still, 2, 1), atol=1e-4)


def test_a_ronchigram_fills_the_aperture():
    column = column_of(AlignSTEMConfig(probe="ronchigram", observation="images", sampling=0.04))
    exposure = exposure_for(column)
    assert isinstance(exposure, Ronchigram)
    image = exposure.image(
        torch.zeros(1, 64, 33, dtype=torch.complex64), torch.zeros(1, 5), torch.zeros(1, 2)
    )[0]
    assert image[32, 32] == pytest.approx(1, abs=1e-3)
    assert image[0, 0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("config", [AlignSTEMConfig(), AlignTEMConfig()], ids=["stem", "tem"])
def test_figures_without_images_are_those_of_images_with_noise(config):
    column = column_of(config)
    sectors, exposure = sectors_for(column), exposure_for(column)
    spectrum = exposure.prepare(specimen(column, count=1)).expand(400, -1, -1)
    aberrations = torch.zeros(400, len(column.names))
    aberrations[:, column.names.index("C10")] = -60.0 if isinstance(config, AlignTEMConfig) else 3.0
    counts = torch.full((400,), 20.0)
    streams = Streams.from_seed(0, 400)
    images = streams.poisson(20 * exposure.image(spectrum, aberrations, torch.zeros(400, 2)))
    seen = sectors.figures(images[:, None])[:, 0]
    power = exposure.power(spectrum, aberrations) * 20**2
    noise = streams.normal(1, sectors.count)
    made = sectors.expected_figures(power[:, None], counts[:, None] * 64**2, noise)[:, 0]
    spread = seen.std(0)
    assert ((seen.mean(0) - made.mean(0)).abs() < 0.35 * spread + 0.01).all()
    assert torch.allclose(made.std(0).mean(), spread.mean(), rtol=0.15)


def test_sectors_take_every_mode_once():
    sectors = sectors_for(column_of(AlignTEMConfig(rings=5, directions=6)))
    white = torch.full((1, 1, 64, 64), 4.0)
    white[0, 0, 0, 0] += 1000.0  # a point: all modes alike, beside the constant part
    figures = sectors.figures(white)
    assert figures.shape == (1, 1, 30)
    assert figures.std() < 1e-4


def test_white_noise_has_no_rings():
    images = torch.poisson(torch.full((1, 1, 64, 64), 100.0), generator=torch.Generator().manual_seed(0))
    spectrum = log_power_spectrum(images)
    assert spectrum.shape == (1, 1, 64, 33)
    assert (5 * spectrum[..., 1:]).exp().mean() - 0.3 == pytest.approx(1, abs=0.1)

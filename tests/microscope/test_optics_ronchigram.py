"""Ronchigrams against ray optics, abTEM's probes and explicit averages."""

from __future__ import annotations

import abtem
import numpy as np
import pytest
import torch

from beamwright.envs.microscope import Grid, Optics, edge_phase, ronchigram, up_to_order

torch.set_num_threads(1)

GRID = Grid((128, 128), 0.03)
NAMES = up_to_order(3)


def _random(count: int, optics: Optics, *, phase: float = 3.0) -> torch.Tensor:
    noise = torch.randn(count, len(NAMES), generator=torch.Generator().manual_seed(1))
    return noise * phase / edge_phase(NAMES, optics)


def _specimen(shape: tuple[int, int], *, size: float = 0.3) -> torch.Tensor:
    return size * torch.randn(1, *shape, generator=torch.Generator().manual_seed(2))


def test_without_a_specimen_the_disc_is_flat_whatever_the_aberrations() -> None:
    pattern = ronchigram(_random(4, Optics()), NAMES, Optics(), GRID, torch.zeros(GRID.shape))
    y, x = np.indices(GRID.shape) - 64
    angle = np.hypot(y, x) * GRID.steps(200.0)[0]
    assert torch.allclose(pattern[:, angle < 24], torch.ones(1), atol=1e-4)
    assert float(pattern[:, angle > 26].abs().max()) < 1e-5


def test_a_specimen_only_redistributes_the_intensity() -> None:
    empty = ronchigram(_random(3, Optics()), NAMES, Optics(), GRID, torch.zeros(GRID.shape)).sum((1, 2))
    optics = Optics(source_size=0.02, focal_spread=2.0)
    full = ronchigram(_random(3, Optics()), NAMES, optics, GRID, _specimen(GRID.shape)).sum((1, 2))
    assert torch.allclose(full, empty, rtol=1e-3)


def test_the_shadow_of_an_object_lies_where_the_ray_through_it_lands() -> None:
    """Overfocus sends the ray at angle alpha through C10 alpha: an object at r has its shadow at r / C10."""
    grid, place, defocus = Grid((256, 256), 0.04), (9, -14), 150.0
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    bump = torch.exp(-((rows - 128 - place[0]) ** 2 + (columns - 128 - place[1]) ** 2) / (2 * 3.0**2))
    optics = Optics(200.0, 15.0)
    with_object, without = (
        ronchigram(torch.tensor([[defocus]]), ("C10",), optics, grid, phase) for phase in (bump, bump * 0)
    )
    change = (with_object - without).abs()[0]
    centre = [float((change * index).sum() / change.sum()) - 128 for index in (rows, columns)]
    step = grid.steps(200.0)[0]
    expected = [pixel * 0.04 / defocus * 1e3 / step for pixel in place]
    assert centre == pytest.approx(expected, abs=1.5)


def test_patterns_agree_with_abtems_probe_behind_the_same_specimen() -> None:
    optics = Optics()
    coefficients, specimen = _random(3, optics), _specimen(GRID.shape)
    patterns = ronchigram(coefficients, NAMES, optics, GRID, specimen)
    for row, pattern in zip(coefficients.tolist(), patterns, strict=True):
        values = dict(zip(NAMES, row, strict=True))
        polar = {"C10": values["C10"] * 10, "C30": values["C30"] * 10}
        for symbol in ("C12", "C21", "C23", "C32", "C34"):
            a, b = values[f"{symbol}a"], values[f"{symbol}b"]
            polar[symbol], polar[f"phi{symbol[1:]}"] = np.hypot(a, b) * 10, np.arctan2(b, a) / int(symbol[2])
        probe = abtem.Probe(energy=200e3, semiangle_cutoff=25.0, gpts=128, sampling=0.3, aberrations=polar)
        wave = np.fft.fftshift(np.asarray(probe.build((0.0, 0.0), lazy=False).array).T)
        far = np.fft.fftshift(np.abs(np.fft.fft2(wave * np.exp(1j * specimen[0].numpy()))) ** 2)
        far *= float(pattern.sum()) / far.sum()
        assert np.linalg.norm(pattern.numpy() - far) / np.linalg.norm(far) < 0.01


def test_a_focal_spread_averages_patterns_over_defocus() -> None:
    coefficients, specimen = _random(2, Optics(), phase=1.0), _specimen(GRID.shape)
    found = ronchigram(coefficients, NAMES, Optics(focal_spread=2.0), GRID, specimen)
    defoci = torch.linspace(-4, 4, 41)
    weights = torch.exp(-defoci.square() / 2) / torch.exp(-defoci.square() / 2).sum()
    expected = torch.zeros_like(found)
    for defocus, weight in zip(defoci, weights, strict=True):
        moved = coefficients.clone()
        moved[:, 0] += 2.0 * defocus
        expected += weight * ronchigram(moved, NAMES, Optics(), GRID, specimen)
    assert torch.allclose(found, expected, atol=0.01)


def test_a_source_averages_patterns_over_places_of_the_specimen() -> None:
    coefficients, specimen = _random(1, Optics(), phase=1.0), _specimen(GRID.shape, size=0.2)
    found = ronchigram(coefficients, NAMES, Optics(source_size=0.03), GRID, specimen)
    steps = range(-4, 5)  # of one pixel, which is one standard deviation
    expected, total = torch.zeros_like(found), 0.0
    for y in steps:
        for x in steps:
            weight = np.exp(-(y**2 + x**2) / 2)
            expected += weight * ronchigram(
                coefficients, NAMES, Optics(), GRID, specimen.roll((y, x), (1, 2))
            )
            total += weight
    error = (found - expected / total).norm() / found.norm()
    assert float(error) < 0.02


@pytest.mark.parametrize("shape", [(64, 96), (65, 63)])
def test_odd_and_oblong_fields_are_centred_too(shape: tuple[int, int]) -> None:
    grid, optics = Grid(shape, 0.03), Optics()
    pattern = ronchigram(torch.zeros(1, 1), ("C10",), optics, grid, torch.zeros(shape))[0]
    y, x = np.indices(shape)
    steps = grid.steps(200.0)
    angle = np.hypot((y - shape[0] // 2) * steps[0], (x - shape[1] // 2) * steps[1])
    assert torch.allclose(pattern[angle < 22], torch.ones(1), atol=1e-4)
    assert float(pattern[angle > 29].max()) < 1e-5


def test_a_transmission_may_be_computed_once_and_the_batch_changes_nothing() -> None:
    optics, grid = Optics(), Grid((64, 64), 0.03)
    coefficients = _random(1, optics).expand(40, -1)
    specimen = _specimen(grid.shape).expand(40, -1, -1)
    patterns = ronchigram(coefficients, NAMES, optics, grid, specimen)
    once = ronchigram(
        coefficients[:1], NAMES, optics, grid, torch.complex(specimen[:1].cos(), specimen[:1].sin())
    )
    assert torch.equal(patterns[-1], once[0])

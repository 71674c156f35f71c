"""Specimens and imaging against abTEM, which solves the same problems by multislice."""

from __future__ import annotations

from typing import Any

import abtem
import ase
import numpy as np
import pytest
import torch

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.imaging import haadf
from beamwright.envs.microscope.physics import Optics
from beamwright.envs.microscope.probe import probe_transfer
from beamwright.envs.microscope.specimens import SPECIMENS, Specimen, render_phase

torch.set_num_threads(1)
PIXELS, SIZE, SCANNED = 80, 0.01375, 15
REPEAT = 0.4  # along the beam [nm]


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with abtem.config.set(
        {"diagnostics.progress_bar": False, "diagnostics.task_progress": False, "precision": "float32"}
    ):
        yield


def _crystal(name: str, layers: int) -> Specimen:
    crystal = SPECIMENS.load(name)(
        Streams.from_seed(3, 1),
        shape=(PIXELS, PIXELS),
        pixel_size=SIZE,
        commensurate=True,
        layers=float(layers),
        width=0.005,  # without the thermal vibration, which the static lattice of the reference lacks
    )
    assert isinstance(crystal, Specimen)
    return crystal


def _as_atoms(crystal: Specimen, layers: int) -> ase.Atoms:
    """Return the atoms one by one in abTEM's axes (x, y, z) [0.1 nm]."""
    side, positions, numbers = PIXELS * SIZE, [], []
    columns = zip(crystal.positions[0], crystal.numbers[0], crystal.weights[0], strict=True)
    for place, number, weight in columns:
        if weight > 0 and bool(((place >= 0) & (place < side)).all()):
            each = round(float(weight) / layers)
            for atom in range(layers * each):
                positions.append([float(place[1]), float(place[0]), REPEAT * (atom + 0.5) / each])
                numbers.append(int(number))
    return ase.Atoms(
        numbers, positions=10 * np.array(positions), cell=[10 * side, 10 * side, 4 * layers], pbc=True
    )


def _multislice(atoms: ase.Atoms, coefficients: tuple[float, ...]) -> np.ndarray:
    potential = abtem.Potential(atoms, gpts=192, slice_thickness=2, parametrization="lobato")
    defocus, real, imaginary, coma_x, coma_y = coefficients
    probe = abtem.Probe(
        energy=200e3,
        semiangle_cutoff=25,
        C10=10 * defocus,
        C12=10 * float(np.hypot(real, imaginary)),
        phi12=float(np.arctan2(imaginary, real)) / 2,
        C21=10 * float(np.hypot(coma_x, coma_y)),
        phi21=float(np.arctan2(coma_y, coma_x)),
    )
    probe.grid.match(potential)
    side = 10 * PIXELS * SIZE
    scan = abtem.GridScan(start=(0, 0), end=(side, side), gpts=SCANNED, endpoint=False)
    measured = probe.scan(potential, scan=scan, detectors=abtem.AnnularDetector(inner=70, outer=140))
    return np.asarray(measured.compute(scheduler="single-threaded").array).T  # (y, x)


@pytest.mark.parametrize(
    ("name", "layers", "coefficients"),
    [
        ("rect", 1, (0.0, 0.0, 0.0, 0.0, 0.0)),
        ("honeycomb", 1, (4.0, 2.0, -2.0, 0.0, 0.0)),
        ("honeycomb", 1, (2.0, 0.0, 0.0, 200.0, -250.0)),  # the probe itself, not mirrored, moves over it
        ("dumbbell", 2, (-3.0, 0.0, 2.0, 0.0, 0.0)),
    ],
)
def test_haadf_is_that_of_multislice(name: str, layers: int, coefficients: tuple[float, ...]) -> None:
    crystal = _crystal(name, layers)
    transfer = probe_transfer(
        torch.tensor([coefficients]),
        ("C10", "C12a", "C12b", "C21a", "C21b"),
        Optics(200.0, 25.0),
        Grid((PIXELS, PIXELS), SIZE),
    )
    spectrum = torch.fft.fft2(haadf(crystal.signal, transfer)[0])
    at = torch.arange(SCANNED) * PIXELS / SCANNED - 0.5  # pixel 0 is centred half a pixel from the corner
    waves = torch.exp(2j * torch.pi * at[:, None] * torch.fft.fftfreq(PIXELS)[None]).to(spectrum.dtype)
    ours = (waves @ spectrum @ waves.T).real.numpy()
    theirs = _multislice(_as_atoms(crystal, layers), coefficients)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.975
    assert ours.std() / ours.mean() == pytest.approx(theirs.std() / theirs.mean(), rel=0.15)


def test_the_phase_is_that_of_the_projected_potential() -> None:
    crystal = _crystal("perovskite", 1)
    potential = abtem.Potential(
        _as_atoms(crystal, 1), gpts=PIXELS * 4, slice_thickness=4, parametrization="lobato"
    )
    volts = potential.build(lazy=False).project().array.T / 10  # [V nm]
    theirs = 0.0072884 * volts.reshape(PIXELS, 4, PIXELS, 4).mean((1, 3))
    ours = render_phase(
        crystal.positions, crystal.numbers, crystal.weights, shape=(PIXELS, PIXELS), pixel_size=SIZE
    )[0].numpy()
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.03)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.97

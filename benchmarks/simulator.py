"""How fast the simulated microscope forms images: against bare transforms, abTEM and nionswift-usim."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import torch
from results import Section, table
from torch import Tensor
from torch.fft import fft2, ifft2, irfft2, rfft2

from beamwright.envs.microscope import (
    Grid,
    Optics,
    edge_phase,
    hrtem,
    probe_intensity,
    probe_transfer,
    pupil,
    ronchigram,
    strehl_ratio,
    up_to_order,
)
from beamwright.envs.microscope.pieces import PIXELS

__all__ = ["measure"]

NAMES = up_to_order(3)
OPTICS = Optics(voltage=200.0, aperture=25.0)
TEM = Optics(voltage=200.0, aperture=math.inf, focal_spread=3.0)
SAMPLING = 0.02
"""Pixels of specimen and probe [nm], fine enough for the probe's intensity."""
BATCH = 64
SIZES = (64, 128, 256)
SECONDS = 1.0
"""Of processor time for each figure."""

Job = Callable[[], object]


def measure() -> Section:
    """Return images a second beside the bare transforms in them, and beside other simulators'."""
    torch.set_num_threads(1)
    ours, others = _ours(), _others()
    text = f"""
One thread, processor time, best of several runs. 200 kV, 25 mrad, aberrations to third order, pixels of
{SAMPLING} nm. A STEM image convolves a specimen, whose transform is known, with a new probe; a Ronchigram is
of a phase object whose transmission is known; an HRTEM image is of a phase object through a new lens with a
focal spread. The ratio is to the Fourier transforms that the same image contains, alone, on batches that fit
the cache (aim: at most 3 for the STEM image).

{ours}

The same images by abTEM, one at a time: its probe; that convolved by NumPy; one slice of multislice and the
diffraction pattern; its CTF applied to a known exit wave. The Ronchigram of nionswift-usim is a geometrical
shadow image, on 256 x 256 px after binning 2048 x 2048.

{others}
"""
    return Section("simulator", "The simulated microscope", text)


def _ours() -> str:
    rows = []
    for size in SIZES:
        for batch in (1, BATCH):
            jobs, floors = _jobs(size, batch), _transforms(size, batch)
            for kind, job in jobs.items():
                seconds, floor = _seconds(job, floors[kind])
                floor *= batch / _piece(size, batch)
                figures = [_figure(batch / seconds), _figure(batch / floor), f"{seconds / floor:.1f}"]
                rows.append([kind, f"{size} x {size}", str(batch), *figures])
    coefficients = _coefficients(BATCH)
    (seconds,) = _seconds(lambda: strehl_ratio(coefficients, NAMES, OPTICS))
    rows.append(["Strehl ratio", "", str(BATCH), _figure(BATCH / seconds), "", ""])
    return table(["", "px", "batch", "a second", "bare transforms a second", "ratio"], rows)


def _jobs(size: int, batch: int) -> dict[str, Job]:
    """Return what makes a batch of each kind of image."""
    grid, coefficients = Grid((size, size), SAMPLING), _coefficients(batch)
    specimen = torch.rand(batch, size, size)
    spectrum, phase = rfft2(specimen), specimen * 0.3
    transmission = torch.complex(phase.cos(), phase.sin())

    def stem() -> Tensor:
        return irfft2(spectrum * probe_transfer(coefficients, NAMES, OPTICS, grid), s=grid.shape)

    return {
        "probe": lambda: probe_intensity(coefficients, NAMES, OPTICS, grid),
        "STEM image": stem,
        "Ronchigram": lambda: ronchigram(coefficients, NAMES, OPTICS, grid, transmission),
        "HRTEM image": lambda: hrtem(phase, pupil(coefficients, NAMES, TEM, grid), check=False),
    }


def _transforms(size: int, batch: int) -> dict[str, Job]:
    """Return the Fourier transforms in each kind of image, of a piece of the batch that fits the cache."""
    image = torch.rand(_piece(size, batch), size, size)
    wave, half = fft2(image), rfft2(image)
    return {
        "probe": lambda: ifft2(wave),
        "STEM image": lambda: (ifft2(wave), rfft2(image), irfft2(half, s=(size, size))),
        "Ronchigram": lambda: (ifft2(wave), fft2(wave)),
        "HRTEM image": lambda: (fft2(wave), ifft2(wave)),
    }


def _piece(size: int, batch: int) -> int:
    return min(batch, max(1, PIXELS // size**2))


def _others() -> str:
    rows = []
    for size in SIZES:
        ours = _jobs(size, BATCH)
        for kind, job in _abtem(size).items():
            rows.append([kind, f"{size} x {size}", "abTEM", *_beside(job, ours[kind])])
    rows.append(["Ronchigram", "256 x 256", "nionswift-usim", *_beside(_nion(), ours["Ronchigram"])])
    return table(["", "px", "simulator", "a second", "beamwright", "ratio"], rows)


def _beside(theirs: Job, ours: Job) -> list[str]:
    one, batch = _seconds(theirs, ours)
    return [_figure(1 / one), _figure(BATCH / batch), _figure(one * BATCH / batch)]


def _abtem(size: int) -> dict[str, Job]:
    import abtem

    abtem.config.set({"diagnostics.progress_bar": False, "dask.lazy": False})
    options = {"energy": OPTICS.voltage * 1e3, "gpts": size, "sampling": SAMPLING * 10}
    aberrations = {"C10": 30.0, "C12": 20.0, "phi12": 0.4, "C21": 600.0, "phi21": 1.0, "C30": 2e4}
    specimen = np.random.default_rng(0).random((size, size), dtype=np.float32)
    spectrum = np.fft.rfft2(specimen)
    phase = specimen[None] * 0.3 / abtem.core.energy.energy2sigma(OPTICS.voltage * 1e3)
    potential = abtem.PotentialArray(phase, slice_thickness=1.0, sampling=SAMPLING * 10)
    exit_wave = abtem.PlaneWave(**options).multislice(potential, lazy=False)

    def probe() -> abtem.Waves:
        made = abtem.Probe(semiangle_cutoff=OPTICS.aperture, aberrations=aberrations, **options)
        return made.build((0.0, 0.0), lazy=False)

    def stem() -> np.ndarray:
        return np.fft.irfft2(spectrum * np.fft.rfft2(probe().intensity().array))

    def far_field() -> object:
        made = abtem.Probe(semiangle_cutoff=OPTICS.aperture, aberrations=aberrations, **options)
        return made.multislice(potential, lazy=False).diffraction_patterns(max_angle="full")

    def image() -> object:
        lens = abtem.CTF(energy=OPTICS.voltage * 1e3, focal_spread=30 * 2**0.5, **aberrations)
        return exit_wave.apply_ctf(lens).intensity()

    return {
        "probe": lambda: probe().intensity(),
        "STEM image": stem,
        "Ronchigram": far_field,
        "HRTEM image": image,
    }


def _nion() -> Job:
    from beamwright.envs.instrument.nion import NionMicroscope
    from beamwright.envs.instrument.protocol import Frame

    microscope = NionMicroscope("amorphous")
    frame = Frame((256, 256), 1.0, 1e4, detector="ronchigram")
    defoci = iter(range(500, 10**6))

    def expose() -> object:
        microscope.set({"C10": 500.0 + next(defoci) % 100})  # unchanged settings would return the frame again
        return microscope.acquire(frame)

    return expose


def _coefficients(batch: int) -> Tensor:
    return torch.randn(batch, len(NAMES), generator=torch.Generator().manual_seed(0)) / edge_phase(
        NAMES, OPTICS
    )


def _seconds(*jobs: Job) -> list[float]:
    """Return the processor time of a run of each, the best of many, taken in turns."""
    times: list[list[float]] = [[] for _ in jobs]
    start = time.process_time()
    while len(times[0]) < 4 or time.process_time() - start < SECONDS * len(jobs):
        for job, found in zip(jobs, times, strict=True):
            before = time.process_time()
            job()
            found.append(time.process_time() - before)
    return [min(found) for found in times]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"

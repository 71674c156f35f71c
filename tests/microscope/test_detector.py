from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.batching import batched
from beamwright.envs.microscope.detector import (
    Detector,
    detect,
    expose,
    expose_frame,
    expose_scan,
    modulation_transfer,
    noise_transfer,
    quantum_efficiency,
)
from beamwright.errors import MicroscopeError

torch.set_num_threads(1)


@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0, 5.0, 7.9, 8.1, 30.0, 1000.0])
def test_mean_and_variance_are_those_of_poisson(rate: float) -> None:
    count = 4_000_000 if rate < 0.05 else 400_000
    counts = expose(torch.full((8, count // 8), rate), Detector(), Streams.from_seed(0, 8))
    assert float(counts.mean()) == pytest.approx(rate, rel=0.02)
    assert float(counts.var()) == pytest.approx(rate, rel=0.02)
    assert torch.equal(counts, counts.round())


def test_gain_dark_level_and_readout_noise() -> None:
    detector = Detector(gain=12.0, dark=100.0, readout=5.0)
    counts = expose(torch.full((4, 200, 500), 3.0), detector, Streams.from_seed(1, 4))
    assert float(counts.mean()) == pytest.approx(100 + 12 * 3, rel=0.005)
    assert float(counts.var()) == pytest.approx(12**2 * 3 + 5**2, rel=0.02)


def test_efficiency_is_the_dqe_at_frequency_zero() -> None:
    counts = expose(torch.full((4, 100_000), 20.0), Detector(efficiency=0.4), Streams.from_seed(2, 4))
    assert float(counts.mean()) == pytest.approx(20, rel=0.01)
    assert float(counts.mean() ** 2 / counts.var()) == pytest.approx(0.4 * 20, rel=0.02)  # SNR^2 out


def test_each_environment_has_its_own_detector() -> None:
    detector = Detector(
        gain=torch.tensor([1.0, 5.0]), dark=torch.tensor([0.0, 50.0]), efficiency=torch.tensor([1.0, 0.5])
    )
    counts = expose(torch.full((2, 200, 200), 10.0), detector, Streams.from_seed(3, 2))
    assert torch.allclose(counts.mean((1, 2)), torch.tensor([10.0, 100.0]), rtol=0.01)
    assert torch.allclose(counts.var((1, 2)), torch.tensor([10.0, 500.0]), rtol=0.05)


def _spectrum(image: Tensor) -> Tensor:
    """Return the power along x, averaged over images and rows."""
    return torch.fft.rfft(image, dim=-1).abs().square().mean((0, 1))


@pytest.mark.parametrize(
    "detector", [Detector(spread=0.8), Detector(scatter=0.8), Detector(spread=0.5, scatter=0.7)]
)
def test_contrast_of_a_grating_is_the_mtf(detector: Detector) -> None:
    x, frequency = torch.arange(64), torch.tensor([4, 12, 24]) / 64
    gratings = 1e5 * (1 + 0.5 * torch.cos(2 * math.pi * frequency[:, None, None] * x)).expand(3, 64, 64)
    image = expose(gratings, detector, Streams.from_seed(0, 3))
    amplitude = torch.fft.rfft(image.mean(1)).abs()[[0, 1, 2], [4, 12, 24]] / 32
    expected = 0.5e5 * modulation_transfer(detector, frequency)
    assert torch.allclose(amplitude, expected, rtol=0.01, atol=15.0)


@pytest.mark.parametrize(
    "detector", [Detector(spread=0.8), Detector(scatter=0.8), Detector(spread=0.5, scatter=0.7)]
)
def test_noise_power_follows_the_square_of_the_noise_transfer(detector: Detector) -> None:
    rate = 50.0
    noise = expose(torch.full((64, 64, 64), rate), detector, Streams.from_seed(0, 64)) - rate
    power = torch.fft.rfft2(noise).abs().square().mean(0)[0] / 64**2  # along x, at frequency zero of y
    frequency = torch.fft.rfftfreq(64)
    expected = rate * noise_transfer(detector, frequency) ** 2
    assert float((power / expected).mean()) == pytest.approx(1, abs=0.06)
    low, high = power[1:9].mean() / expected[1:9].mean(), power[20:].mean() / expected[20:].mean()
    assert float(low) == pytest.approx(1, abs=0.15)
    assert float(high) == pytest.approx(1, abs=0.15)


def test_a_spread_alone_filters_signal_and_noise_alike() -> None:
    frequency = torch.linspace(0, 0.5, 11)
    integrating, counting = Detector(spread=0.8), Detector(scatter=0.8)
    assert torch.equal(noise_transfer(integrating, frequency), modulation_transfer(integrating, frequency))
    assert torch.allclose(quantum_efficiency(integrating, frequency), torch.ones(11))
    assert torch.equal(noise_transfer(counting, frequency), torch.ones(11))
    assert torch.allclose(
        quantum_efficiency(counting, frequency), modulation_transfer(counting, frequency) ** 2
    )


def test_dqe_is_the_ratio_of_the_squared_signal_to_noise() -> None:
    detector, rate, k = Detector(efficiency=0.7, scatter=0.6, spread=0.4), 200.0, 10
    wave = torch.cos(2 * math.pi * k / 64 * torch.arange(64))
    image = expose((rate * (1 + 0.5 * wave)).expand(400, 64, 64), detector, Streams.from_seed(0, 400))
    along = torch.fft.rfft(image.mean(1))[:, k]  # (B,) one frequency, rows averaged
    snr = along.mean().abs() ** 2 / (along.var() + 1e-12)
    ideal = (0.5 * rate * 32) ** 2 / (rate * 64 / 64)
    expected = quantum_efficiency(detector, torch.tensor(k / 64))
    assert float(snr / ideal) == pytest.approx(float(expected), rel=0.15)


def test_afterglow_decays_from_frame_to_frame() -> None:
    detector = Detector(afterglow=0.2, afterglow_time=50.0)
    flash, dark = torch.full((1, 4, 4), 1e6), torch.zeros(1, 4, 4)
    streams, glow = Streams.from_seed(0, 1), torch.zeros(1, 4, 4)
    first, glow = expose_frame(flash, detector, streams, dwell=10.0, glow=glow)
    frames = []
    for _ in range(40):
        frame, glow = expose_frame(dark, detector, streams, dwell=10.0, glow=glow)
        frames.append(frame)
    tail = torch.stack(frames)[:, 0, 0, 0]
    assert torch.allclose(tail[1:] / tail[:-1], torch.tensor(math.exp(-10 / 50)), rtol=1e-3)
    stored = 0.2 * (50 / 10) * (1 - math.exp(-10 / 50))  # of an exposure of 10 us, at its end
    assert float(1 - first.mean() / 1e6) == pytest.approx(stored, rel=0.02)
    assert float(first.mean() + sum(frame.mean() for frame in frames)) == pytest.approx(1e6, rel=3e-3)


def test_afterglow_along_a_scan_is_that_of_frames_of_one_pixel() -> None:
    detector = Detector(afterglow=0.3, afterglow_time=8.0)
    rate, dwell = torch.zeros(2, 30), torch.rand(2, 30) * 10 + 1
    rate[:, [0, 5, 6, 20]] = 1e4
    scanned, end = expose_scan(
        rate, detector, Streams.from_seed(0, 2), dwell=dwell, glow=torch.full((2,), 7.0)
    )
    light = detect(rate, detector, Streams.from_seed(0, 2))
    glow, expected = torch.full((2, 1, 1), 7.0), []
    for i in range(30):
        stored = glow[:, 0, 0]
        fading = torch.exp(-dwell[:, i] / 8)
        late = 0.3 * light[:, i] * (1 - fading) * 8 / dwell[:, i]
        glow = (stored * fading + late)[:, None, None]
        expected.append(light[:, i] + stored - glow[:, 0, 0])
    assert torch.allclose(scanned, torch.stack(expected, 1), rtol=1e-4, atol=1e-2)
    assert torch.allclose(end, glow[:, 0, 0], rtol=1e-4)


def test_a_batch_is_the_same_as_its_members() -> None:
    plain = Detector(gain=2.0, dark=5.0, readout=1.0, efficiency=0.8, scatter=0.3, spread=0.5)
    rate = torch.rand(3, 8, 8) * 30
    together = expose(rate, batched(plain, 3), Streams.from_seed(4, 3))
    for i in range(3):
        alone = expose(rate[i : i + 1], plain, Streams.from_seed(4 + i, 1))
        assert torch.allclose(together[i], alone[0], atol=1e-3)


def test_impossible_detectors_are_refused() -> None:
    with pytest.raises(
        MicroscopeError, match="gain of a detector must be above 0, not 0; 1 counts electrons"
    ):
        Detector(gain=0.0)
    with pytest.raises(MicroscopeError, match=r"quantum efficiency must be above 0 and at most 1, not 1.2"):
        Detector(efficiency=1.2)
    with pytest.raises(MicroscopeError, match=r"afterglow must be at least 0 and at most 1, not -0.1"):
        Detector(afterglow=-0.1)
    with pytest.raises(
        MicroscopeError, match=r"it sees images \(B, H, W\), not an array \(1, 5\); set both to 0"
    ):
        expose(torch.ones(1, 5), Detector(spread=1.0), Streams.from_seed(0, 1))

"""The simulated microscope behind the protocol: one column, which drifts and answers on its own clock."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from beamwright.envs.core import Streams
from beamwright.envs.core.config import draw, load_config
from beamwright.envs.instrument.base import Instrument
from beamwright.envs.instrument.config import KnobConfig, SimulatorConfig
from beamwright.envs.instrument.protocol import Frame
from beamwright.envs.microscope import (
    Beam,
    CorrectorState,
    Detector,
    Drift,
    Grid,
    ScanEngine,
    actual,
    bright_field,
    check_field,
    command,
    draw_corrector,
    draw_drift,
    electrons,
    expose,
    follow_drift,
    haadf,
    probe_transfer,
    quarter_wave_limits,
    rest,
    ronchigram,
    sample,
    trace,
)
from beamwright.envs.microscope.drift import wait
from beamwright.envs.microscope.points import to_pixels
from beamwright.envs.microscope.specimens import specimen_pool
from beamwright.errors import MicroscopeError

__all__ = ["KnobConfig", "SimulatedMicroscope", "SimulatorConfig"]

_SHIFTS = ("shift_y", "shift_x")
_DRAWN = ("play", "settle", "wander", "trend")
_INSTANT = 1e-9  # [s] after which a knob that follows at once has followed


class SimulatedMicroscope(Instrument):
    """A STEM with a probe of any aberrations: HAADF and bright-field images, Ronchigrams, free scan paths.

    A frame is a path as any other, row by row: the beam moves over the image that the probe of that moment
    would form of the whole specimen, lags, and the specimen drifts beneath it. Within one exposure the
    aberrations stay. A Ronchigram is taken in the middle of the field (on the nearest pixel of the specimen)
    at one moment; its pixels are whole numbers of those of the simulation, and `Exposure.pixel_size` says how
    large. Flyback, tilts of the beam, damage, and the camera of a TEM are not simulated.

    A shift of +d moves the image by +d. Time passes while settings are waited for and during exposures.

    Parameters
    ----------
    config
        What it is, as a record or as a mapping of what differs from the defaults.
    seed
        Of the specimen, the faults, the drift and the noise.

    Raises
    ------
    MicroscopeError
        If the configuration breaks a rule, or the optics do not fit the pixels.
    """

    def __init__(self, config: SimulatorConfig | Mapping[str, Any] | None = None, *, seed: int = 0) -> None:
        if not isinstance(config, SimulatorConfig):
            config = load_config(SimulatorConfig, {}, None, config or {})
        edge = config.size * config.sampling
        super().__init__(
            "simulator",
            config.limits(),
            detectors=("haadf", "bright_field", "ronchigram"),
            field=(edge, edge),
            dead_time=config.dead_time,
            settings={"current": config.current},
        )
        self.config = config
        self.optics = config.optics()
        self.names = tuple(dict.fromkeys((*config.controls, *config.offsets)))  # those that knobs turn first
        self._grid = Grid((config.size + 2 * config.margin,) * 2, config.sampling)
        self._grid.check_holds(self.optics)
        self._streams = streams = Streams.from_seed(seed, 1, device=config.torch_device())
        pool = specimen_pool(
            config.specimen,
            shape=self._grid.shape,
            pixel_size=config.sampling,
            split=config.split,
            device=str(streams.device),
        )
        self._specimen = pool.draw(streams).at_voltage(config.voltage)
        self._knobs, self._fixed = self._misaligned()
        self._drift = draw_drift(streams, **self._drawn("speed", "diffusion"))
        self._engine = ScanEngine(**self._drawn("lag", "line_jitter", "hum"))
        self._beam = Beam.at(torch.full((1, 2), edge / 2, device=streams.device))
        self._detector = Detector(efficiency=config.efficiency, readout=config.readout)
        self._clock = 0.0  # [s] up to which knobs and drift have moved

    @property
    def aberrations(self) -> dict[str, float]:
        """The aberrations as they are [nm], which no real instrument tells."""
        return dict(zip(self.names, self._coefficients()[0].tolist(), strict=True))

    def _apply(self, values: Mapping[str, float]) -> None:
        self._wait_until(self.spent.seconds)
        turned = [
            values.get(name, self._settings[name]) - self._settings[name]
            for name in (*self.config.controls, *_SHIFTS)
        ]
        self._knobs = command(self._knobs, self._tensor([turned]), _INSTANT, self._streams)

    def _expose(self, frame: Frame) -> tuple[np.ndarray, float]:
        if frame.detector == "ronchigram":
            return self._ronchigram(frame)
        (rows, columns), size = frame.shape, frame.pixel_size
        axes = [
            (edge - n * size) / 2 + (np.arange(n) + 0.5) * size
            for edge, n in zip(self.field, frame.shape, strict=True)
        ]
        path = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)  # (N, 2) [nm]
        dwell = np.full(len(path), frame.dwell)
        return self._fly(path, dwell, frame.detector, columns=columns).reshape(rows, columns), size

    def _read(self, path: np.ndarray, dwell: np.ndarray) -> np.ndarray:
        return self._fly(path, dwell, "haadf")

    def _fly(
        self, path: np.ndarray, dwell: np.ndarray, detector: str, *, columns: int | None = None
    ) -> np.ndarray:
        """Return the counts ``(N,)`` along a path, which may consist of lines of so many columns."""
        self._wait_until(self.spent.seconds + self.dead_time)
        image, times = self._image(detector), self._tensor(dwell)[None]
        lines = None if columns is None else torch.arange(len(path), device=self._streams.device) // columns
        flown = trace(self._tensor(path)[None], times, self._engine, self._beam, self._streams, lines=lines)
        moved, drift = follow_drift(
            self._drift, flown.times, flown.seconds, self._streams, every=columns or 1
        )  # (1, N, 2) [nm]
        shift = actual(self._knobs)[:, None, -2:]
        places = to_pixels(flown.points - moved - shift, self.config.sampling) + self.config.margin
        share = sample(image, torch.remainder(places, self._grid.shape[0]))  # (1, N)
        self._beam = flown.beam
        self._pass(float(dwell.sum()) * 1e-6, drift)
        return self._counted(electrons(self._settings["current"] * share, 1.0) * times)

    def _image(self, detector: str) -> Tensor:
        """Return which share of the beam reaches a detector from each place, ``(1, H, W)``."""
        transfer = probe_transfer(self._checked(), self.names, self.optics, self._grid)
        if detector == "bright_field":
            return bright_field(self._specimen.signal, transfer, opacity=self.config.opacity)
        return self.config.scattered * haadf(self._specimen.signal, transfer)

    def _ronchigram(self, frame: Frame) -> tuple[np.ndarray, float]:
        count, step = self._grid.shape[0], self._grid.steps(self.optics.voltage)[0]  # [mrad]
        binning = max(1, round(frame.pixel_size / step))
        if max(frame.shape) * binning > count:
            raise MicroscopeError(
                f"The simulated camera has {count // binning} x {count // binning} pixels of "
                f"{step * binning:.3g} mrad; a frame of {frame.shape[0]} x {frame.shape[1]} does not fit, "
                "take fewer or larger pixels."
            )
        self._wait_until(self.spent.seconds + self.dead_time)
        moved = (self._drift.position + actual(self._knobs)[:, -2:]) / self.config.sampling  # (1, 2) [px]
        phase = self._specimen.phase.roll(moved[0].round().int().tolist(), dims=(1, 2))
        pattern = ronchigram(self._checked(), self.names, self.optics, self._grid, phase)  # (1, H, W)
        top, left = (count // 2 - n * binning // 2 for n in frame.shape)
        rows, columns = (n * binning for n in frame.shape)
        seen = pattern[:, top : top + rows, left : left + columns] / pattern.sum()
        binned = seen.unflatten(2, (-1, binning)).unflatten(1, (-1, binning)).sum((2, 4))
        self._pass(frame.dwell * 1e-6)
        return self._counted(electrons(self._settings["current"] * binned, frame.dwell)), step * binning

    def _counted(self, rate: Tensor) -> np.ndarray:
        """Return the counts of expected electrons ``(1, ...)``, without the batch axis."""
        return expose(rate, self._detector, self._streams)[0].cpu().numpy()

    def _coefficients(self) -> Tensor:
        return torch.cat((actual(self._knobs)[:, : -len(_SHIFTS)], self._fixed), dim=1)  # (1, K)

    def _checked(self) -> Tensor:
        """Return the coefficients ``(1, K)`` [nm] after a warning where the probe overlaps itself."""
        coefficients = self._coefficients()
        check_field(coefficients[0].tolist(), self.names, self.optics, self._grid)
        return coefficients

    def _misaligned(self) -> tuple[CorrectorState, Tensor]:
        """Return the knobs, at zero, and the aberrations that none of them turns, ``(1, F)`` [nm]."""
        config, streams = self.config, self._streams
        offsets = [
            draw(config.offsets.get(name, 0.0), streams, split=config.split) for name in self.names
        ]  # (1,) each
        count, quarter = len(config.controls), self.optics.wavelength / (4e-3 * self.optics.aperture)  # [nm]
        sizes = [*quarter_wave_limits(tuple(config.controls), self.optics).tolist(), quarter, quarter]
        answers = {name: draw(getattr(config.knobs, name), streams, split=config.split) for name in _DRAWN}
        corrector = draw_corrector(
            streams,
            (*config.controls, *_SHIFTS),
            unit=sizes,
            gain=config.knobs.gain,
            coupling=config.knobs.coupling,
            rotation=math.radians(config.knobs.rotation),
            operators=config.knobs.operators,
            **answers,
        )
        zeros = [self._tensor([0.0])] * len(_SHIFTS)
        fixed = torch.stack(offsets[count:], 1) if offsets[count:] else self._tensor([[]])
        return rest(corrector, torch.stack([*offsets[:count], *zeros], 1)), fixed

    def _drawn(self, *names: str) -> dict[str, Tensor]:
        config = self.config
        return {name: draw(getattr(config, name), self._streams, split=config.split) for name in names}

    def _wait_until(self, time: float) -> None:
        """Let knobs and specimen drift up to a time of the session's clock [s]."""
        self._pass(max(time - self._clock, 0.0))

    def _pass(self, seconds: float, drift: Drift | None = None) -> None:
        """Let time pass for the knobs, and for the specimen unless its drift is known already."""
        self._drift = drift or wait(self._drift, self._tensor([seconds]), self._streams)
        self._knobs = command(self._knobs, torch.zeros_like(self._knobs.setting), seconds, self._streams)
        self._clock += seconds

    def _tensor(self, values: Any) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._streams.device)

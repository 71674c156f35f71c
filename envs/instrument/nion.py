"""Nion Swift's simulated microscope behind our protocol: a foreign instrument, flown as our own.

The simulator is its authors' (nionswift-usim, GPL-3, the extra ``nion``); it is imported here and only when
a `NionMicroscope` is made. Its cameras and scan run without Swift, without threads and without waiting
for the dwell times. Settings go by the names and in the SI units that real Nion microscopes use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from beamwright.envs.instrument.base import Instrument
from beamwright.envs.instrument.protocol import Frame, Limit
from beamwright.errors import MicroscopeError, MissingExtraError, did_you_mean

__all__ = ["NionMicroscope"]

_SPECIMENS = ("flake", "amorphous", "gold")
_BINNINGS = (1, 2, 4, 8)
_LIMITS = {
    "C10": Limit(-4000, 4000, "nm"),
    **{f"C12{part}": Limit(-1000, 1000, "nm") for part in "ab"},
    **{f"C2{fold}{part}": Limit(-2e4, 2e4, "nm") for fold in "13" for part in "ab"},
    "C30": Limit(-1e6, 1e6, "nm"),
    **{f"C3{fold}{part}": Limit(-1e6, 1e6, "nm") for fold in "24" for part in "ab"},
    "shift_y": Limit(-100, 100, "nm"),
    "shift_x": Limit(-100, 100, "nm"),
    "current": Limit(1, 1000, "pA"),
}
# The longer edge of the frame that a path is read from [px].
_PATH_PIXELS = 512


class NionMicroscope(Instrument):
    """Nion Swift's simulated STEM: Ronchigrams of a 100 kV, 40 mrad probe, and HAADF frames.

    What it can show and what it cannot, measured with version 5.4.2: the Ronchigram answers to all
    aberrations to third order, by geometrical optics; the HAADF image knows neither aberrations nor beam
    current, and its values are not electrons; it has no free scan path, so a path is read from one frame of
    the field; nothing drifts, settles or is damaged.

    Parameters
    ----------
    specimen
        ``flake``, ``amorphous`` or ``gold`` (balls on an amorphous film; its first frame takes seconds).
    field
        Height and width of the scanned field [nm].
    seed
        Of the Ronchigram's noise; the HAADF's is drawn by usim and cannot be seeded.
    dead_time
        Time that each exposure and each scan costs beside its dwell [s].

    Raises
    ------
    MissingExtraError
        If nionswift-usim is not installed.
    MicroscopeError
        If there is no such specimen, or the field is larger than the specimen.
    """

    def __init__(
        self,
        specimen: str = "flake",
        *,
        field: tuple[float, float] = (200.0, 200.0),
        seed: int = 0,
        dead_time: float = 0.01,
    ) -> None:
        if specimen not in _SPECIMENS:
            raise MicroscopeError(
                f'The simulator has no specimen "{specimen}".{did_you_mean(specimen, _SPECIMENS)} '
                f"Known: {', '.join(_SPECIMENS)}."
            )
        self._instrument, self._camera, self._scanner = _build(_SPECIMENS.index(specimen))
        stage = float(self._instrument.stage_size_nm)
        if max(field) > stage:
            raise MicroscopeError(
                f"A field of {field[0]:g} x {field[1]:g} nm is larger than the simulated specimen, which has "
                f"an edge of {stage:g} nm."
            )
        super().__init__(
            "Nion usim",
            _LIMITS,
            detectors=("haadf", "ronchigram"),
            field=field,
            dead_time=dead_time,
            settings={name: self._value(name) for name in _LIMITS},
        )
        self._rng = np.random.default_rng(seed)

    @property
    def aperture(self) -> float:
        """Semi-angle of the probe [mrad]."""
        return float(self._instrument.GetVal("ConvergenceAngle")) * 1e3

    @property
    def voltage(self) -> float:
        """Accelerating voltage [kV]."""
        return float(self._instrument.GetVal("EHT")) * 1e-3

    def _value(self, name: str) -> float:
        control, unit = _control(name)
        return float(self._instrument.GetVal(control)) / unit

    def _apply(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            control, unit = _control(name)
            if not self._instrument.SetVal(control, value * unit):
                raise MicroscopeError(f"The simulator does not know the control {control}, for {name}.")

    def _expose(self, frame: Frame) -> tuple[np.ndarray, float]:
        return self._ronchigram(frame) if frame.detector == "ronchigram" else self._haadf(frame)

    def _ronchigram(self, frame: Frame) -> tuple[np.ndarray, float]:
        from nion.utils import Geometry

        rows, columns = self._instrument.camera_sensor_dimensions("ronchigram")
        binning, pixel_size = self._binning(frame, (rows, columns))
        # The whole sensor is read and cut here: usim stretches the angles of a smaller readout area.
        data = self._camera.get_frame_data(
            Geometry.IntRect.from_tlbr(0, 0, rows, columns),
            Geometry.IntSize(binning, binning),
            frame.dwell * 1e-6,
            self._instrument.scan_context,
            None,
        ).data
        # It calibrates the counts by the number of binned pixels, but sums over each of them.
        electrons = np.asarray(data, dtype=np.float64) / (self._instrument.counts_per_electron * binning**2)
        return self._rng.poisson(_centre(electrons, frame.shape).clip(0)).astype(np.float32), pixel_size

    def _binning(self, frame: Frame, sensor: tuple[int, int]) -> tuple[int, float]:
        """Return the binning whose pixels are nearest in size, and their size [mrad]."""
        pixel = float(self._camera.get_dimensional_calibrations(None, None)[0].scale) * 1e3
        binning = min(_BINNINGS, key=lambda number: abs(math.log(frame.pixel_size / (pixel * number))))
        largest = sensor[0] // binning, sensor[1] // binning
        if frame.shape[0] > largest[0] or frame.shape[1] > largest[1]:
            raise MicroscopeError(
                f"The camera has {largest[0]} x {largest[1]} pixels of {pixel * binning:.3g} mrad; a frame "
                f"of {frame.shape[0]} x {frame.shape[1]} does not fit, take fewer or larger pixels."
            )
        return binning, pixel * binning

    def _haadf(self, frame: Frame) -> tuple[np.ndarray, float]:
        return self._scanned(frame.shape, frame.extent, frame.dwell), frame.pixel_size

    def _read(self, path: np.ndarray, dwell: np.ndarray) -> np.ndarray:
        step = max(self.field) / _PATH_PIXELS
        shape = tuple(max(1, round(edge / step)) for edge in self.field)
        image = self._scanned((shape[0], shape[1]), self.field, 1.0)
        place = (path / np.asarray(self.field) * shape).astype(int)
        rows, columns = np.minimum(place, np.array(shape) - 1).T
        return image[rows, columns] * dwell

    def _scanned(self, shape: tuple[int, int], extent: tuple[float, float], dwell: float) -> np.ndarray:
        from nion.device_kit import ScanDevice

        # usim takes the height of the field, and square pixels as our frames have.
        parameters = ScanDevice.ScanFrameParameters(pixel_size=shape, pixel_time_us=dwell, fov_nm=extent[0])
        return np.asarray(self._scanner.get_scan_data(parameters, 0), dtype=np.float32)


def _build(specimen: int) -> tuple[Any, Any, Any]:
    """Return usim's instrument, its Ronchigram camera and its scan device, none of which starts a thread."""
    try:
        from nion.usim_device import InstrumentDevice, RonchigramCameraSimulator, ScanDevice
        from nion.utils import Geometry
    except ModuleNotFoundError:
        raise MissingExtraError("The Nion microscope", "nion") from None
    instrument = InstrumentDevice.Instrument(
        "beamwright_usim",
        InstrumentDevice.ValueManager(),
        InstrumentDevice.AxisManager(),
        InstrumentDevice.ScanDataGenerator(sample_index=specimen),
    )
    sensor = Geometry.IntSize.make(instrument.camera_sensor_dimensions("ronchigram"))
    camera = RonchigramCameraSimulator.RonchigramCameraSimulator(
        instrument, sensor, instrument.counts_per_electron, instrument.stage_size_nm
    )
    camera.noise.enabled = False  # its variance is a hundredth of the counts, and it cannot be seeded
    return instrument, camera, ScanDevice.ScanModule(instrument).device


def _control(name: str) -> tuple[str, float]:
    """Return Nion's name of a control, and its SI unit in ours."""
    if name == "current":
        return "BeamCurrent", 1e-12
    if name.startswith("shift_"):
        return f"CSH.{name[-1]}", -1e-9  # it moves the beam, and ours the image
    axis = {"a": ".x", "b": ".y"}.get(name[-1], "")
    return name.rstrip("ab") + axis, 1e-9


def _centre(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    top, left = ((have - want) // 2 for have, want in zip(image.shape, shape, strict=True))
    return image[top : top + shape[0], left : left + shape[1]]

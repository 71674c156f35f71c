"""Recorded images in the place of a microscope: real data, without an instrument."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from beamwright.envs.instrument.base import Instrument
from beamwright.envs.instrument.protocol import DETECTORS, Frame, Limit
from beamwright.envs.instrument.recording import Recording
from beamwright.errors import MicroscopeError

__all__ = ["ReplayMicroscope"]

_UNITS = {"current": "pA", "tilt_y": "mrad", "tilt_x": "mrad"}


class ReplayMicroscope(Instrument):
    """A microscope that shows what another one has recorded.

    Settings choose the recording: the nearest one, each control measured by the range that was recorded.
    Several recordings under the same settings, a movie, are shown in turn. Frames and paths interpolate
    between recorded pixels; counts are in proportion to the dwell time.

    Parameters
    ----------
    recordings
        At least one. Those of the specimen plane must show fields of the same size.
    current
        Beam current of the recordings [pA]; it is fixed.
    noise
        Draw Poisson counts around the recorded ones. Without it a replay adds no noise to that of the record,
        and an experiment at a lower dose than recorded is too good to be true.
    seed
        Of the noise.
    dead_time
        Time that each exposure and each scan costs beside its dwell [s].
    name
        What reports call it.

    Raises
    ------
    MicroscopeError
        If there is no recording, they differ in their controls or fields, the current is not positive, or
        `noise` is wanted of negative counts.
    """

    def __init__(
        self,
        recordings: Sequence[Recording],
        *,
        current: float = 1.0,
        noise: bool = False,
        seed: int = 0,
        dead_time: float = 0.0,
        name: str = "replay",
    ) -> None:
        if not recordings:
            raise MicroscopeError("There is nothing to replay: give at least one recording.")
        if not 0 < current < math.inf:
            raise MicroscopeError(f"The current of the recordings must be positive, not {current:g} pA.")
        self.recordings = tuple(recordings)
        if noise:
            _check_counts(self.recordings)
        super().__init__(
            name,
            {**_recorded_limits(self.recordings), "current": Limit(current, current, "pA")},
            settings=self.recordings[0].settings,
            detectors=tuple(name for name in DETECTORS if any(name == item.detector for item in recordings)),
            field=_common_field(self.recordings),
            dead_time=dead_time,
        )
        self._rng = np.random.default_rng(seed) if noise else None
        self._shown: Counter[str] = Counter()

    @classmethod
    def from_files(
        cls,
        paths: str | Path | Sequence[str | Path],
        *,
        pixel_size: float | None = None,
        dwell: float = 1.0,
        current: float = 1.0,
        noise: bool = False,
        seed: int = 0,
    ) -> ReplayMicroscope:
        """Return a microscope that shows the images of files, frame after frame.

        Parameters
        ----------
        paths
            Files, folders or glob patterns, in any format that beamwright reads.
        pixel_size
            Edge of a pixel [nm], where the headers have none.
        dwell, current, noise, seed
            As in `Recording` and `ReplayMicroscope`.

        Raises
        ------
        DataError
            If a file cannot be read.
        MicroscopeError
            If a pixel size is neither in a header nor given.
        """
        from beamwright.data import scan_images

        recordings = []
        for file in scan_images(paths):
            size = pixel_size if pixel_size is not None else file.pixel_size
            if size is None:
                raise MicroscopeError(f"{file.name} has no pixel size in its header; give pixel_size [nm].")
            recordings += [Recording(np.array(image), size, dwell) for image in file.stream()]
        return cls(recordings, current=current, noise=noise, seed=seed)

    def _apply(self, values: Mapping[str, float]) -> None:
        pass  # the settings are looked at when an image is chosen

    def _expose(self, frame: Frame) -> tuple[np.ndarray, float]:
        recording = self._choose(frame.detector)
        margins = [(have - want) / 2 for have, want in zip(recording.extent, frame.extent, strict=True)]
        if min(margins) < -1e-6 * max(recording.extent):
            height, width = recording.extent
            raise MicroscopeError(
                f"A frame of {frame.extent[0]:g} x {frame.extent[1]:g} {DETECTORS[frame.detector]} is larger "
                f"than what was recorded, {height:g} x {width:g}; take fewer or smaller pixels."
            )
        axes = [
            margin + (np.arange(n) + 0.5) * frame.pixel_size
            for margin, n in zip(margins, frame.shape, strict=True)
        ]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)  # (H, W, 2)
        return self._count(recording.rate(points) * frame.dwell), frame.pixel_size

    def _read(self, path: np.ndarray, dwell: np.ndarray) -> np.ndarray:
        detector = next(name for name in ("haadf", "bright_field") if name in self.detectors)
        return self._count(self._choose(detector).rate(path) * dwell)

    def _choose(self, detector: str) -> Recording:
        """Return the recording nearest to the settings; of several such, the one whose turn it is."""
        candidates = [item for item in self.recordings if item.detector == detector]
        distances = np.array([self._distance(item) for item in candidates])
        nearest = np.flatnonzero(distances <= distances.min() + 1e-9)
        turn = self._shown[detector]
        self._shown[detector] += 1
        return candidates[nearest[turn % len(nearest)]]

    def _distance(self, recording: Recording) -> float:
        steps = [
            (self._settings[name] - value) / (self.limits[name].high - self.limits[name].low or 1)
            for name, value in recording.settings.items()
        ]
        return math.hypot(*steps)

    def _count(self, expected: np.ndarray) -> np.ndarray:
        return expected if self._rng is None else self._rng.poisson(expected).astype(np.float64)


def _recorded_limits(recordings: Sequence[Recording]) -> dict[str, Limit]:
    controls = list(recordings[0].settings)
    for item in recordings:
        if set(item.settings) != set(controls):
            raise MicroscopeError(
                "All recordings must have the same controls; these differ: "
                f"{sorted(controls)} and {sorted(item.settings)}."
            )
    values = {name: [float(item.settings[name]) for item in recordings] for name in controls}
    return {name: Limit(min(some), max(some), _UNITS.get(name, "nm")) for name, some in values.items()}


def _common_field(recordings: Sequence[Recording]) -> tuple[float, float]:
    """Return the field of the images of the specimen plane; of a session of Ronchigrams, a point's worth."""
    fields = [item.extent for item in recordings if DETECTORS[item.detector] == "nm"]
    if not fields:
        return (1.0, 1.0)
    for other in fields[1:]:
        if not np.allclose(other, fields[0], rtol=1e-6):
            raise MicroscopeError(
                f"Recordings must show fields of the same size: {fields[0][0]:g} x {fields[0][1]:g} and "
                f"{other[0]:g} x {other[1]:g} nm differ; crop the larger one."
            )
    return fields[0]


def _check_counts(recordings: Sequence[Recording]) -> None:
    lowest = min(float(np.min(item.image)) for item in recordings)
    if lowest < 0:
        raise MicroscopeError(
            f"Poisson noise needs counts that are not negative; the lowest recorded value is {lowest:g}. "
            "Subtract the detector's dark level, or replay with noise=False."
        )

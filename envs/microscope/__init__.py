"""The simulated microscope: batched torch, pure functions over a leading batch axis.

Lengths [nm], angles [mrad], voltage [kV], phases [rad]; axes (y, x); aberrations in Krivanek's notation.
"""

from beamwright.envs.microscope.aberrations import (
    ABERRATIONS,
    Aberration,
    aberration_phase,
    edge_phase,
    phase_basis,
    up_to_order,
)
from beamwright.envs.microscope.budget import Budget
from beamwright.envs.microscope.corrector import (
    Corrector,
    CorrectorState,
    actual,
    command,
    draw_corrector,
    ideal_corrector,
    rest,
)
from beamwright.envs.microscope.criteria import (
    magnitudes,
    phase_error,
    quarter_wave_limits,
    scherzer_defocus,
    strehl_ratio,
    within_quarter_wave,
)
from beamwright.envs.microscope.detector import Detector, expose, expose_frame, expose_scan
from beamwright.envs.microscope.drift import Drift, draw_drift, drift_path, follow_drift
from beamwright.envs.microscope.grid import Grid
from beamwright.envs.microscope.imaging import bright_field, haadf, hrtem, secondary_electron, weak_phase
from beamwright.envs.microscope.paths import PATTERNS
from beamwright.envs.microscope.physics import Optics, electrons, interaction_constant, wavelength
from beamwright.envs.microscope.points import sample, splat
from beamwright.envs.microscope.probe import probe_amplitude, probe_intensity, probe_transfer
from beamwright.envs.microscope.ronchigram import ronchigram
from beamwright.envs.microscope.scanning import Beam, ScanEngine, Trace, trace
from beamwright.envs.microscope.segments import EDE_2020, SegmentScan
from beamwright.envs.microscope.transfer import contrast_transfer, phase_transfer, pupil, thon_rings
from beamwright.envs.microscope.validity import check_field

__all__ = [
    "ABERRATIONS",
    "EDE_2020",
    "PATTERNS",
    "Aberration",
    "Beam",
    "Budget",
    "Corrector",
    "CorrectorState",
    "Detector",
    "Drift",
    "Grid",
    "Optics",
    "ScanEngine",
    "SegmentScan",
    "Trace",
    "aberration_phase",
    "actual",
    "bright_field",
    "check_field",
    "command",
    "contrast_transfer",
    "draw_corrector",
    "draw_drift",
    "drift_path",
    "edge_phase",
    "electrons",
    "expose",
    "expose_frame",
    "expose_scan",
    "follow_drift",
    "haadf",
    "hrtem",
    "ideal_corrector",
    "interaction_constant",
    "magnitudes",
    "phase_basis",
    "phase_error",
    "phase_transfer",
    "probe_amplitude",
    "probe_intensity",
    "probe_transfer",
    "pupil",
    "quarter_wave_limits",
    "rest",
    "ronchigram",
    "sample",
    "scherzer_defocus",
    "secondary_electron",
    "splat",
    "strehl_ratio",
    "thon_rings",
    "trace",
    "up_to_order",
    "wavelength",
    "weak_phase",
    "within_quarter_wave",
]

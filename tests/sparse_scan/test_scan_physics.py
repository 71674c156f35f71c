import dataclasses
import math

import pytest
import torch

from beamwright.envs.core import Streams, load_config
from beamwright.envs.instrument.protocol import ELECTRONS_PER_PA_US
from beamwright.envs.microscope.scanning import deflect
from beamwright.envs.sparse_scan import (
    SparseScanConfig,
    SparseScanSimulation,
    SparseScanTilesConfig,
    SparseScanTilesSimulation,
)
from beamwright.envs.sparse_scan.physics import fly
from beamwright.envs.sparse_scan.presets import PRESETS, TILE_PRESETS

FEW = {"specimen": {"pool": 8}, "pixel_size": 0.5}
CLEAN = {"poisson": False}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def simulation(**overrides):
    return SparseScanSimulation(load_config(SparseScanConfig, PRESETS, "small", {**FEW, **overrides}))


def tiles(**overrides):
    return SparseScanTilesSimulation(
        load_config(SparseScanTilesConfig, TILE_PRESETS, None, {**FEW, "shape": (32, 32), **overrides})
    )


def begin(made, count=4, seed=0):
    streams = Streams.from_seed(seed, count)
    return made.initial(streams), streams


def flown(made, state, streams, action=0):
    plan = made.moves.plan(state, torch.full((len(state.steps),), action))
    return plan, fly(state, plan, made.scan_config, streams, None)


def signals(scan):
    """What was measured in the pixels that were visited, (B, N)."""
    seen = scan.state.dose > 0
    values = scan.state.counts / scan.state.dose.clamp_min(1e-9)
    return values[seen].view(len(seen), -1)


def test_without_faults_the_signal_is_that_of_the_specimen():
    made = simulation(effects=CLEAN)
    state, streams = begin(made)
    plan, scan = flown(made, state, streams, 3)
    row, column = (plan.path + 0.5).floor().long().unbind(-1)
    assert torch.allclose(scan.places, plan.path, atol=1e-3)
    expected = torch.stack([image[y, x] for image, y, x in zip(state.specimen, row, column, strict=True)])
    along = made.moves.plan(state, torch.zeros(4, dtype=torch.int64))  # along x: exactly on pixels
    _, straight = flown(made, state, streams, 0)
    y, x = along.path.long().unbind(-1)
    exact = torch.stack([image[i, j] for image, i, j in zip(state.specimen, y, x, strict=True)])
    assert torch.allclose(signals(straight), exact, atol=1e-5)
    assert expected.shape == exact.shape


def test_counts_have_the_mean_and_the_variance_of_the_electrons():
    electrons = 12.0
    made = simulation(current=electrons / (10 * ELECTRONS_PER_PA_US), effects={"efficiency": 0.5})
    state, streams = begin(made, 4000)
    state = dataclasses.replace(state, specimen=torch.full_like(state.specimen, 0.6))
    _, scan = flown(made, state, streams)
    counts = signals(scan) * electrons * 0.5
    assert float(counts.mean()) == pytest.approx(3.6, rel=0.02)
    assert float(counts.var()) == pytest.approx(3.6, rel=0.03)


def test_readout_noise_is_added_to_the_counts_of_the_detector():
    made = simulation(effects={**CLEAN, "readout": 5.0, "gain": 2.0}, current=1.0)
    state, streams = begin(made, 2000)
    state = dataclasses.replace(state, specimen=torch.full_like(state.specimen, 0.5))
    _, scan = flown(made, state, streams)
    electrons = 10 * ELECTRONS_PER_PA_US
    assert float(signals(scan).mean()) == pytest.approx(0.5, abs=0.01)
    assert float(signals(scan).std()) == pytest.approx(5 / (2 * electrons), rel=0.05)


def test_the_deflectors_lag_as_their_formula_says_and_the_counts_stay_where_they_were_meant():
    made = simulation(effects={**CLEAN, "lag": 15.0})
    state, streams = begin(made)
    plan, scan = flown(made, state, streams)
    expected, _ = deflect(plan.path, 10.0, 15.0, start=state.position)
    assert torch.allclose(scan.places, expected, atol=1e-3)
    assert float((plan.path - scan.places)[:, -1, 1].min()) > 1.0
    index = plan.path.long()
    assert (scan.state.dose[:, index[0, :, 0], index[0, :, 1]] > 0).all()


def test_the_specimen_drifts_on_the_clock_of_the_scan():
    speed = 1e5  # [nm/s], 0.5 nm a pixel: 2 px in 10 us
    made = simulation(effects={**CLEAN, "drift": speed})
    state, streams = begin(made)
    plan, scan = flown(made, state, streams)
    shift = (plan.path - scan.places).norm(dim=-1)  # (B, N) [px]
    middle = (torch.arange(8) + 0.5) * 10e-6
    assert torch.allclose(shift, (middle * speed / 0.5).expand(4, -1), rtol=1e-3)
    _, later = flown(made, scan.state, streams)
    assert torch.allclose((plan.path - later.places).norm(dim=-1)[:, 0] > shift[:, -1], torch.tensor(True))


def test_mass_is_lost_with_the_dose_that_was_there_before():
    made = simulation(effects={**CLEAN, "damage_dose": 1000.0, "damage_residue": 0.2}, current=2.0)
    state, streams = begin(made)
    state = dataclasses.replace(state, specimen=torch.full_like(state.specimen, 0.5))
    _, first = flown(made, state, streams)
    assert torch.allclose(signals(first), torch.full((4, 8), 0.5))
    _, second = flown(made, dataclasses.replace(first.state, position=state.position), streams)
    dose = 20 * ELECTRONS_PER_PA_US / 0.5**2
    left = 0.5 * (0.2 + 0.8 * math.exp(-dose / 1000))
    assert torch.allclose(signals(second), torch.full((4, 8), (0.5 + left) / 2), rtol=1e-4)


def test_carbon_adds_signal_where_dose_went():
    made = simulation(effects={**CLEAN, "contamination": 0.3, "contamination_dose": 500.0}, current=2.0)
    state, streams = begin(made)
    state = dataclasses.replace(state, specimen=torch.zeros_like(state.specimen))
    _, first = flown(made, state, streams)
    _, second = flown(made, dataclasses.replace(first.state, position=state.position), streams)
    dose = 20 * ELECTRONS_PER_PA_US / 0.5**2
    assert torch.allclose(signals(second), torch.full((4, 8), 0.15 * (1 - math.exp(-dose / 500))), rtol=1e-4)


def test_hum_and_jitter_move_the_beam_and_nothing_else():
    for effects in ({"hum": 1.0}, {"line_jitter": 1.0}):
        made = simulation(effects={**CLEAN, **effects})
        state, streams = begin(made, 256)
        plan, scan = flown(made, state, streams)
        shift = (plan.path - scan.places) * 0.5  # [nm]
        assert 0.3 < float(shift.norm(dim=-1).mean()) < 1.2
        assert torch.allclose(shift, shift[:, :1].expand_as(shift), atol=0.05)  # 80 us are short for 50 Hz


def test_the_probe_blurs_what_is_to_be_found():
    sharp, soft = (begin(simulation(effects={**CLEAN, "blur": blur}))[0] for blur in (0.0, 1.0))
    assert float(soft.specimen.var()) < float(sharp.specimen.var())


def test_electrons_and_seconds_are_what_was_dwelt_and_flown_back():
    made = tiles(survey=None, effects={**CLEAN, "flyback": 30.0}, current=3.0)
    state, streams = begin(made)
    state, _ = made.advance(state, torch.tensor([0, 1, 2, 3]), streams)
    assert made.info(state)["seconds"].tolist() == pytest.approx([(64 * 10 + 8 * 30) * 1e-6] * 4, rel=1e-5)
    assert made.info(state)["electrons"].tolist() == pytest.approx([64 * 10 * 3 * ELECTRONS_PER_PA_US] * 4)
    assert state.dose.sum((1, 2)).tolist() == pytest.approx(made.info(state)["electrons"].tolist())


@pytest.mark.parametrize("limit", ["electrons", "seconds"])
def test_the_last_segment_is_cut_where_the_budget_ends(limit):
    cost = {"electrons": 10 * ELECTRONS_PER_PA_US, "seconds": 10e-6}[limit]
    made = simulation(current=1.0, budget={"coverage": None, limit: 19 * cost})
    state, streams = begin(made)
    points = []
    for action in (0, 4, 8):
        state, outcome = made.advance(state, torch.full((4,), action), streams)
        points.append(int(state.points[0]))
        assert bool(outcome.terminated.all()) is (action == 8)
    assert points == [8, 16, 19]


def test_stopping_costs_nothing():
    made = tiles(effects={"flyback": 30.0}, tiles={"stop": True})
    state, streams = begin(made)
    after, outcome = made.advance(state, torch.full((4,), 16), streams)
    assert outcome.terminated.all()
    assert (after.budget.spent_seconds == state.budget.spent_seconds).all()
    assert (after.budget.spent_electrons == state.budget.spent_electrons).all()
    assert torch.equal(after.dose, state.dose)
    assert torch.allclose(outcome.reward, torch.zeros(4), atol=1e-6)


def test_a_survey_is_paid_for_and_covers_the_field():
    made = tiles(survey={"pattern": "grid", "coverage": 0.0625, "dwell": 5.0}, effects=CLEAN)
    state, _ = begin(made)
    assert state.points.tolist() == [64] * 4
    visited = state.dose[0] > 0
    assert visited.view(8, 4, 8, 4).any(3).any(1).all()
    assert made.info(state)["electrons"].tolist() == pytest.approx([64 * 5 * 20 * ELECTRONS_PER_PA_US] * 4)


def test_everything_scanned_without_faults_is_everything_known():
    made = tiles(
        survey=None, effects=CLEAN, budget={"coverage": 1.0}, tiles={"shape": (8, 16), "serpentine": True}
    )
    state, streams = begin(made)
    for tile in range(8):
        state, outcome = made.advance(state, torch.full((4,), tile), streams)
    assert outcome.terminated.all()
    assert torch.allclose(state.counts / state.dose, state.specimen, atol=1e-5)
    assert float(made.info(state)["psnr"].min()) > 80

import math

import pytest
import torch

from beamwright.envs.core import Streams, load_config, map_tensors
from beamwright.envs.instrument.protocol import ELECTRONS_PER_PA_US
from beamwright.envs.microscope.damage import removal_probability
from beamwright.envs.microscope.imaging import secondary_electron
from beamwright.envs.microscope.points import sample, to_pixels
from beamwright.envs.microscope.specimens import keep_atoms
from beamwright.envs.sparse_scan import SparseScanConfig, SparseScanEnv, SparseScanSimulation
from beamwright.envs.sparse_scan.hidden import look
from beamwright.envs.sparse_scan.physics import fly
from beamwright.envs.sparse_scan.presets import PRESETS
from beamwright.envs.sparse_scan.survey import path_plan
from beamwright.errors import MicroscopeError
from beamwright.testing.environments import check_environment

ATOMS = {"classes": ("random_atoms",), "pool": 16}
CLEAN = {"poisson": False}
SIZE = 0.04  # [nm]
DOSE = 20 * 10 * ELECTRONS_PER_PA_US / SIZE**2  # of a pixel that was visited once [e-/nm^2]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def simulation(**overrides):
    few = {"specimen": ATOMS, "pixel_size": SIZE, "budget": {"coverage": 3.0}}
    return SparseScanSimulation(load_config(SparseScanConfig, PRESETS, "small", {**few, **overrides}))


def begin(made, count=8, seed=0):
    streams = Streams.from_seed(seed, count)
    return made.initial(streams), streams


def scan_half(made, state, streams):
    """Visit every pixel of the upper half once."""
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(32.0), indexing="ij")
    plan = path_plan(torch.stack((rows, columns), -1).view(1, -1, 2), state, 10.0)
    return fly(state, plan, made.scan_config, streams, None)


def test_atoms_under_the_dose_leave_at_the_rate_of_the_formula():
    critical = 1.5 * DOSE
    made = simulation(effects={**CLEAN, "knock_on_dose": critical})
    state, streams = begin(made, 400)
    atoms = state.atoms
    row = to_pixels(atoms.specimen.positions, SIZE)[..., 0]
    under, far = atoms.present & (row > 0) & (row < 14), atoms.present & (row > 17)
    for exposure in (1, 2):  # the second one alone decides about those that the first one left
        before = int((under & state.atoms.present).sum())
        state = scan_half(made, state, streams).state
        gone = before - int((under & state.atoms.present).sum())
        expected = float(removal_probability(torch.tensor([DOSE]), critical))
        assert expected == pytest.approx(1 - math.exp(-1 / 1.5))
        spread = math.sqrt(before * expected * (1 - expected))
        assert before > 1000 / exposure**2
        assert abs(gone - before * expected) < 4 * spread
    assert (state.atoms.present == atoms.present)[far].all()


def test_what_left_is_dark_and_what_stayed_is_as_bright_as_before():
    made = simulation(effects={**CLEAN, "knock_on_dose": 1e-3})
    state, streams = begin(made)
    first = scan_half(made, state, streams)
    measured = first.state.counts[:, :16] / first.state.dose[:, :16]
    assert torch.allclose(measured, state.specimen[:, :16], atol=1e-5)  # harm comes after the count
    left, fresh = first.state.atoms, state.atoms
    where = to_pixels(fresh.specimen.positions, SIZE)
    gone = fresh.present & ~left.present
    assert gone.any()
    assert left.present.any()
    before, after = sample(state.specimen, where), sample(left.signal, where)
    assert (after < before)[gone & (where[..., 0] > 0)].all()
    assert torch.allclose(left.signal[:, 26:], state.specimen[:, 26:], atol=1e-5)
    assert float(left.signal[:, :12].max()) < float(state.specimen[:, :12].max())
    assert torch.equal(first.state.specimen, state.specimen)  # what is to be found is the fresh one


@pytest.mark.parametrize("imaging", ["haadf", "secondary_electron"])
def test_after_many_exposures_the_signal_is_that_of_the_atoms_that_are_left(imaging):
    made = simulation(imaging=imaging, effects={**CLEAN, "knock_on_dose": 3 * DOSE, "blur": 0.03})
    state, streams = begin(made)
    fresh = state.atoms
    for _ in range(3):
        state = scan_half(made, state, streams).state
    left = state.atoms
    assert (fresh.present != left.present).any(1).all()
    expected = look(keep_atoms(fresh.specimen, left.present, phase=False), fresh.view)
    assert torch.allclose(left.signal, expected, atol=1e-4)


def test_a_scan_leaves_the_state_before_it_as_it_was():
    made = simulation(effects={"knock_on_dose": DOSE})
    state, streams = begin(made)
    kept = map_tensors(torch.clone, state)
    scan_half(made, state, streams)
    assert torch.equal(kept.atoms.present, state.atoms.present)
    assert torch.equal(kept.atoms.signal, state.atoms.signal)


def test_atoms_leave_independently_of_the_neighbours_in_the_batch():
    made = simulation(effects={"knock_on_dose": [0.5 * DOSE, 2 * DOSE], "blur": 0.05})
    state, streams = begin(made, 6)
    alone, own = made.initial(taken := Streams.from_seed(4, 1)), taken
    many, one = scan_half(made, state, streams).state, scan_half(made, alone, own).state
    assert torch.equal(many.atoms.present[4:5], one.atoms.present)
    assert torch.allclose(many.atoms.signal[4:5], one.atoms.signal, atol=1e-5)
    assert torch.allclose(many.counts[4:5], one.counts, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("imaging", ["haadf", "secondary_electron"])
def test_without_dose_enough_nothing_changes(imaging):
    off, on = (
        simulation(imaging=imaging, effects={"knock_on_dose": critical, "blur": [0.02, 0.05]})
        for critical in (None, 1e30)
    )
    (state, streams), (other, others) = begin(off), begin(on)
    assert state.atoms is None
    assert torch.equal(other.atoms.signal, state.specimen)
    state, other = scan_half(off, state, streams).state, scan_half(on, other, others).state
    assert torch.equal(other.atoms.signal, other.specimen)
    assert torch.equal(state.specimen, other.specimen)
    assert torch.equal(state.counts, other.counts)


def test_specimens_without_atoms_have_none_to_lose():
    made = simulation(specimen={"classes": ("porous",), "pool": 4}, effects={"knock_on_dose": 1.0})
    state, streams = begin(made)
    assert state.atoms is None
    assert scan_half(made, state, streams).state.atoms is None


def test_environments_that_lose_atoms_conform():
    check_environment(
        "beamwright/SparseScan-v0",
        "small",
        overrides={
            "specimen": {"classes": ("random_atoms", "particle_cluster"), "pool": 8},
            "imaging": "secondary_electron",
            "effects": {"knock_on_dose": [1e5, 1e7], "drift": 1.0},
        },
    )


def test_secondary_electrons_show_the_specimen_as_a_surface():
    override = {"specimen": {"classes": ("particle_cluster",), "pool": 8}, "pixel_size": 0.5}
    dark, bright = (
        begin(simulation(imaging=imaging, effects=CLEAN, **override))[0].specimen
        for imaging in ("haadf", "secondary_electron")
    )
    assert torch.allclose(bright.amax((1, 2)), torch.ones(8))
    assert float(bright.min()) >= 0
    height = dark * (0.5 * 32 / 8)  # [nm]
    surface = secondary_electron(height, torch.ones(1, 32, 17), pixel_size=0.5)
    inner = (slice(None), slice(1, -1), slice(1, -1))
    flat, expected = bright[inner].flatten(1), surface[inner].flatten(1)
    assert torch.corrcoef(torch.stack((flat.flatten(), expected.flatten())))[0, 1] > 0.9
    empty = torch.nn.functional.max_pool2d(dark, 5, 1, 2) < 0.1
    assert float(bright[empty].min()) > 0.05  # a flat support gives secondary electrons too


def test_atoms_that_leave_leave_the_surface_too():
    made = simulation(imaging="secondary_electron", effects={**CLEAN, "knock_on_dose": 1e-3})
    state, streams = begin(made)
    left = scan_half(made, state, streams).state.atoms.signal
    assert float(left[:, 2:12].var((1, 2)).sum()) < 0.5 * float(state.specimen[:, 2:12].var((1, 2)).sum())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"effects": {"knock_on_dose": 0}}, "knock_on_dose must be above 0"),
        ({"effects": {"knock_on_dose": -1}}, "knock_on_dose = -1 must not be negative"),
        (
            {"imaging": "secondary_electron", "effects": {"damage_dose": 1e4}},
            "no mass loss and no contamination, .* set effects.damage_dose to null",
        ),
        ({"imaging": "secondary_electron", "effects": {"contamination": 0.1}}, "effects.contamination to 0"),
        ({"imaging": "tertiary"}, "imaging"),
    ],
)
def test_impossible_settings_are_refused(overrides, message):
    with pytest.raises(MicroscopeError, match=message):
        SparseScanEnv(preset="small", **overrides)

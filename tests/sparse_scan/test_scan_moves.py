import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.envs.core import Streams, load_config
from beamwright.envs.microscope.points import coverage
from beamwright.envs.microscope.segments import EDE_2020, as_chain
from beamwright.envs.sparse_scan import (
    SparseScanConfig,
    SparseScanSimulation,
    SparseScanTilesConfig,
    SparseScanTilesSimulation,
)
from beamwright.envs.sparse_scan.presets import PRESETS, TILE_PRESETS

FEW = {"specimen": {"pool": 8}}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def simulation(preset="small", **overrides):
    return SparseScanSimulation(load_config(SparseScanConfig, PRESETS, preset, {**FEW, **overrides}))


def begin(made, count=4, seed=0):
    streams = Streams.from_seed(seed, count)
    return made.initial(streams), streams


def at(state, place):
    import dataclasses

    position = torch.tensor([place], dtype=torch.float32).expand(len(state.position), 2)
    return dataclasses.replace(state, position=position)


SMALL = simulation()
SMALL_STATE, _ = begin(SMALL, 1)


@settings(max_examples=40, deadline=None)
@given(y=st.floats(0, 31, width=32), x=st.floats(0, 31, width=32))
def test_what_the_mask_allows_is_flown_whole_and_something_always_is(y, x):
    state = at(SMALL_STATE, (y, x))
    allowed = SMALL.moves.mask(state)[0]
    assert allowed.any()
    for action in range(len(allowed)):
        plan = SMALL.moves.plan(state, torch.tensor([action]))
        assert bool(plan.left) is not bool(allowed[action])
        assert bool(plan.wanted.all()) is bool(allowed[action])
        assert ((plan.path > -1e-3) & (plan.path < 31 + 1e-3)).all()
        assert ((plan.position >= 0) & (plan.position <= 31)).all()


def test_a_segment_that_would_leave_is_cut_at_the_edge_and_measures_at_least_one_point():
    state = at(SMALL_STATE, (5.0, 28.0))
    plan = SMALL.moves.plan(state, torch.tensor([0]))  # along x
    assert int(plan.wanted.sum()) == 3
    assert plan.position.tolist() == [[5.0, 31.0]]
    edge = SMALL.moves.plan(at(SMALL_STATE, (5.0, 31.0)), torch.tensor([0]))
    assert int(edge.wanted.sum()) == 1
    assert edge.position.tolist() == [[5.0, 31.0]]


def test_segments_join_without_measuring_a_point_twice():
    made = simulation()
    state, streams = begin(made, 1)
    first = made.moves.plan(state, torch.tensor([0]))
    state, _ = made.advance(state, torch.tensor([0]), streams)
    second = made.moves.plan(state, torch.tensor([0]))
    assert torch.allclose(second.path[:, 0] - first.path[:, -1], torch.tensor([[0.0, 1.0]]))


def test_discrete_actions_are_headings_times_lengths_times_dwells_and_stop():
    made = simulation("choices", action={"levels": 2})
    state, _ = begin(made, 1)
    assert made.action_space.n == 2 * 2 * 32 + 1
    points = [int(made.moves.plan(state, torch.tensor([a])).wanted.sum()) for a in (0, 32, 64, 96, 128)]
    dwells = [float(made.moves.plan(state, torch.tensor([a])).dwell) for a in (0, 32, 64, 96)]
    assert points == [5, 24, 5, 24, 0]
    assert dwells == pytest.approx([5, 5, 40, 40])
    headings = [float(made.moves.plan(state, torch.tensor([a])).heading) for a in (0, 8, 16)]
    assert headings == pytest.approx([0, math.pi / 2, math.pi])


def test_continuous_actions_are_direction_length_dwell_and_stop():
    made = simulation("continuous", action={"dwell": (1.0, 100.0)})
    state, _ = begin(made, 1)
    plan = made.moves.plan(state, torch.tensor([[0.3, 0.0, 1.0, 0.0, -1.0]]))
    assert float(plan.heading) == pytest.approx(math.pi / 2)
    assert int(plan.wanted.sum()) == 24
    assert float(plan.dwell) == pytest.approx(10.0, rel=1e-4)
    assert not bool(plan.stop)
    stopped = made.moves.plan(state, torch.tensor([[0.3, 0.0, -1.0, -1.0, 0.5]]))
    assert bool(stopped.stop)
    assert not stopped.wanted.any()
    assert stopped.position.tolist() == state.position.tolist()


def test_ede_2020_measures_400_of_9216_pixels_in_20_segments():
    made = simulation("ede-2020")
    start, headings = as_chain("spiral", EDE_2020)  # never crosses itself
    state, streams = begin(made, 2)
    state = at(state, start[0].tolist())
    for step, heading in enumerate(headings[0]):
        action = torch.stack((heading.sin(), heading.cos())).expand(2, 2)
        state, outcome = made.advance(state, action, streams)
        assert bool(outcome.terminated.all()) is (step == 19)
        assert not outcome.truncated.any()
    info = made.info(state)
    assert info["points"].tolist() == [400, 400]
    assert info["coverage"].tolist() == pytest.approx([400 / 9216] * 2)
    assert info["coverage"][0] == pytest.approx(EDE_2020.coverage)
    assert f"{EDE_2020.coverage:.2%}" == "4.34%"
    budget = state.budget
    assert torch.allclose(budget.spent_electrons, budget.electrons)


def test_an_ede_segment_lies_in_20_pixels_whatever_its_heading():
    made = simulation("ede-2020")
    state, _ = begin(made, 720)
    angle = torch.arange(720) * math.pi / 360
    plan = made.moves.plan(state, torch.stack((angle.sin(), angle.cos()), 1))
    assert not plan.left.any()
    assert torch.allclose(coverage(plan.path, (96, 96)), torch.tensor(20 / 9216))


def test_tiles_cover_the_field_once():
    config = load_config(
        SparseScanTilesConfig, TILE_PRESETS, None, {**FEW, "shape": (16, 32), "tiles": {"shape": (4, 8)}}
    )
    made = SparseScanTilesSimulation(config)
    state, _ = begin(made, 16)
    plan = made.moves.plan(state, torch.arange(16))
    index = (plan.path[..., 0] * 32 + plan.path[..., 1]).flatten().long()
    assert sorted(index.tolist()) == list(range(16 * 32))
    assert plan.lines.tolist() == [0] * 8 + [1] * 8 + [2] * 8 + [3] * 8


def test_scanned_tiles_are_masked_until_all_are_scanned():
    config = load_config(
        SparseScanTilesConfig,
        TILE_PRESETS,
        None,
        {
            **FEW,
            "shape": (16, 16),
            "tiles": {"shape": (8, 8), "stop": True},
            "budget": {"coverage": 2.0},
            "survey": None,
        },
    )
    made = SparseScanTilesSimulation(config)
    state, streams = begin(made, 1)
    for tile in range(4):
        assert made.moves.mask(state)[0].tolist() == [other >= tile for other in range(4)] + [True]
        state, outcome = made.advance(state, torch.tensor([tile]), streams)
        assert not outcome.terminated
    assert made.moves.mask(state)[0].tolist() == [True] * 5
    state, outcome = made.advance(state, torch.tensor([4]), streams)
    assert outcome.terminated
    assert state.visited.all()

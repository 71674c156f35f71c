import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from beamwright.envs.instrument import Recording, ReplayMicroscope
from beamwright.envs.sparse_scan import (
    NUMBERS,
    SparseScanEnv,
    SparseScanTilesEnv,
    SparseScanTilesVectorEnv,
    SparseScanVectorEnv,
)
from beamwright.errors import MicroscopeError
from beamwright.testing.environments import check_environment

FEW = {"specimen": {"pool": 8}}
CONTINUOUS = {"kind": "continuous", "points": (5, 12), "dwell": (2.0, 20.0), "stop": True}
LIGHT = {"afterglow": 0.1, "efficiency": [0.1, 0.5]}
SCAN, TILES = "beamwright/SparseScan-v0", "beamwright/SparseScanTiles-v0"


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("name", "preset", "overrides"),
    [
        (SCAN, "small", {"action": CONTINUOUS, "observation": {"pool": 2}, "reward": {"per_cost": True}}),
        (SCAN, "noisy", {"shape": (48, 32), "action": {"points": 8, "start": "random"}, "effects": LIGHT}),
        (TILES, "noisy", {"survey": {"pattern": "halton"}, "observation": {"kind": "vector"}}),
    ],
)
def test_combinations_that_no_preset_has_conform(name, preset, overrides):
    check_environment(name, preset, overrides={**FEW, **overrides})


def test_the_synchronous_vector_environment_gives_the_same_episodes():
    make = lambda: SparseScanEnv(preset="small", **FEW)  # noqa: E731
    slow = SyncVectorEnv([make] * 2, autoreset_mode=AutoresetMode.NEXT_STEP)
    fast = SparseScanVectorEnv(2, preset="small", **FEW)
    first, second = slow.reset(seed=0)[0], fast.reset(seed=0)[0]
    fast.action_space.seed(2)
    for _ in range(40):  # over several episodes
        assert_close(first, second)
        action = fast.action_space.sample()
        first, *slow_results, _ = slow.step(action)
        second, *fast_results, _ = fast.step(action)
        for one, other in zip(slow_results, fast_results, strict=True):
            assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("name", ["beamwright/SparseScan-v0", "beamwright/SparseScanTiles-v0"])
def test_the_environments_are_registered(name):
    import beamwright.envs  # noqa: F401

    env = gymnasium.make(name, disable_env_checker=True, **FEW)
    envs = gymnasium.make_vec(name, num_envs=2, **FEW)
    assert isinstance(env.unwrapped, (SparseScanEnv, SparseScanTilesEnv))
    assert isinstance(envs.unwrapped, (SparseScanVectorEnv, SparseScanTilesVectorEnv))


def test_an_episode_of_many_steps_is_truncated_and_not_terminated():
    env = SparseScanEnv(preset="small", max_steps=3, **FEW)
    env.reset(seed=0)
    ends = [env.step(0)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def test_the_greedy_scores_find_the_unknown_and_are_zero_where_the_mask_is():
    env = SparseScanEnv(preset="small", **FEW)
    seen, _ = env.reset(seed=0)
    for _ in range(4):
        assert seen["scores"].max() == pytest.approx(1)
        assert (seen["scores"][seen["action_mask"] == 0] == 0).all()
        before = env.state
        best = int(seen["scores"].argmax())
        seen, *_ = env.step(best)
        back = (best + 8) % 16
        assert env.simulation.scores(env.state)[0, back] < 0.9  # where it came from is known
        assert before.steps != env.state.steps


def test_a_vector_is_laid_out_as_it_says():
    env, same = (
        SparseScanEnv(preset="small", observation={"kind": kind}, **FEW) for kind in ("vector", "maps")
    )
    vector, maps = env.reset(seed=0)[0], same.reset(seed=0)[0]
    env.step(3), same.step(3)
    vector, maps = env.step(9)[0], same.step(9)[0]
    layout = env.simulation.observer.layout
    assert list(layout)[: len(NUMBERS)] == list(NUMBERS)
    assert max(part.stop for part in layout.values()) == vector.size
    assert vector[layout["coverage"]] == pytest.approx(maps["numbers"][NUMBERS.index("coverage")])
    assert vector[layout["scores"]] == pytest.approx(maps["scores"])
    assert vector[layout["action_mask"]].tolist() == maps["action_mask"].tolist()
    made = maps["maps"][3].reshape(8, 4, 8, 4).mean((1, 3))
    assert vector[layout["reconstruction"]].reshape(8, 8) == pytest.approx(made, abs=1e-5)


def test_pooled_maps_show_the_mean_of_what_was_measured():
    env = SparseScanEnv(preset="small", observation={"pool": 4, "maps": ("measured", "mask")}, **FEW)
    env.reset(seed=0)
    seen = env.step(0)[0]["maps"]
    state = env.state
    values = (state.counts.sum() / state.dose.sum()).item()
    weights = state.dose.view(8, 4, 8, 4).sum((1, 3))
    assert float((torch.tensor(seen[0]) * weights).sum() / weights.sum()) == pytest.approx(values, abs=1e-5)
    assert seen[1].sum() * 16 == pytest.approx(8)


def test_a_path_in_the_options_is_measured_first():
    env = SparseScanEnv(preset="small", effects={"poisson": False}, **FEW)
    path = [(4.0, float(x)) for x in range(10, 20)]
    seen, info = env.reset(seed=0, options={"path": path})
    assert info["points"] == 10
    assert seen["maps"][1].sum() == 10
    assert (seen["maps"][1][4, 10:20] == 1).all()
    assert env.state.position.tolist() == [[4.0, 19.0]]
    vector = SparseScanVectorEnv(3, preset="small", effects={"poisson": False}, **FEW)
    batch, infos = vector.reset(seed=0, options={"path": path})
    assert infos["points"].tolist() == [10, 10, 10]
    assert_close(_row(batch, 0), seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"path": [(0.0, 0.0), (0.0, 31.5)]},
            r"A path must stay in the field, 0 to 31 .* first at \(0, 31.5\)",
        ),
        ({"path": [(-1.0, 0.0)]}, "A path must stay in the field"),
        ({"path": [(float("nan"), 0.0)]}, "A path must stay in the field"),
        ({"path": [1.0, 2.0]}, r"A path is a list of points \(y, x\) \[px\], of shape \(N, 2\)"),
        ({"pth": []}, 'reset\\(\\) knows no option "pth". Did you mean "path"'),
    ],
)
def test_a_bad_option_is_refused(options, message):
    env = SparseScanEnv(preset="small", **FEW)
    with pytest.raises(MicroscopeError, match=message):
        env.reset(seed=0, options=options)


def replay(edge=32, counts=50.0):
    image = np.full((edge, edge), 0.2 * counts, np.float32)
    image[8:20, 8:20] = counts
    return ReplayMicroscope([Recording(image, 0.5, 10.0)], current=counts / (10 * 6.241509074460763))


def test_a_microscope_is_flown_and_its_truth_is_unknown():
    scope = replay()
    env = SparseScanEnv(preset="small", microscope=scope)
    seen, info = env.reset(seed=0)
    assert np.isnan(info["error"])
    assert info["kind"] == -1
    total = 0.0
    for action in (0, 4, 8, 12):
        seen, reward, *_, info = env.step(action)
        total += reward
    assert np.isfinite(total)
    assert scope.spent.electrons == pytest.approx(info["electrons"], rel=1e-6)
    measured, mask = seen["maps"][0], seen["maps"][1]
    assert measured[(mask > 0)].max() == pytest.approx(1, abs=0.02)
    assert measured[(mask > 0)].min() == pytest.approx(0.2, abs=0.02)
    assert env.simulation.draw(env.state, 0).shape == (560, 960, 3)


def test_a_field_larger_than_that_of_the_microscope_is_refused():
    with pytest.raises(
        MicroscopeError, match=r"larger than that of replay, 16 x 16 nm; set pixel_size to at most 0.5"
    ):
        SparseScanEnv(preset="small", microscope=replay(), pixel_size=1.0)


@pytest.mark.parametrize(
    ("single", "preset"),
    [
        (SparseScanEnv, "small"),
        (SparseScanEnv, "noisy"),
        (SparseScanTilesEnv, "row-blocks"),
        (SparseScanTilesEnv, None),
    ],
)
def test_pictures_have_one_size_and_change(single, preset):
    env = single(preset=preset, render_mode="rgb_array", **FEW)
    env.reset(seed=0)
    first = env.render()
    env.step(1)
    second = env.render()
    assert first.shape == second.shape == (560, 960, 3)
    assert first.dtype == np.uint8
    assert (first != second).any()


def _row(batch, index):
    if isinstance(batch, dict):
        return {name: array[index] for name, array in batch.items()}
    return batch[index]


def assert_close(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_close(one[name], other[name])
        return
    np.testing.assert_allclose(one, other, atol=2e-4, rtol=1e-3)

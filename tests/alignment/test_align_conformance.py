import gymnasium
import numpy as np
import pytest
import torch

import beamwright.envs
from beamwright.envs.alignment.presets import STEM_PRESETS, TEM_PRESETS
from beamwright.envs.track_drift.config import PRESETS
from beamwright.testing.environments import check_environment

ALL = {"AlignSTEM": STEM_PRESETS, "AlignTEM": TEM_PRESETS, "TrackDrift": PRESETS}
SMALL = {"specimen": {"pool": 6}}
HELD_TO_THE_SUITE = [
    ("AlignSTEM", "randomised", {"exposures": 8}),
    ("AlignSTEM", "planning", {"exposures": 8}),
    ("AlignSTEM", "vector", {"exposures": 6}),
    ("AlignSTEM", "ronchigram", {"exposures": 5}),
    ("AlignTEM", None, {"exposures": 15}),
    ("AlignTEM", "vector", {"exposures": 5}),
    ("TrackDrift", None, {"steps": 8}),
    ("TrackDrift", "images", {"steps": 5}),
]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize(("name", "preset", "shorter"), HELD_TO_THE_SUITE)
def test_the_environments_are_what_agents_rely_on(name, preset, shorter):
    check_environment(f"beamwright/{name}-v0", preset, overrides={**SMALL, **shorter})


@pytest.mark.parametrize(
    ("name", "preset"), [(name, preset) for name, presets in ALL.items() for preset in (None, *presets)]
)
def test_every_preset_can_be_stepped(name, preset):
    env = gymnasium.make_vec(
        f"beamwright/{name}-v0", 2, vectorization_mode="vector_entry_point", preset=preset, **SMALL
    )
    assert name in beamwright.envs.ENVIRONMENTS[f"beamwright/{name}-v0"].target
    env.reset(seed=0)
    env.action_space.seed(0)
    observation, reward, *_ = env.step(env.action_space.sample())
    assert observation in env.observation_space
    assert np.isfinite(reward).all()

import pytest
import torch

from beamwright.envs.alignment.presets import STEM_PRESETS, TEM_PRESETS
from beamwright.envs.track_drift.config import PRESETS
from beamwright.testing.environments import check_environment

CASES = [
    (name, preset)
    for name, presets in (("AlignSTEM", STEM_PRESETS), ("AlignTEM", TEM_PRESETS), ("TrackDrift", PRESETS))
    for preset in (None, *presets)
]
SMALL = {"specimen": {"pool": 6}}


@pytest.mark.parametrize(("name", "preset"), CASES)
def test_every_preset_is_what_agents_rely_on(name, preset):
    torch.set_num_threads(1)
    shorter = {"steps": 12} if name == "TrackDrift" else {}
    check_environment(f"beamwright/{name}-v0", preset, overrides={**SMALL, **shorter})

"""The records: rules, messages and round trips."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from beamwright.errors import SpaceError
from beamwright.search_spaces import Architecture, Recipe, Stage, receptive_radius

PLAIN = {"block": "plain", "width": 8, "depth": 1}


def test_round_trip_through_json_is_exact() -> None:
    architecture = Architecture(stages=(Stage(**PLAIN), Stage(**PLAIN, downsample="max")), skips="indices")
    assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture
    recipe = Recipe(learning_rate=0.1 + 0.2)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"stages": [{**PLAIN, "kernel": 4}]},
            "not a valid architecture: stages.0: kernel = 4 must be odd, so that it has a centre; take 5.",
        ),
        (
            {"stages": [{"block": "inception", "width": 3, "depth": 1}]},
            "width = 3 is too small for the four branches of inception; take 4 or more.",
        ),
        (
            {"stages": [PLAIN], "residual": True, "in_channels": 2},
            "in_channels = 2 must equal out_channels = 1; set residual to false.",
        ),
        (
            {"stages": [PLAIN, {**PLAIN, "downsample": "average"}], "skips": "indices"},
            'skips = "indices" needs the positions of maxima, which downsample = "average" has not; '
            'set downsample to "max".',
        ),
        ({"stages": [PLAIN], "nrom": "batch"}, "nrom: Extra inputs are not permitted"),
    ],
)
def test_broken_rules_are_explained(content: dict[str, object], message: str) -> None:
    with pytest.raises(SpaceError, match=re.escape(message)):
        Architecture.from_dict(content)


def test_divisor_counts_halvings() -> None:
    stages = (Stage(**PLAIN, downsample="stride"), Stage(**PLAIN), Stage(**PLAIN, downsample="max"))
    architecture = Architecture(stages=stages)
    assert architecture.divisor == 4
    assert [len(level) for level in architecture.levels] == [2, 1]


def test_reach_of_what_can_be_counted_by_hand() -> None:
    flat = Architecture(stages=(Stage(block="plain", width=8, depth=3, kernel=5, dilation=2),))
    assert receptive_radius(flat) == 3 * 2 * 2
    # 1 at full size, max pooling to the right 1, 1 at half size 2, nearest to the left 1, decoder 1.
    unet = Architecture(stages=(Stage(**PLAIN), Stage(**PLAIN, downsample="max")))
    assert receptive_radius(unet) == 1 + 2 + 1 + 1


def test_no_reach_without_locality() -> None:
    message = re.escape('An architecture with norm = "group" and bottleneck = "none" sees the whole image')
    with pytest.raises(SpaceError, match=message):
        receptive_radius(Architecture(stages=(Stage(**PLAIN),), norm="group"))


def test_records_and_names_do_not_wait_for_torch() -> None:
    code = (
        "import sys; from beamwright.search_spaces import NETWORKS, SPACES, SpaceLimits, named; "
        "named('unet', limits=SpaceLimits()); SPACES.load('denoise'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

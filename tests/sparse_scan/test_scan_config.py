import pytest

from beamwright.envs.core import load_config
from beamwright.envs.sparse_scan import (
    SparseScanConfig,
    SparseScanEnv,
    SparseScanTilesConfig,
    SparseScanTilesEnv,
)
from beamwright.envs.sparse_scan.presets import PRESETS, TILE_PRESETS
from beamwright.errors import MicroscopeError


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"budget": {"coverage": 0}}, "coverage = 0 must be above 0, or there is nothing to scan with"),
        ({"budget": {"coverage": None, "seconds": -1}}, "seconds = -1 must be above 0"),
        ({"budget": {"coverage": None}}, "must limit at least one of coverage, electrons and seconds"),
        ({"budget": {"coverage": 0.1, "electrons": 100}}, "by coverage or by electrons, not by both"),
        ({"shape": [8, 64]}, r"shape = \[8, 64\] must be at least 16 x 16 px"),
        ({"action": {"points": 40}}, "points = 40 at a spacing of 1 px do not fit .* use at most 31"),
        ({"action": {"points": [9, 5]}}, r"points must be positive, or \[low, high\] in this order"),
        ({"action": {"headings": 5}}, "action.headings: must be a multiple of 2"),
        ({"action": {"dwell": 0}}, "dwell must be positive"),
        ({"effects": {"lag": -1}}, "lag = -1 must not be negative; 0 switches it off"),
        ({"effects": {"efficiency": 0}}, "efficiency must be above 0"),
        ({"effects": {"efficiency": 1.5}}, "efficiency = 1.5 is a share, at most 1"),
        ({"effects": {"poisson": False, "afterglow": 0.1}}, "afterglow needs poisson: true"),
        ({"effects": {"lags": 1}}, 'there is no such key. Did you mean "lag"'),
        ({"observation": {"pool": 3}}, r"observation.pool = 3 must divide shape = \[64, 64\]"),
        ({"observation": {"kind": "vector", "grid": 7}}, "observation.grid = 7 must divide shape"),
        ({"reconstructor": {"kind": "bundle"}}, "kind: bundle and a path in bundle belong together"),
        ({"current": 0}, "current: must be greater than 0"),
    ],
)
def test_an_impossible_configuration_says_what_is_wrong(overrides, message):
    with pytest.raises(MicroscopeError, match=message):
        SparseScanEnv(**overrides)


def test_tiles_must_divide_the_field():
    with pytest.raises(MicroscopeError, match=r"tiles.shape = \[7, 8\] must divide shape = \[64, 64\]"):
        SparseScanTilesEnv(tiles={"shape": [7, 8]})


def test_an_unknown_preset_is_proposed():
    with pytest.raises(MicroscopeError, match=r'no preset "ede2020". Did you mean "ede-2020"'):
        SparseScanEnv(preset="ede2020")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_survives_a_round_trip(preset):
    config = load_config(SparseScanConfig, PRESETS, preset, {})
    assert load_config(SparseScanConfig, {}, None, config.model_dump(mode="json")) == config


@pytest.mark.parametrize("preset", TILE_PRESETS)
def test_every_preset_of_tiles_survives_a_round_trip(preset):
    config = load_config(SparseScanTilesConfig, TILE_PRESETS, preset, {})
    assert load_config(SparseScanTilesConfig, {}, None, config.model_dump(mode="json")) == config


def test_held_out_ranges_and_classes_are_never_trained_on():
    train, test = (
        SparseScanEnv(preset="held-out", split=split, specimen={"pool": 16}) for split in ("train", "test")
    )
    assert not set(train.simulation.generator.kinds) & set(test.simulation.generator.kinds)
    for env, low, high in ((train, 0.0, 2.0), (test, 2.0, 3.0)):
        for seed in range(20):
            env.reset(seed=seed)
            assert low <= float(env.state.effects["readout"]) <= high

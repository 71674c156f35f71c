"""Configurations of environments, and what varies from episode to episode."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.envs.core import EnvConfig, Frozen, Range, Streams, Varied, draw, load_config
from beamwright.errors import MicroscopeError


class Optics(Frozen):
    voltage: float = 200.0
    aperture: float = 25.0


class Config(EnvConfig):
    optics: Optics = Optics()
    drift: Varied = 0.5
    dose: Range = Range(low=1, high=100, log=True)


PRESETS: dict[str, dict[str, Any]] = {"fast": {"drift": [1, 2], "optics": {"voltage": 80}}}
BOUNDS = st.floats(-1e3, 1e3, allow_nan=False)


@settings(deadline=None)
@given(parts=st.lists(BOUNDS, min_size=4, max_size=4, unique=True), seed=st.integers(0, 2**32))
def test_training_never_sees_what_is_held_out(parts: list[float], seed: int) -> None:
    low, start, end, high = sorted(parts)
    varied = Range(low=low, high=high, held_out=(start, end))
    slack = 1e-5 * max(abs(low), abs(high), 1)
    train = draw(varied, Streams.from_seed(seed, 200), split="train")
    assert ((train >= low - slack) & (train <= high + slack)).all()
    assert ((train <= start + slack) | (train >= end - slack)).all()
    test = draw(varied, Streams.from_seed(seed, 200), split="test")
    assert ((test >= start - slack) & (test <= end + slack)).all()


def test_ranges_are_even_in_value_or_in_order_of_magnitude() -> None:
    even = draw(Range(low=0, high=10), Streams.from_seed(0, 20_000), split="train")
    assert even.mean().item() == pytest.approx(5, abs=0.1)
    orders = draw(Range(low=1, high=100, log=True), Streams.from_seed(0, 20_000), split="train")
    assert orders.log10().mean().item() == pytest.approx(1, abs=0.02)
    both_sides = draw(Range(low=0, high=10, held_out=(2, 4)), Streams.from_seed(0, 20_000), split="train")
    assert (both_sides < 2).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_a_number_takes_nothing_from_the_streams() -> None:
    streams = Streams.from_seed(0, 3)
    assert draw(2.5, streams, split="train").tolist() == [2.5] * 3
    assert torch.equal(streams.uniform(), Streams.from_seed(0, 3).uniform())


@pytest.mark.parametrize("value", [1, 2.5, [0, 1], (0, 1), {"low": 0, "high": 1, "held_out": [0.2, 0.4]}])
def test_a_varied_value_is_a_number_a_pair_or_a_mapping(value: Any) -> None:
    config = Config(drift=value)
    assert isinstance(config.drift, Range if isinstance(value, (list, tuple, dict)) else float)
    assert Config.model_validate(yaml.safe_load(config.to_yaml())) == config


def test_a_preset_is_changed_where_it_is_told_to() -> None:
    config = load_config(Config, PRESETS, "fast", {"optics": {"aperture": 10}, "drift": Range(low=3, high=4)})
    assert config.optics == Optics(voltage=80, aperture=10)
    assert config.drift == Range(low=3, high=4)
    assert load_config(Config, PRESETS, None, {}) == Config()
    assert PRESETS["fast"]["optics"] == {"voltage": 80}, "presets must stay as they are"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"drift": [2, 1]}, r"drift: low = 2 must be below high = 1; write one number instead"),
        ({"drift": [1, 2, 3]}, r"drift: must be two values, \[low, high\] \(is \[1, 2, 3\]\)"),
        (
            {"drift": {"low": 1, "high": 3, "held_out": [0, 2]}},
            r"held_out = \[0, 2\] must lie within \[1, 3\]",
        ),
        ({"drift": {"low": 1, "high": 3, "held_out": [1, 3]}}, r"held_out must leave something to train on"),
        ({"drift": {"low": 0, "high": 3, "log": True}}, r"low = 0 must be above zero for log: true"),
        ({"drift": "fast"}, r"drift: must be a valid number.*\(is 'fast'\)"),
        ({"drifts": 1}, r'drifts: there is no such key. Did you mean "drift"\?'),
        (
            {"optics": {"volts": 1}},
            r'optics.volts: there is no such key. Did you mean "voltage"\? Known: voltage, aperture.',
        ),
        ({"drift": float("nan")}, r"drift: must be a finite number"),
    ],
)
def test_what_breaks_a_rule_is_said(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(MicroscopeError, match=message):
        load_config(Config, PRESETS, None, overrides)


def test_all_faults_are_said_at_once() -> None:
    with pytest.raises(MicroscopeError, match="breaks 2 rules"):
        load_config(Config, PRESETS, None, {"drift": [2, 1], "split": "tests"})


def test_an_unknown_preset_is_said() -> None:
    with pytest.raises(MicroscopeError, match=r'no preset "fst". Did you mean "fast"\? Known: fast.'):
        load_config(Config, PRESETS, "fst", {})
    with pytest.raises(MicroscopeError, match=r'no preset "fast". This environment has none.'):
        load_config(Config, {}, "fast", {})


def test_the_device_is_found() -> None:
    assert Config().torch_device() == torch.device("cpu")
    assert Config(device="auto").torch_device().type == ("cuda" if torch.cuda.is_available() else "cpu")

import pytest

from beamwright.envs.alignment import AlignSTEMConfig, AlignSTEMEnv, AlignTEMEnv
from beamwright.envs.alignment.presets import STEM_PRESETS, TEM_PRESETS
from beamwright.envs.alignment.variants import AlignTEMConfig
from beamwright.envs.core import load_config
from beamwright.errors import MicroscopeError, PhysicsWarning


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"knobs": ["C1O"]}, 'there is no "C1O" Did you mean "C10"\\?; known: C10, C12a'),
        ({"knobs": []}, "must name one knob at least, and none twice"),
        ({"diagnostic": []}, r"needs one exposure at least; \[\{\}\] is one without changes"),
        ({"diagnostic": [{}]}, "a cross_spectrum is of two exposures a step, and diagnostic has 1"),
        ({"exposures": 1}, "exposures = 1 do not last for one step of 2"),
        ({"observation": "vector", "margin": 4}, "a field that repeats itself: set margin to 0"),
        ({"knobs": ["C10", "tilt_x"]}, "measured by its coma, 3 C30 tilt: give offsets a C30 other than 0"),
        ({"probe": "ronchigram"}, "a cross_spectrum is of images; observe a ronchigram as images or vector"),
        ({"probe": "ronchigram", "observation": "images", "margin": 4}, "a ronchigram has no margin"),
        (
            {"estimator": 3},
            r"must be the path of a bundle, or an object with a method estimate\(observation\)",
        ),
        ({"voltage": -5.0}, "accelerating voltage must be positive"),
        (
            {"sampling": 0.06, "probe": "ronchigram", "observation": "images"},
            r"sampling <= 0\.050\d nm",
        ),
        ({"specimen": {"classes": ["rekt"]}}, 'no specimen "rekt". Did you mean "rect"'),
        ({"drift": -1.0}, "drift must be at least 0, not -1"),
        ({"diffusion": [-1.0, 1.0]}, "diffusion must be at least 0, not -1"),
        ({"counts": 0.0}, "counts must be above 0, not 0"),
        ({"background": 1.5}, "background must be at least 0 and at most 1, not 1.5"),
        ({"response": {"play": -1.0}}, "play must be at least 0, not -1"),
        ({"cost": -1}, "cost: must be greater than or equal to 0"),
        ({"exposure": 3}, 'no such key. Did you mean "exposures"'),
    ],
)
def test_an_impossible_configuration_says_what_is_wrong(overrides, message):
    with pytest.raises(Exception, match=message) as caught:
        AlignSTEMEnv(**overrides)
    assert type(caught.value).__module__ == "beamwright.errors"


def test_an_unknown_preset_is_proposed():
    with pytest.raises(MicroscopeError, match=r'no preset "hystersis"\. Did you mean "hysteresis"'):
        AlignTEMEnv(preset="hystersis")


@pytest.mark.parametrize("preset", STEM_PRESETS)
def test_every_stem_preset_is_a_configuration_that_survives_yaml(preset):
    config = load_config(AlignSTEMConfig, STEM_PRESETS, preset, {})
    assert load_config(AlignSTEMConfig, {}, None, config.model_dump(mode="json")) == config


@pytest.mark.parametrize("preset", TEM_PRESETS)
def test_every_tem_preset_is_a_configuration_that_survives_yaml(preset):
    config = load_config(AlignTEMConfig, TEM_PRESETS, preset, {})
    assert load_config(AlignTEMConfig, {}, None, config.model_dump(mode="json")) == config


def test_the_lattice_preset_is_the_published_setting():
    config = load_config(AlignSTEMConfig, STEM_PRESETS, "lattice", {})
    assert (config.voltage, config.aperture, config.size, config.counts) == (200.0, 25.0, 64, 9.9)
    assert [(name, varied.high) for name, varied in config.offsets.items()] == [
        ("C10", 20.0),
        ("C12a", 10.0),
        ("C12b", 10.0),
        ("C21a", 300.0),
        ("C21b", 300.0),
    ]
    assert config.diagnostic == ({"C10": 6.0, "C21a": 150.0}, {"C10": -6.0, "C21b": 150.0})
    assert config.response.model_dump(exclude_defaults=True) == {}


def test_records_within_the_configuration_are_completed_from_its_defaults():
    config = load_config(AlignSTEMConfig, {}, None, {"response": {"play": 0.3}, "specimen": {"pool": 9}})
    assert config.response == AlignSTEMConfig().response.model_copy(update={"play": 0.3})
    assert config.specimen == AlignSTEMConfig().specimen.model_copy(update={"pool": 9})
    config = load_config(AlignSTEMConfig, {}, None, {"specimen": {"classes": ["rect"]}})
    assert config.specimen.held_out_classes == ()


def test_coefficients_are_closed_under_tilt_and_include_the_unmodelled():
    assert AlignSTEMConfig().coefficients() == ("C10", "C12a", "C12b", "C21a", "C21b")
    assert len(AlignSTEMConfig(unmodelled=0.25).coefficients()) == 12
    assert AlignTEMConfig().coefficients() == ("C10", "C12a", "C12b", "C21a", "C21b", "C30")


def test_a_film_that_is_not_weak_is_warned_of():
    thick = {"classes": ["amorphous_film"], "pool": 4, "options": {"amorphous_film": {"thickness": 80.0}}}
    with pytest.warns(PhysicsWarning, match=r"at most 0\.3 rad .* these varies by 0\.\d+ rad"):
        AlignTEMEnv(specimen=thick)

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens import SpecimenConfig, SpecimenPool, render_atoms, specimen_pool
from beamwright.envs.microscope.specimens.elements import scattering_power
from beamwright.errors import MicroscopeError, UnknownNameError

torch.set_num_threads(1)


def _pool(shape: tuple[int, int] = (32, 32), split: Any = "train", **config: Any) -> SpecimenPool:
    return SpecimenPool(SpecimenConfig(**{"pool": 12, **config}), shape=shape, split=split)


def test_classes_have_their_shares_and_say_which_they_are() -> None:
    pool = _pool(classes=("porous", "layered", "square"), shares=(1, 2, 1), pool=16)
    assert pool.kinds == ("porous", "layered", "square")
    assert torch.bincount(pool.specimens.kind).tolist() == [4, 8, 4]
    assert len(pool) == 16
    sizes = pool.specimens.pixel_size[[0, 4, 15]]
    assert torch.allclose(sizes, torch.tensor([1.0, 0.5, 0.025])), "each class has its natural sampling"


def test_a_few_specimens_are_shared_out_fairly() -> None:
    pool = _pool(classes=("porous", "layered", "square"), shares=(10, 1, 1), pool=4)
    assert torch.bincount(pool.specimens.kind).tolist() == [2, 1, 1]


def test_the_same_configuration_gives_the_same_specimens_and_more_of_them_if_asked() -> None:
    small, large = _pool(classes=("porous",), pool=3), _pool(classes=("porous",), pool=70)
    assert torch.allclose(small.specimens.signal, large.specimens.signal[:3], atol=1e-6)


def test_splits_and_seeds_share_no_specimen() -> None:
    pools = [_pool(), _pool(split="test"), _pool(seed=1), _pool(seed=1, split="test")]
    maps = torch.cat([pool.specimens.signal for pool in pools]).flatten(1)
    apart = torch.cdist(maps, maps) + 99 * torch.eye(len(maps))
    assert float(apart.min()) > 0.1


def test_held_out_classes_are_what_testing_shows_and_training_does_not() -> None:
    config = {"classes": ("hexagonal", "square"), "held_out_classes": ("rect", "honeycomb")}
    assert _pool(**config).kinds == ("hexagonal", "square")
    assert _pool(**config, split="test").kinds == ("rect", "honeycomb")


@pytest.mark.parametrize("shape", [(40, 40), (32, 48)])
def test_atoms_turn_with_the_image(shape: tuple[int, int]) -> None:
    pool = _pool(shape, classes=("random_atoms",), pool=2, options={"random_atoms": {"support": 0}})
    drawn = pool.draw(Streams.from_seed(0, 100))
    power = drawn.weights * scattering_power(drawn.numbers) * drawn.scale[:, None]
    signal = render_atoms(drawn.positions, power, shape=shape, pixel_size=drawn.pixel_size, width=drawn.width)
    assert torch.allclose(signal, drawn.signal, atol=1e-3)
    distinct = torch.unique(drawn.signal.flatten(1).round(decimals=3), dim=0)
    assert len(distinct) == 2 * (8 if shape[0] == shape[1] else 4)


def test_a_draw_depends_on_its_stream_only() -> None:
    pool = _pool()
    together = pool.draw(Streams.from_seed(5, 4))
    alone = pool.draw(Streams.from_seed(7, 1))
    assert torch.equal(together.signal[2], alone.signal[0])


def test_classes_with_and_without_atoms_go_together() -> None:
    pool = _pool(classes=("square", "porous"), pool=4)
    assert pool.specimens.mask.any(dim=1).tolist() == [True, True, False, False]


def test_a_background_lifts_the_darkest_place() -> None:
    signal = _pool(background=0.6).specimens.signal
    assert 0.6 <= float(signal.min()) < 0.65
    assert float(signal.max()) == pytest.approx(1)


def test_equal_configurations_share_a_pool() -> None:
    config = SpecimenConfig(classes=("porous",), pool=2, options={"porous": {"thickness": [10, 20]}})
    again = SpecimenConfig.model_validate(config.model_dump())
    assert specimen_pool(config, shape=(16, 16)) is specimen_pool(again, shape=(16, 16))
    assert specimen_pool(config, shape=(16, 16)) is not specimen_pool(config, shape=(16, 16), split="test")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"classes": ("porous",), "shares": (1.0, 2.0)}, "one positive number for each of the 1 classes"),
        ({"classes": ("porous",), "shares": (-1.0,)}, "one positive number"),
        (
            {"classes": ("porous",), "held_out_classes": ("porous",)},
            "must not be trained on, but porous is among",
        ),
        ({"options": {"porous": {}}}, "options are for porous, which is not among the classes"),
        ({"classes": ("porous", "porous")}, "porous is named twice; use shares"),
        ({"classes": ()}, "at least 1 item"),
        ({"pool": 0}, "greater than or equal to 1"),
        ({"background": 1.0}, "less than 1"),
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SpecimenConfig(**config)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"options": {"particle_cluster": {"radus": 0.1}}},
            r'"particle_cluster" have no option "radus"\. Did you mean "radius"\? Known: count, pixel_size',
        ),
        (
            {"options": {"particle_cluster": {"radius": "big"}}},
            r'"particle_cluster" have values that it cannot use',
        ),
        (
            {"classes": ("porous", "square"), "pool": 1},
            r"each of its 2 classes, not 1 .*set pool to at least 2",
        ),
        ({"shape": (4, 64)}, r"at least 8 x 8 pixels, not 4 x 64"),
        ({"classes": ("images",)}, r'class "images" needs images; set folder'),
    ],
)
def test_a_pool_that_cannot_be_made_says_why(config: dict[str, Any], message: str) -> None:
    with pytest.raises(MicroscopeError, match=message):
        _pool(**config)


def test_an_unknown_class_is_named() -> None:
    with pytest.raises(UnknownNameError, match=r'no specimen "hexagon"\. Did you mean "hexagonal"\?'):
        _pool(classes=("hexagon",))


def test_a_pixel_needs_a_size() -> None:
    with pytest.raises(MicroscopeError, match="must have a positive size, not 0 nm"):
        SpecimenPool(SpecimenConfig(), shape=(32, 32), pixel_size=0.0)

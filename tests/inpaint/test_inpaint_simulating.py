"""Simulated images as data of any task."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from beamwright.data import MemoryImage, fingerprint, split_files
from beamwright.errors import DataError, UnknownNameError
from beamwright.experiment import Experiment, SimulateConfig
from beamwright.tasks.denoise import Denoise
from beamwright.tasks.fields import Frames
from beamwright.tasks.inpaint import Inpaint
from beamwright.tasks.simulating import simulated_images, simulated_specimens

Make = Callable[..., Experiment]
SMALL = SimulateConfig(specimens=("atom_cluster", "membrane_texture"), count=5, size=48, seed=3)


def test_images_follow_from_the_configuration() -> None:
    images, again = simulated_images(SMALL), simulated_images(SMALL)
    assert [image.identity() for image in images] == [image.identity() for image in again]
    assert [image.shape for image in images] == [(48, 48)] * 5
    for image in images:
        pixels = image.read()
        assert pixels.dtype == np.float32
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        assert image.pixel_size is not None
    assert images[0].name.split("/")[1] == "atom_cluster-0000"


def test_no_seed_and_no_split_shares_an_image() -> None:
    sets = (SMALL, SMALL.model_copy(update={"seed": 4}), SMALL.model_copy(update={"held_out": True}))
    images = [image for config in sets for image in simulated_images(config)]
    assert len({image.identity() for image in images}) == len({image.name for image in images}) == 15


def test_specimens_know_more_than_their_images() -> None:
    pool = simulated_specimens(SMALL)
    assert pool.kinds == ("atom_cluster", "membrane_texture")
    np.testing.assert_array_equal(pool.specimens.signal[0].numpy(), simulated_images(SMALL)[0].read())
    assert pool.specimens.mask[0].any()


def test_unknown_classes_get_a_proposal() -> None:
    with pytest.raises(UnknownNameError, match='Did you mean "atom_cluster"'):
        simulated_images(SimulateConfig(specimens=("atom_clusters",)))


def test_handles_behave_as_files_do() -> None:
    image = MemoryImage.of(np.arange(12, dtype=np.float32).reshape(3, 4), "made/a", pixel_size=0.5)
    assert (image.frames, image.nbytes, image.name, image.split()) == (1, 48, "made/a", (image,))
    (frame,) = image.stream()
    for pixels in (image.read(), image.read(0), frame, Frames((image,))[0]):
        np.testing.assert_array_equal(pixels, image.pixels)
    with pytest.raises(IndexError, match="made/a has 1 frame; there is no frame 1"):
        image.read(1)
    assert pickle.loads(pickle.dumps(image)).identity() == image.identity() == image.signature()


def test_one_simulated_set_in_two_roles_is_a_leak(simulated: Make) -> None:
    data = simulated().data
    assert data.train.simulate is not None
    images = {role: simulated_images(data.train.simulate) for role in ("train", "test")}
    assert any("are in two roles" in warning for warning in fingerprint(images).warnings)
    assert not fingerprint({"train": images["train"]}).duplicates


def test_readers_alone_cannot_simulate(simulated: Make) -> None:
    with pytest.raises(DataError, match="Simulated images cannot be made here; name files under images"):
        split_files(simulated().data, seed=0)


def test_sets_are_hashed_as_a_whole(simulated: Make) -> None:
    data = Inpaint().prepare(simulated())
    (name,) = data.provenance
    assert name.startswith("simulated-")
    assert data.fingerprint.files == {"train": 6, "validation": 2, "test": 2}


def test_other_tasks_take_simulated_images_too(simulated: Make) -> None:
    experiment = simulated(noise={"dose": 20}).model_copy(update={"task": "denoise"})
    data = Denoise().prepare(experiment)
    assert data.regime == "synthetic"
    assert data.sparse is None
    assert data.mean == pytest.approx(20, rel=0.1)


def test_data_that_do_not_fit_into_memory_stay_handles(simulated: Make, tmp_path: Path) -> None:
    data = Inpaint().prepare(simulated(memory_limit=1e-9))
    field = data.fields["train"][0]
    assert isinstance(field.frames.sources[0], MemoryImage)
    assert field.frames[0].shape == (64, 64)

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from beamwright.data import write_image
from beamwright.envs.core.streams import Streams
from beamwright.envs.microscope.specimens import SpecimenConfig, SpecimenPool, crops
from beamwright.errors import DataError, MicroscopeError

torch.set_num_threads(1)


def _write(folder: Path, count: int, size: int = 48) -> None:
    for index in range(count):
        image = np.random.default_rng(index).random((size, size)) * 5 + 10 * index
        write_image(folder / f"{index}.tif", image.astype(np.float32))


def _pool(folder: Path, split: str = "train", shape: tuple[int, int] = (24, 24)) -> SpecimenPool:
    config = SpecimenConfig(classes=("images",), folder=str(folder), pool=16)
    return SpecimenPool(config, shape=shape, split=split)  # type: ignore[arg-type]


def test_crops_are_parts_of_the_images_scaled_as_a_whole() -> None:
    image = np.random.default_rng(0).random((40, 50)).astype(np.float32)
    image[0, 0], image[0, 1] = -3, 7
    specimen = crops(Streams.from_seed(0, 5), [image], shape=(16, 20), pixel_size=0.3)
    low, high = np.percentile(image, [0.1, 99.9])
    scaled = torch.from_numpy(np.clip((image - low) / (high - low), 0, 1))
    windows = scaled.unfold(0, 16, 1).unfold(1, 20, 1).reshape(-1, 16, 20)
    for signal in specimen.signal:
        assert float((windows - signal).abs().amax((1, 2)).min()) < 1e-6
    assert torch.allclose(specimen.phase, 0.5 * specimen.signal)
    assert torch.allclose(specimen.pixel_size, torch.full((5,), 0.3))


def test_whole_files_are_set_aside_for_testing(tmp_path: Path) -> None:
    for index, level in enumerate((0.0, 0.3, 0.5, 0.8, 1.0)):
        image = np.full((32, 32), 0.5)
        image[0, 0:8], image[31, 0:8], image[8:24, 8:24] = 0, 1, level
        write_image(tmp_path / f"{index}.tif", image.astype(np.float32))
    levels = [
        set(_pool(tmp_path, split, (32, 32)).specimens.signal[:, 12, 12].round(decimals=2).tolist())
        for split in ("train", "test")
    ]
    assert len(levels[0]) == 4
    assert len(levels[1]) == 1
    assert not levels[0] & levels[1]


def test_the_sampling_is_that_of_the_files(tmp_path: Path) -> None:
    for index in range(2):
        image = np.random.default_rng(index).random((32, 32)).astype(np.float32)
        write_image(tmp_path / f"{index}.mrc", image, pixel_size=0.25)
    assert torch.allclose(_pool(tmp_path).specimens.pixel_size, torch.tensor(0.25))


def test_a_single_file_cannot_be_tested_on(tmp_path: Path) -> None:
    _write(tmp_path, 1)
    assert len(_pool(tmp_path)) == 16
    with pytest.raises(MicroscopeError, match=r"is a single file, and the split test needs files"):
        _pool(tmp_path, "test")


def test_images_must_be_as_large_as_the_field(tmp_path: Path) -> None:
    _write(tmp_path, 2, size=20)
    with pytest.raises(MicroscopeError, match=r"as large as the field of 24 x 24 pixels, not 20 x 20"):
        _pool(tmp_path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    image = np.ones((32, 32), np.float32)
    image[3, 4] = np.nan
    write_image(tmp_path / "good.tif", np.eye(32, dtype=np.float32))
    np.save(tmp_path / "bad.npy", image)
    with pytest.raises(DataError, match=r"bad\.npy: 1 pixels are NaN or infinite"):
        _pool(tmp_path)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((32, 32), np.nan), r"Image 0 has 1024 pixels that are NaN or infinite"),
        (np.full((32, 32), 3.0), r"Image 0 is 3 everywhere; there is nothing to see"),
        (np.zeros((3, 32, 32)), r"Image 0 must be an image of two axes, not 3"),
        (np.eye(12), r"Image 0 must be at least as large as the field of 16 x 16 pixels, not 12 x 12"),
    ],
)
def test_arrays_that_show_nothing_are_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(MicroscopeError, match=message):
        crops(Streams.from_seed(0, 1), [image], shape=(16, 16))

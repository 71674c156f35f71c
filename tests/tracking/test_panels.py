from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from beamwright.tracking.images import load_examples, make_panel, make_tiles, save_examples


def example(side: int = 64, *, target: bool = True) -> dict[str, np.ndarray | None]:
    y, _ = np.mgrid[:side, :side]
    clean = (100 + 20 * np.cos(2 * np.pi * y / 8)).astype(np.float32)
    noisy = clean + np.random.default_rng(0).normal(0, 20, clean.shape).astype(np.float32)
    return {"input": noisy, "output": clean, "target": clean if target else None}


def test_equal_images_look_equal_and_noise_does_not_change_the_scale():
    tiles = make_tiles(example())
    assert list(tiles) == ["noisy", "result", "target"]
    np.testing.assert_array_equal(tiles["result"][0], tiles["target"][0])
    noisy, clean = (tiles[name][0].astype(float) for name in ("noisy", "target"))
    assert abs(noisy.mean() - clean.mean()) < 5  # one grey scale for both
    assert noisy.std() > clean.std()


def test_a_lattice_shows_its_two_spots():
    spectrum = make_tiles(example())["target"][1]  # (64, 64)
    assert spectrum[32 - 8, 32] == spectrum[32 + 8, 32] == 255
    assert spectrum[32, 32 + 8] < 100


def test_a_panel_holds_two_rows_of_labelled_tiles():
    panel = make_panel(example(), pixel_size=0.05)
    assert panel.dtype == np.uint8
    assert panel.shape == (2 * (64 + 22 + 6) + 6, 3 * (64 + 6) + 6)
    assert panel[:22].max() > 200  # the label
    assert make_panel(example(target=False)).shape[1] == 2 * (64 + 6) + 6


@pytest.mark.parametrize("value", [0.0, 7.0, np.nan])
def test_flat_and_broken_images_make_a_panel(value: float):
    flat = np.full((16, 24), value, np.float32)
    assert make_panel({"input": flat, "output": flat, "target": None}).dtype == np.uint8


def test_examples_come_back_cropped_to_their_centre(tmp_path: Path):
    path = tmp_path / "examples.npz"
    assert load_examples(path) == []
    save_examples(path, [example(100), example(64, target=False), example(), example()], side=80)
    found = load_examples(path)
    assert [sorted(one) for one in found] == [
        ["input", "output", "target"],
        ["input", "output"],
        ["input", "output", "target"],
    ]
    np.testing.assert_array_equal(found[0]["input"], example(100)["input"][10:90, 10:90])  # type: ignore[index]
    assert found[0]["input"].dtype == np.float32

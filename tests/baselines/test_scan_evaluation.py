"""Figures of episodes: the same whatever the batch, with intervals that hold."""

from __future__ import annotations

import numpy as np
import torch
from skimage.metrics import structural_similarity

from beamwright.agents.baselines.baseline import make_baseline
from beamwright.agents.evaluation import Played, difference, play_episodes
from beamwright.agents.image_quality import ssim

torch.set_num_threads(1)

ENV = "beamwright/SparseScan-v0"


def test_figures_do_not_depend_on_the_batch() -> None:
    settings = {"preset": "small", "budget": {"coverage": [0.05, 0.12]}}
    whole, parts = (
        play_episodes(ENV, make_baseline("greedy", ENV), 7, seed=11, batch=batch, **settings)
        for batch in (7, 3)
    )
    assert set(whole.figures) >= {"psnr", "ssim", "rms_error", "electrons", "seconds", "return", "length"}
    for name, values in whole.figures.items():
        assert values.shape == (7,)
        np.testing.assert_allclose(values, parts.figures[name], rtol=1e-4, atol=1e-5)


def test_figures_are_those_of_the_end_of_the_first_episode() -> None:
    played = play_episodes(ENV, make_baseline("random-walk", ENV), 5, seed=2, preset="small")
    rms = played.figures["rms_error"]
    np.testing.assert_allclose(-20 * np.log10(rms), played.figures["psnr"], atol=1e-3)
    assert (played.figures["steps"] == played.figures["length"]).all()


def test_intervals_cover_the_mean() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        low, high = Played({"x": rng.normal(1.0, 2.0, 60)}).interval("x", draws=400)
        hits += low < 1.0 < high
    assert 0.88 < hits / 200 < 0.99


def test_a_paired_difference_is_narrower_than_the_scatter_of_episodes() -> None:
    rng = np.random.default_rng(0)
    scatter = rng.normal(0, 5, 100)
    first, second = Played({"x": scatter + 1 + rng.normal(0, 0.1, 100)}), Played({"x": scatter})
    gap, low, high = difference(first, second, "x")
    assert abs(gap - 1) < 0.05
    assert high - low < 0.1


def test_structural_similarity_is_that_of_scikit_image() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((3, 40, 32)).cumsum(1).astype(np.float32) / 20
    other = image + rng.normal(0, 0.1, image.shape).astype(np.float32)
    found = ssim(torch.from_numpy(image), torch.from_numpy(other))
    expected = [
        structural_similarity(a, b, data_range=1.0, gaussian_weights=True, use_sample_covariance=False)
        for a, b in zip(image, other, strict=True)
    ]
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from beamwright.experiment import Experiment
from beamwright.tasks import TaskData
from beamwright.tasks.cases import Cases
from beamwright.tasks.classical import bm3d, gaussian, tuned
from beamwright.tasks.denoise import Denoise
from beamwright.tasks.evaluation import mean_squared_error
from beamwright.tasks.fields import Field, Frames

Make = Callable[..., Experiment]


@pytest.fixture(scope="module")
def blobs() -> tuple[np.ndarray, np.ndarray]:
    """A field of smooth blobs and a noisy image of it."""
    rng = np.random.default_rng(0)
    clean = ndimage.gaussian_filter(rng.standard_normal((128, 128)), 4)
    clean = (50 + 15 * clean / clean.std()).clip(1).astype(np.float32)
    return clean, rng.poisson(clean, (2, *clean.shape)).astype(np.float32)


def prepared(experiment: Make, regime: str, blobs: tuple[np.ndarray, np.ndarray]) -> TaskData:
    clean, noisy = blobs
    data = Denoise().prepare(experiment(regime))
    field = {
        "clean": Field("a", Frames((noisy[:1],)), Frames((clean[None],))),
        "noise2noise": Field("a", Frames((noisy,))),
        "blind_spot": Field("a", Frames((noisy[:1],))),
    }[regime]
    return replace(data, fields=dict.fromkeys(data.fields, (field,)), data_range={"validation": 80.0})


@pytest.mark.parametrize("regime", ["clean", "noise2noise", "blind_spot"])
def test_every_row_beats_the_noisy_input(experiment: Make, blobs: tuple[np.ndarray, np.ndarray], regime: str):
    data = prepared(experiment, regime, blobs)
    task, cases = Denoise(), Cases(data, "validation")
    rows = {name: (parameters, predict) for name, parameters, predict in task.baselines(data)}
    assert [*rows][:5] == ["noisy input", "gaussian", "median", "total variation", "non-local means"]
    error = {name: mean_squared_error(predict, cases) for name, (_, predict) in rows.items()}
    assert min(error, key=error.__getitem__) != "noisy input"
    assert max(error, key=error.__getitem__) == "noisy input"
    for parameters, predict in rows.values():
        assert json.loads(json.dumps(parameters)) == parameters
        result = predict(cases[0].shown)
        assert (result.shape, result.dtype) == ((128, 128), np.float32)


@pytest.mark.parametrize("regime", ["clean", "noise2noise", "blind_spot"])
def test_the_width_is_the_best(experiment: Make, blobs: tuple[np.ndarray, np.ndarray], regime: str):
    """Against the truth the tuned Gaussian is within 0.1 dB of the best of a hundred widths."""
    data, truth = (prepared(experiment, name, blobs) for name in (regime, "clean"))
    cases = Cases(truth, "validation")
    best = min(
        mean_squared_error(lambda i, s=s: gaussian(i, sigma=s), cases) for s in np.geomspace(0.3, 8, 100)
    )
    rows = tuned(Cases(data, "validation"), data)
    found = next(predict for name, _, predict in rows if name == "gaussian")
    assert 10 * np.log10(mean_squared_error(found, cases) / best) < 0.1


def test_bm3d_is_a_row_where_it_is_installed(blobs: tuple[np.ndarray, np.ndarray]):
    pytest.importorskip("bm3d", reason="its licence is non-commercial, so it is an extra")
    clean, noisy = blobs
    result = bm3d(noisy[0], sigma=7.0)
    assert np.mean((result - clean) ** 2) < 0.3 * np.mean((noisy[0] - clean) ** 2)

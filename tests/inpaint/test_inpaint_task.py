"""The task: preparation, regimes, batches, losses, figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from beamwright.data import add_noise
from beamwright.errors import DataError, ExperimentError
from beamwright.experiment import Experiment, NoiseConfig, load_experiment
from beamwright.search_spaces import SPACES, Recipe
from beamwright.starting import write_experiment
from beamwright.tasks.inpaint import Inpaint
from beamwright.tasks.inpaint_cases import SparseCase, SparseCases
from beamwright.tasks.inpaint_evaluation import evaluate_inpainting
from beamwright.tasks.losses import expected_error_loss, log_mse
from beamwright.testing import check_task

Make = Callable[..., Experiment]
RECIPE = Recipe(batch_size=3, patch_size=64, loss="log_mse")


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five waves: clean, movies of two noisy frames of 100 electrons, and with an offset below zero."""
    root, rng = tmp_path_factory.mktemp("scans"), np.random.default_rng(0)
    y, x = np.mgrid[:72, :80]
    for folder in ("clean", "movies", "noisy", "below"):
        (root / folder).mkdir()
    for index in range(5):
        clean = 100 + 60 * np.sin(x / 8 + index) * np.cos(y / 9)
        frames = np.stack([add_noise(clean, NoiseConfig(dose=100), rng) for _ in range(2)])
        images = {"clean": clean, "movies": frames, "noisy": frames[0], "below": clean - 120}
        for folder, pixels in images.items():
            np.save(root / folder / f"{index}.npy", pixels.astype(np.float32))
    return root


def _experiment(folder: Path, **data: Any) -> Experiment:
    return Experiment.model_validate({"task": "inpaint", "data": {"train": str(folder), **data}})


def test_simulated_data_conform(simulated: Make) -> None:
    check_task(Inpaint, simulated(patterns={"coverage": [0.02, 0.2]}))


def test_the_example_is_an_experiment(repository: Path) -> None:
    experiment = load_experiment(repository / "examples" / "inpaint-scan.yaml")
    assert experiment.task == "inpaint"
    simulate = [getattr(experiment.data, role).simulate for role in ("train", "validation", "test")]
    assert len({item.seed for item in simulate}) == 3
    assert simulate[2].held_out


@pytest.mark.parametrize("task", ["inpaint", "denoise"])
def test_init_writes_an_experiment_that_is_valid(task: str, scans: Path, tmp_path: Path) -> None:
    path = write_experiment(tmp_path / "experiment.yaml", task=task, data=scans / "clean")
    experiment = load_experiment(path)
    assert experiment.task == task
    assert experiment.data.train.images is not None
    assert Path(experiment.data.train.images[0]).resolve() == (scans / "clean").resolve()
    assert "patterns" in path.read_text() or task == "denoise"


def test_what_the_space_is_told(simulated: Make) -> None:
    limits = Inpaint().prepare(simulated()).limits
    assert (limits.in_channels, limits.out_channels, limits.prefill) == (2, 2, (1.5, 4.0, 12.0))
    for candidate in SPACES.load("inpaint")(limits).portfolio():
        assert candidate.architecture.prefill == (1.5, 4.0, 12.0)
        assert candidate.recipe.patch_size == 64


def test_simulated_images_are_measured_in_counts_per_electron(simulated: Make) -> None:
    data = Inpaint().prepare(simulated(patterns={"dose": [1e6, 1e6], "truncated": 0}))
    assert data.regime == "synthetic"
    assert data.sparse is not None
    assert data.sparse.full_scale == 1
    assert data.sparse.half_dose == pytest.approx(data.mean / data.std**2)
    for case in SparseCases(data, "test"):
        value, dose = case.image
        measured = dose > 0
        assert not value[~measured].any()
        np.testing.assert_allclose(value[measured], case.reference[measured], atol=0.01)


def test_files_keep_their_unit(scans: Path) -> None:
    data = Inpaint().prepare(_experiment(scans / "clean", regime="synthetic", patterns={"dose": 1e6}))
    assert data.sparse is not None
    assert data.sparse.full_scale == pytest.approx(160, rel=0.02)  # the brightest pixels
    batch = Inpaint().sampler(data, RECIPE, seed=0).batch(0)
    measured = batch["input"][:, 1:] > 0
    torch.testing.assert_close(
        batch["input"][:, :1][measured], batch["target"][measured], atol=0.05, rtol=0.05
    )
    given = _experiment(scans / "clean", regime="synthetic", patterns={"full_scale": 500})
    assert Inpaint().prepare(given).sparse.full_scale == 500  # type: ignore[union-attr]


def test_noisy_pixels_that_are_measured_teach_nothing(scans: Path) -> None:
    data = Inpaint().prepare(_experiment(scans / "noisy", noise={"dose": 100}))
    assert data.regime == "blind_spot"
    batch = Inpaint().sampler(data, RECIPE, seed=0).batch(0)
    measured = batch["input"][:, 1:] > 0
    assert not batch["weight"][measured].any()
    assert batch["weight"][~measured].all()
    scores = Inpaint().evaluate(lambda image: image, data, "test")
    assert scores.notes["psnr_kind"] == "masked"
    assert "ssim" not in scores.metrics


def test_a_second_frame_estimates_the_error_to_the_truth(scans: Path) -> None:
    data = Inpaint().prepare(_experiment(scans / "movies", stack="movie", noise={"dose": 100}))
    assert data.regime == "noise2noise"
    y, x = np.mgrid[:72, :80]
    (case, *_) = SparseCases(data, "test")
    index = int(case.name.split(".npy")[0][-1])
    truth = np.float32(100 + 60 * np.sin(x / 8 + index) * np.cos(y / 9))
    errors, _ = case.errors(truth + 10)
    assert case.kind == "unbiased"
    assert errors.mean() == pytest.approx(100, rel=0.15)
    assert set(np.unique(case.image[1])) == {0.0, 100.0}


def test_few_fields_are_measured_along_several_patterns(simulated: Make) -> None:
    data = Inpaint().prepare(simulated())
    cases = SparseCases(data, "test")
    assert len(data.fields["test"]) == 2
    assert len(cases) == 6
    kinds = {case.name.split(", ")[1].split()[0] for case in cases}
    assert kinds == {"segments", "spiral", "lissajous", "raster", "grid", "jittered"}
    assert len(SparseCases(data, "test", 64 * 64)) == 1
    assert Inpaint().evaluate(lambda image: image, data, "test").interval_over == "blocks"


def test_intensity_below_zero_is_no_count(scans: Path) -> None:
    with pytest.raises(DataError, match=r"counts electrons in clean images: none below zero .* blind_spot"):
        Inpaint().prepare(_experiment(scans / "below", regime="synthetic"))


def test_simulated_images_have_no_noise_to_learn(simulated: Make) -> None:
    with pytest.raises(DataError, match=r'"noise2noise" needs recorded images, and data.train simulates'):
        Inpaint().prepare(simulated(regime="noise2noise"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"train": {"simulate": {}, "images": "x"}}, "either images, which are paths, or simulate"),
        ({"train": {}}, "either images, which are paths, or simulate"),
        ({"train": {"simulate": {}, "targets": "x"}}, "are clean and need no targets; remove targets"),
        ({"train": {"simulate": {"cont": 3}}}, "data.train.simulate.cont: there is no such key. Did you m"),
        ({"train": "x", "patterns": {"coverage": [0.2, 0.1]}}, "coverage = [0.2, 0.1] must be above zero,"),
        ({"train": "x", "patterns": {"coverage": 2}}, "coverage = 2 is a share of pixels and must not"),
        ({"train": "x", "patterns": {"dose": 0}}, "dose = [0, 0] must be above zero"),
        ({"train": "x", "patterns": {"kinds": ["spirals"]}}, 'Did you mean "spiral"?'),
    ],
)
def test_faults_in_a_file(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ExperimentError) as raised:
        load_experiment({"task": "inpaint", "data": data})
    assert words in str(raised.value)


def test_a_simulated_experiment_round_trips(simulated: Make) -> None:
    experiment = simulated(patterns={"coverage": 0.05})
    assert experiment.data.patterns.coverage == (0.05, 0.05)
    assert load_experiment(yaml.safe_load(experiment.to_yaml())) == experiment


def test_log_mse_weighs_images_alike() -> None:
    target = torch.zeros(2, 1, 8, 8)
    easy, hard = torch.full((1, 1, 8, 8), 1.0), torch.full((1, 1, 8, 8), 10.0)
    weight = torch.ones_like(target)
    before = log_mse(torch.cat([easy, hard]), target, weight)
    for better in (torch.cat([easy / 2, hard]), torch.cat([easy, hard / 2])):
        assert before - log_mse(better, target, weight) == pytest.approx(np.log(4) / 2, rel=0.01)


def test_the_forecast_is_best_at_the_expected_error() -> None:
    drawn = np.random.default_rng(0).chisquare(1, (1, 1, 64, 64))
    squared = 0.03 * torch.from_numpy(drawn.astype(np.float32))
    logarithm = torch.zeros(1, 1, 1, 1, requires_grad=True)
    weight = torch.ones_like(squared)
    optimiser = torch.optim.Adam([logarithm], lr=0.1)
    for _ in range(150):
        optimiser.zero_grad()
        loss = expected_error_loss(logarithm.expand_as(squared), squared, weight)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert logarithm.item() == pytest.approx(float(squared.mean().log()), abs=0.02)


def test_the_image_is_not_traded_for_the_forecast() -> None:
    batch = {"target": torch.zeros(1, 1, 4, 4), "weight": torch.ones(1, 1, 4, 4)}
    gradients = []
    for logarithm in (-3.0, 3.0):
        output = torch.full((1, 2, 4, 4), 0.5)
        output[:, 1] = logarithm
        output.requires_grad_()
        Inpaint().loss(output, batch, RECIPE).backward()  # type: ignore[no-untyped-call]
        assert output.grad is not None
        gradients.append(output.grad)
    torch.testing.assert_close(gradients[0][:, 0], gradients[1][:, 0])
    assert (gradients[0][:, 1] < 0).all()
    assert (gradients[1][:, 1] > 0).all()


def _always(output: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda _: output


def _case(error: np.ndarray) -> tuple[SparseCase, np.ndarray]:
    """A case with a given error of the image."""
    reference = np.random.default_rng(1).random(error.shape).astype(np.float32)
    image = np.stack([reference, np.ones_like(reference)])
    return SparseCase("x", image, reference, "clean"), reference + error


def test_a_true_forecast_has_full_correlation_and_no_bias() -> None:
    rng = np.random.default_rng(0)
    spread = np.float32(0.01 + 0.2 * (np.indices((96, 96)).sum(0) / 192))
    case, image = _case(spread * rng.choice([-1, 1], (96, 96)).astype(np.float32))
    forecast = np.log(spread**2)
    good = evaluate_inpainting(lambda _: np.stack([image, forecast]), [case], data_range=1).metrics
    assert good["error_correlation"] > 0.999
    assert good["error_bias"] < 0.01
    bold = evaluate_inpainting(lambda _: np.stack([image, forecast - 1]), [case], data_range=1).metrics
    assert bold["error_bias"] == pytest.approx(10 / np.log(10), rel=0.01)
    assert bold["psnr"] == good["psnr"] == pytest.approx(-10 * np.log10((spread**2).mean()), abs=0.01)
    alone = evaluate_inpainting(lambda _: image, [case], data_range=1).metrics
    assert alone.keys() == {"psnr", "ssim"}


def test_extreme_and_flat_forecasts_are_measured() -> None:
    case, image = _case(np.full((32, 32), 0.1, np.float32))
    for forecast in (1e30, -1e30, 0.0):
        output = np.stack([image, np.full_like(image, forecast)])
        metrics = evaluate_inpainting(_always(output), [case], data_range=1).metrics
        assert metrics["error_correlation"] == 0
        assert np.isfinite(metrics["error_bias"])

"""Every registered space and task is held to the suites, and the suites catch what is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from beamwright.errors import SpaceError
from beamwright.experiment import Experiment
from beamwright.search_spaces import SPACES, Candidate, SpaceLimits
from beamwright.search_spaces.denoise import DenoiseSpace
from beamwright.tasks import TASKS, Metric, Scores, TaskData
from beamwright.tasks.denoise import Denoise
from beamwright.testing import check_space, check_task
from beamwright.testing.expecting import difference

SPACE_CASES = {
    "denoise": (
        SpaceLimits(),
        SpaceLimits(ndim=1, patch_sizes=(32, 64), in_channels=2, local_only=False),
        SpaceLimits(ndim=3, patch_sizes=(16,), losses=("l2",), max_levels=2),
        SpaceLimits(fixed={"width": 8, "optimizer": "sgd"}),
    ),
    "inpaint": (
        SpaceLimits(in_channels=2, out_channels=2, prefill=(2.0,), patch_sizes=(64,), losses=("log_mse",)),
    ),
}
TASK_CASES = {
    "denoise": ("clean", "synthetic", "noise2noise", "blind_spot"),
    "inpaint": ("synthetic", "noise2noise", "blind_spot"),
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Experiment]:
    """Five small fields, for each regime."""
    root, rng = tmp_path_factory.mktemp("fields"), np.random.default_rng(0)
    y, x = np.mgrid[:80, :72]
    for folder in ("clean", "noisy", "movies"):
        (root / folder).mkdir()
    for index in range(5):
        clean = (12 + 5 * np.sin(0.6 * x + index) + 5 * np.cos(0.5 * y - index)).astype(np.float32)
        frames = rng.poisson(clean, (2, *clean.shape)).astype(np.float32)
        for folder, pixels in (("clean", clean), ("noisy", frames[0]), ("movies", frames)):
            np.save(root / folder / f"{index}.npy", pixels)
    train = {
        "clean": {"images": str(root / "noisy"), "targets": str(root / "clean")},
        "synthetic": str(root / "clean"),
        "noise2noise": str(root / "movies"),
        "blind_spot": str(root / "noisy"),
    }
    return {
        regime: Experiment.model_validate({"task": "denoise", "data": {"train": paths, "regime": regime}})
        for regime, paths in train.items()
    }


@pytest.mark.parametrize("name", SPACES.names())
def test_registered_spaces_conform(name: str) -> None:
    assert name in SPACE_CASES, f'the space "{name}" is registered and has no case here; add its limits'
    for limits in SPACE_CASES[name]:
        check_space(SPACES.load(name), limits=limits, samples=4)


@pytest.mark.parametrize("name", TASKS.names())
def test_registered_tasks_conform(name: str, experiments: dict[str, Experiment]) -> None:
    assert name in TASK_CASES, f'the task "{name}" is registered and has no case here; add its experiments'
    for case in TASK_CASES[name]:
        check_task(TASKS.load(name), experiments[case])


class NoProjection(DenoiseSpace):
    project = None  # type: ignore[assignment]


class Stubborn(DenoiseSpace):
    """Does not obey what is fixed."""

    def __init__(self, limits: SpaceLimits) -> None:
        super().__init__(limits)
        self.limits = limits.model_copy(update={"fixed": {}})

    def __call__(self, trial: Any) -> Candidate:
        return super().__call__(trial)


class Sloppy(DenoiseSpace):
    """Falls back to the default of what is fixed."""

    def __call__(self, trial: Any) -> Candidate:
        candidate = super().__call__(trial)
        if "ema" not in self.limits.fixed:
            return candidate
        return candidate.model_copy(update={"recipe": candidate.recipe.model_copy(update={"ema": 0.5})})


class Unprojected(DenoiseSpace):
    def project(self, candidate: Candidate) -> Candidate:
        return candidate


class Forgetful(DenoiseSpace):
    def parameters(self, candidate: Candidate) -> dict[str, Any]:
        return {key: value for key, value in super().parameters(candidate).items() if key != "norm"}


class Lossy(DenoiseSpace):
    """Comes back with another activation."""

    calls = 0

    def __call__(self, trial: Any) -> Candidate:
        self.calls += 1
        candidate = super().__call__(trial)
        return _architecture(activation=("relu", "elu")[self.calls % 2])(candidate)


def _recipe(**changes: Any) -> Callable[[Candidate], Candidate]:
    return lambda candidate: candidate.model_copy(
        update={"recipe": candidate.recipe.model_copy(update=changes)}
    )


def _architecture(**changes: Any) -> Callable[[Candidate], Candidate]:
    return lambda candidate: candidate.model_copy(
        update={"architecture": candidate.architecture.model_copy(update=changes)}
    )


def _returning(change: Callable[[Candidate], Any]) -> type[DenoiseSpace]:
    class Changed(DenoiseSpace):
        def __call__(self, trial: Any) -> Candidate:
            return change(super().__call__(trial))

    return Changed


def _starting(change: Callable[[tuple[Candidate, ...]], tuple[Candidate, ...]]) -> type[DenoiseSpace]:
    class Changed(DenoiseSpace):
        def portfolio(self) -> tuple[Candidate, ...]:
            return change(super().portfolio())

    return Changed


def _anything_goes(limits: SpaceLimits) -> DenoiseSpace:
    known = DenoiseSpace(SpaceLimits()).table
    fixed = {name: value for name, value in limits.fixed.items() if name in known and value in known[name]}
    return DenoiseSpace(limits.model_copy(update={"fixed": fixed}))


def _curt(limits: SpaceLimits) -> DenoiseSpace:
    try:
        return DenoiseSpace(limits)
    except SpaceError:
        raise SpaceError("Wrong.") from None


def _python_error(limits: SpaceLimits) -> DenoiseSpace:
    try:
        return DenoiseSpace(limits)
    except SpaceError:
        raise KeyError("width") from None


BROKEN_SPACES = {
    r"A space needs the method project": NoProjection,
    r"space\(trial\) must return a Candidate, not None": _returning(lambda candidate: None),
    r"space\(trial\) raised ZeroDivisionError": _returning(lambda candidate: 1 // 0),
    r"in_channels = 2 of a candidate must be that of the limits, 1": _returning(_architecture(in_channels=2)),
    r"patch_size = 7 must be one of limits.patch_sizes": _returning(_recipe(patch_size=7)),
    r'loss = "l3" must be one of limits.losses': _returning(_recipe(loss="l3")),
    r"levels of a candidate must not exceed limits.max_levels": lambda limits: DenoiseSpace(
        limits.model_copy(update={"max_levels": 4, "fixed": {"levels": 3}})
    ),
    r"limits.local_only forbids norm = instance": _returning(_architecture(norm="instance")),
    r"space.parameters must answer what a trial is asked for, .* it differs in norm": Forgetful,
    r"A sampled candidate must come back from its parameters": Lossy,
    r"must have at least one known-good candidate": _starting(lambda members: ()),
    r"holds a candidate twice": _starting(lambda members: (members[0], members[0])),
    r"space.parameters of 'unet' in the portfolio raised SpaceError": _starting(
        lambda members: (_recipe(grad_clip=0.7)(members[0]),)
    ),
    r"A space with \w+ = .* fixed, which must not suggest it, raised": Stubborn,
    r"ema = .* is fixed, and the space gives another value": Sloppy,
    r"is fixed, and space.project does not obey it": Unprojected,
    r"space.fix: \w+x = 1 must raise SpaceError, and the space takes it": _anything_goes,
    r'The error for space.fix: \w+x = 1 must name "\w+"; it says: Wrong': _curt,
    r"must raise SpaceError, not KeyError": _python_error,
}


@pytest.mark.parametrize("message", BROKEN_SPACES)
def test_broken_spaces_are_caught(message: str) -> None:
    limits = SpaceLimits(max_levels=2, patch_sizes=(32, 48))
    with pytest.raises(AssertionError, match=message):
        check_space(BROKEN_SPACES[message], limits=limits, samples=3)


def test_networks_that_do_not_train_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bad(torch.nn.Module):
        def __init__(self, crop: int, factor: float) -> None:
            super().__init__()
            self.crop, self.weight = crop, torch.nn.Parameter(torch.tensor(factor))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[..., : x.shape[-1] - self.crop] * self.weight

    monkeypatch.setattr("beamwright.testing.spaces.build", lambda *_, **__: Bad(1, 1.0))
    with pytest.raises(AssertionError, match=r"An image of \(21, 38\) pixels must keep its size"):
        check_space(DenoiseSpace, samples=1)
    monkeypatch.setattr("beamwright.testing.spaces.build", lambda *_, **__: Bad(0, float("inf")))
    with pytest.raises(AssertionError, match=r"A training step must give finite gradients"):
        check_space(DenoiseSpace, samples=1)


class Counting(Denoise):
    """Prepares something else every time."""

    count = 0

    def prepare(self, experiment: Experiment) -> TaskData:
        Counting.count += 1
        return replace(super().prepare(experiment), mean=float(Counting.count))


class Unpicklable(Denoise):
    def prepare(self, experiment: Experiment) -> TaskData:
        return replace(super().prepare(experiment), provenance={"a": lambda: 0})  # type: ignore[dict-item]


def _preparing(**changes: Any) -> type[Denoise]:
    class Changed(Denoise):
        def prepare(self, experiment: Experiment) -> TaskData:
            return replace(super().prepare(experiment), **changes)

    return Changed


class Batches:
    """Batches of the task, changed."""

    def __init__(self, inner: Any, change: Callable[[int, dict[str, torch.Tensor]], dict[str, Any]]) -> None:
        self.inner, self.change, self.asked = inner, change, 0

    def batch(self, step: int) -> dict[str, torch.Tensor]:
        self.asked += 1
        return self.change(self.asked, self.inner.batch(step))


def _feeding(change: Callable[[int, dict[str, torch.Tensor]], dict[str, Any]]) -> type[Denoise]:
    class Changed(Denoise):
        def sampler(self, data: TaskData, recipe: Any, *, seed: int) -> Any:
            return Batches(super().sampler(data, recipe, seed=seed), change)

    return Changed


def _constant(asked: int, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: torch.ones_like(value) for name, value in batch.items()}


def _with(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> type[Denoise]:
    return _feeding(lambda asked, batch: {**batch, name: change(batch[name])})


def _losing(change: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> type[Denoise]:
    class Changed(Denoise):
        def loss(self, output: torch.Tensor, batch: Any, recipe: Any) -> torch.Tensor:
            return change(output, super().loss(output, batch, recipe))

    return Changed


def _scoring(change: Callable[[Scores], Any]) -> type[Denoise]:
    class Changed(Denoise):
        def evaluate(self, predict: Any, data: TaskData, role: Any, **limits: Any) -> Any:
            return change(super().evaluate(predict, data, role, **limits))

    return Changed


def _figures(**changes: float) -> type[Denoise]:
    return _scoring(lambda scores: replace(scores, metrics={**scores.metrics, **changes}))


class Drifting(Denoise):
    count = 0.0

    def evaluate(self, *inputs: Any, **limits: Any) -> Scores:
        Drifting.count += 1
        scores = super().evaluate(*inputs, **limits)
        return replace(scores, metrics={**scores.metrics, "psnr": Drifting.count})


class ByLibrary(Denoise):
    """Gives results a bonus that are views of another library's memory."""

    def evaluate(self, predict: Any, data: TaskData, role: Any, **limits: Any) -> Scores:
        scores = super().evaluate(predict, data, role, **limits)
        output = predict(np.zeros((20, 20), np.float32) + np.eye(20, dtype=np.float32))
        bonus = 0.0 if output.base is None else 1.0
        return replace(scores, metrics={**scores.metrics, "psnr": scores.metrics["psnr"] + bonus})


class Doubling(Denoise):
    def evaluate(self, predict: Any, data: TaskData, role: Any, **limits: Any) -> Scores:
        return super().evaluate(lambda image: predict(image.astype(np.float64)), data, role, **limits)


class Scribbling(Denoise):
    """Writes on the data that all trials share."""

    def evaluate(self, predict: Any, data: TaskData, role: Any, **limits: Any) -> Scores:
        scores = super().evaluate(predict, data, role, **limits)
        data.fields["train"][0].frames[0][0, 0] = -1
        return scores


def _showing(change: Callable[[list[dict[str, Any]]], Any]) -> type[Denoise]:
    class Changed(Denoise):
        def examples(self, *inputs: Any, **options: Any) -> Any:
            return change(super().examples(*inputs, **options))

    return Changed


def _comparing(*rows: tuple[str, dict[str, Any], Any]) -> type[Denoise]:
    class Changed(Denoise):
        def baselines(self, data: TaskData) -> Iterator[Any]:
            yield from rows

    return Changed


def _same(image: np.ndarray) -> np.ndarray:
    return image


def _having(**attributes: Any) -> type[Denoise]:
    return type("Changed", (Denoise,), attributes)


BROKEN_TASKS: dict[str, type[Denoise]] = {
    r"task.kind = 'guess' must be one of": _having(kind="guess"),
    r"task.default_space = 'nowhere' is not registered": _having(default_space="nowhere"),
    r"task.metrics must be Metric records, each with a summary": _having(
        metrics=(Metric("psnr", "dB", True, ""),)
    ),
    r"task.metrics = \['psnr', 'psnr'\] must have different names": _having(metrics=(Denoise.quality,) * 2),
    r"task.quality = 'psnr' must be among task.metrics": _having(metrics=Denoise.metrics[1:]),
    r"task.prepare must give the same every time; mean differs": Counting,
    r"Pickling TaskData, which goes to every worker, raised": Unpicklable,
    r'task.prepare must resolve the regime "auto"': _preparing(regime="auto"),
    r"TaskData.fields needs images for each of": _preparing(fields={"train": ()}),
    r"The normalisation must be finite and std positive": _preparing(std=0.0),
    r"TaskData.provenance must have the SHA-256 of every file": _preparing(provenance={}),
    r"A batch needs input, target and weight": _feeding(lambda asked, batch: {"input": batch["input"]}),
    r"target of a batch must have the shape": _with("target", lambda x: x[:, :, 1:]),
    r"input of a batch must be float32, not torch.float64": _with("input", torch.Tensor.double),
    r"input of a batch must be finite": _with("input", lambda x: x / 0),
    r"weight of a batch must not be zero everywhere": _with("weight", torch.zeros_like),
    r"A batch must follow from the seed and the step alone": _feeding(
        lambda asked, batch: {**batch, "input": batch["input"] + asked}
    ),
    r"Batches must differ from one step to the next": _feeding(_constant),
    r"must be a float32 scalar": _losing(lambda output, loss: output),
    r"must be finite, not inf": _losing(lambda output, loss: loss / 0),
    r'The gradient of the loss "\w+" raised RuntimeError': _losing(lambda output, loss: loss.detach()),
    r"Figures must be promised in task.metrics: \['sharpness'\] are not": _figures(sharpness=1.0),
    r"must give the quality 'psnr' on the validation split, a finite number": _figures(psnr=float("nan")),
    r"Scores.per_image must have a row": _scoring(lambda scores: replace(scores, per_image=())),
    r"task.evaluate must return Scores, not dict": _scoring(lambda scores: scores.metrics),
    r"task.evaluate must give the same every time": Drifting,
    r"psnr must not depend on the library": ByLibrary,
    r"A predictor takes numpy float32 in raw counts, not float64": Doubling,
    r"Measuring must leave the TaskData alone, which all trials share: fields.train\[0\]": Scribbling,
    r"task.examples with count=1 must give one picture, not 0": _showing(lambda examples: []),
    r"A picture needs input, output and target": _showing(lambda examples: [{"input": None}]),
    r"The output of a picture must be what the predictor makes": _showing(
        lambda examples: [{**examples[0], "output": examples[0]["input"]}]
    ),
    r"task.baselines must have at least one row": _comparing(),
    r"task.baselines = \['one', 'one'\] must have different names": _comparing(
        ("one", {}, _same), ("one", {}, _same)
    ),
    r"The parameters of 'odd', which go into a JSON file, raised": _comparing(
        ("odd", {"a": object()}, _same)
    ),
    r"The classical row 'wrong' raised": _comparing(("wrong", {}, lambda image: image[1:])),
    r"The psnr of 'nothing' is nan": _comparing(("nothing", {}, lambda image: image * np.nan)),
}


@pytest.mark.parametrize("message", BROKEN_TASKS)
def test_broken_tasks_are_caught(message: str, experiments: dict[str, Experiment]) -> None:
    with pytest.raises(AssertionError, match=message):
        check_task(BROKEN_TASKS[message], experiments["noise2noise"])


def test_differences_are_named() -> None:
    array = np.arange(3.0)
    assert difference({"a": [array, 1]}, {"a": [array.copy(), 1]}) == ""
    assert difference({"a": [array, 1]}, {"a": [array + 1, 1]}) == "a[0]"
    assert difference({"a": 1}, {"b": 1}) == "the keys"
    assert difference([1, 2], [1]) == "the length"
    assert difference(array, array.astype(np.float32)) == "the array"
    assert difference(Path("a"), "a") == "the type"
    assert difference(float("nan"), float("nan")) == ""

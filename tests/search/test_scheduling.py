from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beamwright.errors import ExperimentError
from beamwright.experiment import ResourcesConfig, SearchConfig, load_experiment
from beamwright.search.limits import Limits
from beamwright.search.objectives import resolve_objectives
from beamwright.search.progress import format_seconds, sparkline
from beamwright.search.replay import PastTrial
from beamwright.search.schedulers import SCHEDULERS, make_scheduler
from beamwright.search.stopping import SearchStopper
from beamwright.search_spaces import Cost
from beamwright.tasks import Metric

PSNR = Metric("psnr", "dB", True, "")
NOBODY = SimpleNamespace(get_live_trials=list)


def _experiment(**search: Any) -> Any:
    return load_experiment({"task": "denoise", "data": {"train": "x"}, "search": {"trials": 30, **search}})


def _decide(scheduler: Any, curves: dict[int, list[float]], *, known: dict[int, int]) -> dict[int, int]:
    """Play curves one trial after another; return the epoch at which each was stopped."""
    ended = {}
    for number, curve in curves.items():
        trial = PastTrial(str(number), {"number": number})
        scheduler.on_trial_add(NOBODY, trial)
        result = {}
        for epoch, value in list(enumerate(curve, 1))[known.get(number, 0) :]:
            result = {"epoch": epoch, "psnr": value}
            ended[number] = epoch
            if scheduler.on_trial_result(NOBODY, trial, result) == "STOP":
                break
        scheduler.on_trial_complete(NOBODY, trial, result)
    return ended


@pytest.mark.parametrize("name", ["asha", "median"])
@settings(max_examples=20, deadline=None)
@given(
    curves=st.lists(st.lists(st.floats(0, 40), min_size=9, max_size=9), min_size=4, max_size=8),
    cut=st.integers(1, 3),
)
def test_a_replayed_scheduler_decides_like_one_that_saw_everything(
    name: str, curves: list[list[float]], cut: int
) -> None:
    experiment = _experiment(scheduler=name, grace_epochs=1)
    numbered = dict(enumerate(curves))
    whole = _decide(make_scheduler(experiment, PSNR, history=lambda n: ()), numbered, known={})
    past = {
        number: [{"epoch": e, "psnr": v} for e, v in enumerate(numbered[number][: whole[number]], 1)]
        for number in range(cut)
    }
    resumed = make_scheduler(experiment, PSNR, history=lambda number: past.get(number, ()))
    resumed.replay_ended(range(cut))
    rest = {number: curve for number, curve in numbered.items() if number >= cut}
    assert _decide(resumed, rest, known={}) == {n: e for n, e in whole.items() if n >= cut}


def test_asha_stops_the_weak_and_keeps_the_strong() -> None:
    scheduler = make_scheduler(_experiment(scheduler="asha"), PSNR, history=lambda n: ())
    curves = {n: [20.0 + n] * 20 for n in (5, 4, 3, 2, 1)}
    ended = _decide(scheduler, curves, known={})
    assert ended[5] == 20
    assert ended[1] == 1


@pytest.mark.parametrize("name", SCHEDULERS.names())
def test_every_scheduler_can_be_made(name: str) -> None:
    assert make_scheduler(_experiment(scheduler=name), PSNR, history=lambda n: ()) is not None


def test_limits_tell_what_is_broken_and_by_how_much() -> None:
    cost = Cost(parameters=2_000, macs_per_pixel=100.0, training_bytes=2**30, inference_bytes_per_pixel=10.0)
    limits = Limits(parameters=1_000, macs=200, memory=4)
    violations = limits.violations(cost)
    assert violations["parameters"] == pytest.approx(1.0)
    assert violations["multiply-adds per pixel"] == pytest.approx(-0.5)
    assert limits.explain(cost) == "parameters 2e+03 above 1e+03"
    assert Limits().violations(cost) == {}
    assert Limits(latency=10).latency_violation(15) == {"latency": pytest.approx(0.5)}


def test_objectives_are_checked() -> None:
    assert [item.key for item in resolve_objectives(SearchConfig(objectives=("quality", "macs")), PSNR)] == [
        "psnr",
        "macs",
    ]
    with pytest.raises(ExperimentError, match=r'no objective "latenz".* Did you mean "latency"'):
        resolve_objectives(SearchConfig(objectives=("quality", "latenz")), PSNR)
    with pytest.raises(ExperimentError, match='"cmaes" takes one objective'):
        resolve_objectives(SearchConfig(sampler="cmaes", objectives=("quality", "macs")), PSNR)


def test_stopper_knows_target_and_time() -> None:
    stopper = SearchStopper(SearchConfig(target=30.0), PSNR, spent=0)
    assert not stopper("a", {"psnr": 29.0})
    assert not stopper.stop_all()
    stopper("a", {"psnr": 30.0})
    assert stopper.stop_all()
    assert stopper.reason == "the target 30 was reached"
    assert SearchStopper(SearchConfig(hours=0.01), PSNR, spent=100).reason == "its time was up"
    assert not SearchStopper(SearchConfig(hours=0.01), PSNR, spent=1).reason


def test_more_than_the_machine_has_is_an_error_and_not_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    from beamwright.search.session import plan_slots, resolve_gpus

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0, "GPU": 1.0, "memory": 8 * 2**30})
    with pytest.raises(
        ExperimentError, match=r"resources\.cpus = 5 is more than there is: 4\. Set resources\.cpus"
    ):
        plan_slots(ResourcesConfig(cpus=5, gpus=0))
    with pytest.raises(ExperimentError, match=r"resources\.gpus = 2 is more than there is: 1"):
        plan_slots(ResourcesConfig(gpus=2))
    assert plan_slots(ResourcesConfig(cpus=1, gpus=0.5)).count == 2
    assert resolve_gpus(ResourcesConfig()).gpus == 1
    assert resolve_gpus(ResourcesConfig(device="cpu")).gpus == 0
    assert resolve_gpus(ResourcesConfig(gpus=0.25)).gpus == 0.25
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 4.0, "memory": 8 * 2**30})
    assert resolve_gpus(ResourcesConfig()).gpus == 0
    assert plan_slots(ResourcesConfig(cpus=1, gpus=0, concurrent=3)).count == 3
    assert plan_slots(ResourcesConfig(cpus=2, gpus=0)).memory == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.4, "59 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")]
)
def test_durations_read_as_people_say_them(seconds: float, words: str) -> None:
    assert format_seconds(seconds) == words


def test_sparkline_goes_from_low_to_high() -> None:
    assert sparkline([1, 2, 3]) == "▁▄█"
    assert sparkline([]) == ""
    assert sparkline([5, 5]) == "▁▁"
    assert len(sparkline(list(range(100)))) == 24

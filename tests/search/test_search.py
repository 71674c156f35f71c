"""Whole searches through the command line, with real workers and real kills."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import beamwright, kill, start_beamwright

from beamwright.search.journal import Journal
from beamwright.tracking import RunFolder

pytestmark = pytest.mark.slow
Writer = Callable[[dict[str, Any]], Path]


def _run(write: Writer, content: dict[str, Any], *arguments: str, **options: Any) -> RunFolder:
    result = beamwright("run", str(write(content)), *arguments, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return RunFolder.latest(content["storage"])


def _wait(condition: Callable[[], bool], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def _wait_for_epochs(root: Path, name: str, count: int) -> None:
    def epochs() -> int:
        return sum(
            len(path.read_text().splitlines()) for path in root.glob(f"{name}-*/trials/*/metrics.jsonl")
        )

    _wait(lambda: epochs() >= count)


def _curves(run: RunFolder) -> dict[int, list[float]]:
    return {trial.number: [entry["psnr"] for entry in trial.metrics()] for trial in run.trials()}


def test_a_search_leaves_a_run_that_explains_itself(tiny: dict[str, Any], write_experiment: Writer) -> None:
    result = beamwright("run", str(write_experiment(tiny)))
    assert result.returncode == 0, result.stdout + result.stderr
    run = RunFolder.latest(tiny["storage"])
    for name in ("experiment.yaml", "fingerprint.json", "study.journal", "baselines.json", "test.json"):
        assert (run.path / name).is_file(), name
    for name in ("leaderboard.json", "leaderboard.csv", "report.html"):
        assert (run.path / name).is_file(), name
    assert run.state == "finished"
    assert [record.state for record in run.records()] == ["finished"] * 3
    assert run.records()[0].name == "unet"
    assert all(record.deployed and record.latency for record in run.records())
    assert "gaussian" in result.stdout
    assert "on the test split: psnr" in result.stdout
    assert "3 trials finished" in result.stdout
    assert not (run.path / "ray").exists()


def test_the_resolved_file_runs_again_to_the_same_result(
    tiny: dict[str, Any], write_experiment: Writer
) -> None:
    tiny["search"] |= {"sampler": "tpe"}
    first = _run(write_experiment, tiny)
    result = beamwright("run", str(first.path / "experiment.yaml"))
    assert result.returncode == 0, result.stderr
    second = RunFolder.latest(tiny["storage"])
    assert second.path != first.path
    assert [r.parameters for r in second.records()] == [r.parameters for r in first.records()]
    assert _curves(second) == _curves(first)


@pytest.mark.parametrize(("scheduler", "moments"), [("asha", (3, 8)), ("median", (6,))])
def test_killed_at_any_moment_a_search_resumes_to_the_same_result(
    tiny: dict[str, Any], write_experiment: Writer, scheduler: str, moments: tuple[int, ...]
) -> None:
    tiny["search"] |= {"trials": 4, "scheduler": scheduler, "reduction_factor": 2, "sampler": "tpe"}
    tiny["training"] |= {"epochs": 4}
    undisturbed = _run(write_experiment, tiny, "--set", "name=whole")
    for moment in moments:
        process = start_beamwright("run", str(write_experiment(tiny)), "--set", f"name=killed{moment}")
        root = Path(tiny["storage"])
        _wait_for_epochs(root, f"killed{moment}", moment)
        kill(process)
        run = RunFolder(next(root.glob(f"killed{moment}-*")))
        assert run.state == "interrupted"
        result = beamwright("resume", str(run.path))
        assert result.returncode == 0, result.stdout + result.stderr
        assert run.state == "finished"
        assert [r.parameters for r in run.records()] == [r.parameters for r in undisturbed.records()]
        assert [r.state for r in run.records()] == [r.state for r in undisturbed.records()]
        assert _curves(run) == _curves(undisturbed)


def test_interrupted_by_the_keyboard_it_says_how_to_go_on(
    tiny: dict[str, Any], write_experiment: Writer
) -> None:
    tiny["training"] |= {"epochs": 500}
    process = start_beamwright("run", str(write_experiment(tiny)))
    _wait(lambda: any(Path(tiny["storage"]).glob("*/trials/0000/metrics.jsonl")))
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    run = RunFolder.latest(tiny["storage"])
    assert process.returncode == 130
    assert f"go on with: beamwright resume {run.path}" in output
    assert "Traceback" not in output
    assert run.state == "interrupted"


def test_a_running_run_is_not_resumed_twice(tiny: dict[str, Any], write_experiment: Writer) -> None:
    tiny["training"] |= {"epochs": 500}
    process = start_beamwright("run", str(write_experiment(tiny)))
    try:
        _wait(lambda: any(Path(tiny["storage"]).glob("*/trials/0000/metrics.jsonl")))
        result = beamwright("resume", str(RunFolder.latest(tiny["storage"]).path))
        assert result.returncode == 2
        assert "is being driven by process" in result.stderr
    finally:
        kill(process)


def test_a_finished_run_can_be_extended_but_not_changed(
    tiny: dict[str, Any], write_experiment: Writer
) -> None:
    run = _run(write_experiment, tiny)
    before = _curves(run)
    refused = beamwright("resume", str(run.path), "--set", "training.epochs=9")
    assert refused.returncode == 2
    assert 'resume cannot change "training.epochs"' in refused.stderr
    extended = beamwright("resume", str(run.path), "--set", "search.trials=4")
    assert extended.returncode == 0, extended.stderr
    assert len(run.records()) == 4
    assert {number: curve for number, curve in _curves(run).items() if number < 3} == before


def test_a_killed_worker_goes_on_from_its_checkpoint(tiny: dict[str, Any], write_experiment: Writer) -> None:
    tiny["search"] |= {"trials": 1}
    tiny["training"] |= {"epochs": 12}
    undisturbed = _run(write_experiment, tiny, "--set", "name=whole")
    process = start_beamwright("run", str(write_experiment(tiny)), "--set", "name=killed")
    root = Path(tiny["storage"])
    _wait_for_epochs(root, "killed", 3)
    os.kill(_worker_of(process.pid), signal.SIGKILL)
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    run = RunFolder(next(root.glob("killed-*")))
    assert _curves(run) == _curves(undisturbed)


def _worker_of(driver: int) -> int:
    """Return the process that trains for a driver: a descendant that Ray titles after what it runs."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    for pid in parents:
        title = Path(f"/proc/{pid}/cmdline")
        if _descends(pid, driver, parents) and _is_trainable(title):
            return pid
    raise AssertionError("no worker")


def _is_trainable(title: Path) -> bool:
    try:
        words = title.read_bytes()
    except OSError:
        return False
    return words.startswith(b"ray::") and (b"Trainable" in words or b"SearchTrial" in words)


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == ancestor:
            return True
        pid = parents[pid]
    return False


def test_what_cannot_fit_is_recorded_and_skipped(tiny: dict[str, Any], write_experiment: Writer) -> None:
    tiny["space"] |= {"max_parameters": 20_000, "networks": ["unet", "dncnn"]}
    tiny["space"]["fix"].pop("width")
    run = _run(write_experiment, tiny)
    infeasible = [record for record in run.records() if record.state == "infeasible"]
    trained = [record for record in run.records() if record.state == "finished"]
    assert infeasible
    assert len(trained) == 3
    assert all("parameters" in record.reason and "above 2e+04" in record.reason for record in infeasible)
    assert all(record.cost["parameters"] <= 20_000 for record in trained if record.cost)


def test_limits_that_nothing_fits_end_the_search_with_the_reason(
    tiny: dict[str, Any], write_experiment: Writer
) -> None:
    tiny["space"] |= {"max_parameters": 1}
    result = beamwright("run", str(write_experiment(tiny)))
    assert result.returncode == 2
    assert "suggestions in a row did not fit" in result.stderr
    assert "Traceback" not in result.stderr


def test_latency_is_measured_and_limited(tiny: dict[str, Any], write_experiment: Writer) -> None:
    tiny["space"] |= {"max_latency": 1e-6}
    result = beamwright("run", str(write_experiment(tiny)))
    assert result.returncode == 2
    assert "latency" in result.stderr
    assert "above 1e-06" in result.stderr


def test_a_search_in_which_every_trial_failed_says_why(
    tiny: dict[str, Any], write_experiment: Writer, broken_task: dict[str, str]
) -> None:
    tiny["task"] = "broken"
    result = beamwright("run", str(write_experiment(tiny)), env=broken_task | {"BREAK": "always"})
    assert result.returncode == 2
    assert "Not one of 3 trials gave a result" in result.stderr
    assert "3 x failed: RuntimeError: the detector is on fire" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_failing_trial_does_not_end_the_search(
    tiny: dict[str, Any], write_experiment: Writer, broken_task: dict[str, str]
) -> None:
    tiny["task"] = "broken"
    run = _run(write_experiment, tiny, env=broken_task | {"BREAK": "first"})
    states = [record.state for record in run.records()]
    assert states == ["failed", "finished", "finished"]
    assert "detector is on fire" in run.records()[0].reason
    assert "Traceback" in (run.trial(0).path / "error.txt").read_text()


def test_divergence_is_an_outcome(
    tiny: dict[str, Any], write_experiment: Writer, broken_task: dict[str, str]
) -> None:
    tiny["task"] = "broken"
    run = _run(write_experiment, tiny, env=broken_task | {"BREAK": "diverge"})
    assert run.records()[0].state == "failed"
    assert run.records()[0].reason.startswith("The loss is nan in epoch 1, step 0; lower learning_rate")
    assert run.records()[1].state == "finished"


def test_a_worker_that_dies_again_and_again_is_a_failed_trial(
    tiny: dict[str, Any], write_experiment: Writer, broken_task: dict[str, str]
) -> None:
    tiny["task"] = "broken"
    run = _run(write_experiment, tiny, env=broken_task | {"BREAK": "die"})
    assert run.records()[0].state == "failed"
    assert "its worker died" in run.records()[0].reason
    assert [record.state for record in run.records()[1:]] == ["finished", "finished"]


@pytest.fixture
def broken_task(tmp_path: Path) -> dict[str, str]:
    """A task of a user's package, found by its entry point, that breaks as the environment says."""
    package = tmp_path / "site"
    (package / "broken-1.0.dist-info").mkdir(parents=True)
    (package / "broken-1.0.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n"
    )
    (package / "broken-1.0.dist-info" / "entry_points.txt").write_text(
        "[beamwright.tasks]\nbroken = broken:ENTRY\n"
    )
    (package / "broken.py").write_text(
        "import os, signal\n"
        "from beamwright.registry import Entry\n"
        "from beamwright.tasks.denoise import Denoise\n"
        "ENTRY = Entry('broken', 'breaks', 'broken:Broken')\n"
        "class Broken(Denoise):\n"
        "    name = 'broken'\n"
        "    def loss(self, output, batch, recipe):\n"
        "        loss = super().loss(output, batch, recipe)\n"
        "        how = os.environ['BREAK']\n"
        "        textbook = recipe.optimizer == 'adam' and recipe.learning_rate == 1e-3\n"
        "        if how == 'always' or how == 'first' and textbook:\n"
        "            raise RuntimeError('the detector is on fire')\n"
        "        if how == 'diverge' and textbook:\n"
        "            return loss * float('nan')\n"
        "        if how == 'die' and textbook:\n"
        "            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return loss\n"
    )
    return {"PYTHONPATH": str(package)}


def test_several_objectives_and_their_front(tiny: dict[str, Any], write_experiment: Writer) -> None:
    tiny["search"] |= {"objectives": ["quality", "parameters", "latency"], "sampler": "nsga2", "trials": 4}
    run = _run(write_experiment, tiny)
    assert [record.state for record in run.records()] == ["finished"] * 4
    assert "Pareto" in (run.path / "report.html").read_text()


@pytest.mark.parametrize("scheduler", ["hyperband", "pbt"])
def test_schedulers_that_pause_and_clone_trials(
    tiny: dict[str, Any], write_experiment: Writer, scheduler: str
) -> None:
    tiny["search"] |= {"scheduler": scheduler, "population": 4, "trials": 4}
    tiny["training"] |= {"epochs": 6}
    run = _run(write_experiment, tiny)
    states = {record.state for record in run.records()}
    assert "finished" in states
    assert states <= {"finished", "stopped"}
    assert len(run.records()) == 4


def test_the_target_ends_the_search(tiny: dict[str, Any], write_experiment: Writer) -> None:
    tiny["search"] |= {"target": 0.1, "trials": 50}
    run = _run(write_experiment, tiny)
    assert len(run.records()) < 5
    assert run.status.note == "the target 0.1 was reached"
    assert "running" not in {record.state for record in run.records()}


def test_time_ends_the_search_with_what_there_is(tiny: dict[str, Any], write_experiment: Writer) -> None:
    tiny["search"] |= {"hours": 30 / 3600, "trials": 50}
    tiny["training"] |= {"epochs": 5000, "checkpoint_every": 5000}
    run = _run(write_experiment, tiny)
    assert run.status.note == "its time was up"
    assert run.test() is not None
    assert "running" not in {record.state for record in run.records()}


def test_patience_ends_a_trial(tiny: dict[str, Any], write_experiment: Writer) -> None:
    tiny["search"] |= {"trials": 1}
    tiny["training"] |= {"epochs": 200, "patience": 1}
    record = _run(write_experiment, tiny).records()[0]
    assert record.state == "finished"
    assert record.epochs < 200


def test_optuna_opens_the_journal_by_itself(tiny: dict[str, Any], write_experiment: Writer) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    run = _run(write_experiment, tiny)
    storage = JournalStorage(JournalFileBackend(str(run.journal)))
    study = optuna.load_study(study_name=run.name, storage=storage)
    assert len(study.trials) == 3
    assert study.trials[0].user_attrs["name"] == "unet"
    assert study.trials[0].intermediate_values.keys() == {1, 2, 3}
    assert study.best_value == max(record.deployed["psnr"] for record in run.records() if record.deployed)
    assert Journal.__doc__


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("search.sampler=tpee", 'no sampler "tpee". Did you mean "tpe"'),
        ("search.scheduler=ash", 'no scheduler "ash". Did you mean "asha"'),
        ("task=denoize", 'no task "denoize". Did you mean "denoise"'),
        ("space.networks=[unett]", 'no network "unett". Did you mean "unet"'),
        ("space.name=denoisee", 'no space "denoisee"'),
        ("resources.cpus=64", "resources.cpus = 64 is more than there is"),
        ("data.train=nowhere", "nowhere"),
    ],
)
def test_mistakes_end_in_one_message_before_anything_is_written(
    tiny: dict[str, Any], write_experiment: Writer, change: str, words: str
) -> None:
    result = beamwright("run", str(write_experiment(tiny)), "--set", change)
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not Path(tiny["storage"]).exists()

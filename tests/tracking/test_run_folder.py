from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from beamwright.errors import RunError
from beamwright.experiment import Experiment
from beamwright.tracking import RunFolder

HOLDER = """
import sys, time
from beamwright.tracking import RunFolder
with RunFolder(sys.argv[1]).lock():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_run_keeps_its_experiment_and_status(make_run):
    run = make_run(states=(), complete=False)
    again = RunFolder.open(run.path)
    assert again.experiment() == run.experiment()
    assert again.experiment().task == "denoise"
    assert again.status.command == "beamwright run lattice.yaml"
    assert again.status.started.tzinfo is not None
    again.update(state="finished", seconds=12.5)
    assert RunFolder.open(run.path).status.seconds == 12.5


def test_runs_of_the_same_second_do_not_meet(make_run):
    names = [make_run(states=(), complete=False).name for _ in range(3)]
    assert len(set(names)) == 3
    assert all(name.startswith("lattice-20") for name in names)


def _blocked_by_a_file(path: Path) -> Path:
    path.touch()
    return path


def _blocked_by_a_dangling_link(path: Path) -> Path:
    path.symlink_to(path.parent / "gone")
    return path


@pytest.mark.parametrize("block", [_blocked_by_a_file, _blocked_by_a_dangling_link])
@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_storage_that_cannot_be_made_is_one_clear_error(tmp_path: Path, block, below: str):
    storage = block(tmp_path / "runs") / below
    experiment = Experiment.model_validate({"task": "denoise", "data": {"train": "x"}})
    with pytest.raises(RunError, match=r'No run can be kept in ".*": .*\. Set storage to a folder that you'):
        RunFolder.create(storage, "lattice", experiment=experiment)


def test_a_run_without_its_driver_is_interrupted(make_run):
    run = make_run(states=(), complete=False)
    assert run.state == "interrupted"
    with run.lock():
        assert run.state == "running"
    assert run.state == "interrupted"
    run.state = "finished"
    assert run.state == "finished"


def test_a_second_driver_is_refused_until_the_first_is_killed(make_run):
    run = make_run(states=(), complete=False)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(run.path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            assert run.state == "running"
            with (
                pytest.raises(RunError, match=f"is being driven by process {holder.pid} on .*; wait until"),
                run.lock(),
            ):
                pass
        finally:
            os.kill(holder.pid, signal.SIGKILL)
    with run.lock():
        assert f"process {os.getpid()} on " in (run.path / "run.lock").read_text()


def test_the_latest_run_is_the_one_started_last(make_run, tmp_path: Path):
    first, second = make_run(states=(), complete=False), make_run(states=(), complete=False)
    assert RunFolder.latest(tmp_path / "runs").path == second.path
    first.update(started=second.status.started.replace(year=2100))
    assert RunFolder.latest(tmp_path / "runs").path == first.path


def test_no_latest_run_says_how_to_start_one(tmp_path: Path):
    with pytest.raises(
        RunError, match=r'There is no run in ".*"; "beamwright run EXPERIMENT.yaml" starts one\.'
    ):
        RunFolder.latest(tmp_path)


def test_a_wrong_folder_names_the_runs_near_it(make_run, tmp_path: Path):
    run = make_run(states=(), complete=False)
    with pytest.raises(RunError, match=rf'runs" is not the folder of a run\. Runs near it.*{run.name}"\.'):
        RunFolder.open(tmp_path / "runs")
    with pytest.raises(RunError, match=rf'latice" does not exist\. Runs near it, newest first: .*{run.name}'):
        RunFolder.open(tmp_path / "runs" / "latice")


def test_many_runs_are_not_all_named(make_run, tmp_path: Path):
    for _ in range(7):
        make_run(states=(), complete=False)
    with pytest.raises(RunError, match=r"and 2 more\.$"):
        RunFolder.open(tmp_path / "runs")


def test_a_folder_far_from_runs_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        RunError, match=r'There is no run near it; "beamwright run EXPERIMENT.yaml" starts one\.'
    ):
        RunFolder.open(tmp_path)


def test_damaged_files_are_named(make_run):
    run = make_run(states=(), complete=False)
    (run.path / "baselines.json").write_text("[{")
    with pytest.raises(
        RunError, match=r'baselines.json" is not JSON .*; delete it, or restore it from a copy\.'
    ):
        run.baselines()
    (run.path / "run.json").write_text('{"state": "dancing"}')
    with pytest.raises(RunError, match=r'run.json" is damaged .*; restore it from a copy\.'):
        _ = run.status


def test_what_is_not_there_yet_is_empty(make_run):
    run = make_run(states=(), complete=False)
    assert (run.fingerprint(), run.baselines(), run.test(), run.trials()) == (None, [], None, [])


def test_writing_leaves_no_temporary_files_and_no_nan(make_run):
    run = make_run(states=("finished",))
    run.write("extra.json", {"value": float("nan"), "path": Path("a")})
    assert run.read("extra.json") == {"value": None, "path": "a"}
    assert not [path for path in run.path.rglob(".*") if path.is_file()]


def test_the_size_is_that_of_all_files(make_run):
    run = make_run(states=(), complete=False)
    before = run.size()
    (run.path / "deep" / "er").mkdir(parents=True)
    (run.path / "deep" / "er" / "file").write_bytes(b"12345")
    assert run.size() == before + 5


def test_reading_runs_needs_neither_torch_nor_plotly_nor_optuna():
    program = (
        "import sys, beamwright.tracking; print({'torch', 'plotly', 'optuna', 'ray'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

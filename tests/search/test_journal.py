from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import BaseTrial, TrialState

from beamwright.experiment import SearchConfig
from beamwright.search.journal import Journal
from beamwright.search.objectives import Objective
from beamwright.search.samplers import SAMPLERS

QUALITY = Objective("quality", "psnr", "maximize")
SIZE = Objective("parameters", "parameters", "minimize")


def _open(path: Path, sampler: str = "tpe", objectives: tuple[Objective, ...] = (QUALITY,)) -> Journal:
    return Journal(path, objectives=objectives, config=SearchConfig(sampler=sampler), seed=3)


def _value(trial: BaseTrial) -> float:
    value = trial.suggest_float("x", 0, 1)
    if trial.suggest_categorical("block", ["plain", "dense"]) == "dense":
        value += trial.suggest_int("growth", 1, 4)
    return value


def _go_on(journal: Journal, count: int) -> list[float]:
    values = []
    for _ in range(count):
        trial = journal.ask()
        values.append(_value(trial))
        if trial.number % 4 == 3:
            journal.report(trial.number, epoch=1, quality=values[-1])
            journal.stop(trial.number, metrics={"psnr": values[-1]})
        else:
            journal.finish(trial.number, [values[-1]], metrics={"psnr": values[-1]})
    return values


@pytest.mark.parametrize("sampler", SAMPLERS.names())
def test_a_reopened_journal_suggests_what_the_undisturbed_one_would(tmp_path: Path, sampler: str) -> None:
    whole = _go_on(_open(_path(tmp_path, "a"), sampler), 16)
    first = _go_on(_open(_path(tmp_path, "b"), sampler), 9)
    second = _go_on(_open(_path(tmp_path, "b"), sampler), 7)
    assert first + second == whole


def _path(folder: Path, name: str) -> Path:
    # The study takes the folder's name, and some samplers' state holds it.
    (folder / name).mkdir(exist_ok=True)
    return folder / name / "study.journal"


def test_enqueued_configurations_come_first_and_keep_their_names(tmp_path: Path) -> None:
    journal = _open(_path(tmp_path, "a"))
    assert journal.is_new
    journal.enqueue({"x": 0.25, "block": "plain"}, name="unet")
    trial = journal.ask()
    assert _value(trial) == 0.25
    assert trial.user_attrs["name"] == "unet"
    assert not journal.is_new


def test_running_trials_are_found_again_with_their_parameters(tmp_path: Path) -> None:
    journal = _open(_path(tmp_path, "a"))
    value = _value(journal.ask())
    reopened = _open(_path(tmp_path, "a"))
    assert reopened.unfinished() == (0,)
    assert _value(reopened.reopen(0)) == value
    reopened.finish(0, [value], metrics={})
    assert _open(_path(tmp_path, "a")).ended() == (0,)


def test_a_torn_last_line_and_a_held_lock_are_mended(tmp_path: Path) -> None:
    path = _path(tmp_path, "a")
    _go_on(_open(path), 3)
    with path.open("ab") as file:
        file.write(b'{"op_code": 5, "worker_')
    path.with_name("study.journal.lock").symlink_to(path)
    journal = _open(path)
    assert len(journal.ended()) == 3
    _go_on(journal, 2)
    assert len(_open(path).ended()) == 5


def test_infeasible_trials_carry_their_constraint(tmp_path: Path) -> None:
    journal = _open(_path(tmp_path, "a"))
    trial = journal.ask()
    _value(trial)
    journal.reject(trial.number, "parameters 2e+06 above 1e+06", {"parameters": 1.0})
    assert journal.trials[0].state == TrialState.PRUNED
    assert journal.trials[0].constraints == {"parameters": 1.0}
    assert journal.trials[0].user_attrs["reason"].startswith("parameters")


def test_failed_trials_keep_their_reason(tmp_path: Path) -> None:
    journal = _open(_path(tmp_path, "a"))
    _value(journal.ask())
    journal.fail(0, "the loss is not finite")
    assert journal.trials[0].state == TrialState.FAIL
    assert journal.trials[0].user_attrs["reason"] == "the loss is not finite"


def test_several_objectives(tmp_path: Path) -> None:
    path = _path(tmp_path, "a")
    journal = _open(path, "nsga2", (QUALITY, SIZE))
    for number in range(6):
        trial = journal.ask()
        value = _value(trial)
        journal.report(number, epoch=1, quality=value)  # left out: Optuna has no curves of several objectives
        journal.finish(number, [value, 10 * value], metrics={})
    study = optuna.load_study(
        study_name="a",
        storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path))),
    )
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.best_trials

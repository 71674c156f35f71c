"""Which hyperparameters mattered, by the Optuna study of the run."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from beamwright.tracking.run import RunFolder

__all__ = ["ENOUGH", "rank_parameters"]

ENOUGH = 8
"""Finished trials below which shares of variance are noise."""


def rank_parameters(run: RunFolder) -> tuple[dict[str, float], str]:
    """Return the importances, the largest first, and a sentence about them.

    They are computed by fANOVA over the trials that finished, for the parameters that all of these have.

    Returns
    -------
    importances
        Share of the variance of the quality, by parameter; empty where there is nothing to say.
    note
        What they rest on, or why there are none.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if not run.journal.exists():
        return {}, "The run has no study yet."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        storage = JournalStorage(JournalFileBackend(str(run.journal)))
        (name,) = optuna.get_all_study_names(storage)
        study = optuna.load_study(study_name=name, storage=storage)
        finished = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        if len(finished) < ENOUGH:
            return {}, _too_few(len(finished))
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        quality = _quality_of
        try:
            shares = optuna.importance.get_param_importances(study, evaluator=evaluator, target=quality)
        except (ValueError, RuntimeError) as error:
            return {}, f"Optuna cannot tell which hyperparameters mattered: {error}"
    note = (
        f"By fANOVA over the {len(finished)} trials that finished, for the parameters that all of them have."
    )
    return dict(shares), note if shares else "The finished trials have no parameter in common that varies."


def _quality_of(trial: object) -> float:
    return float(trial.values[0])  # type: ignore[attr-defined]  # the first objective is always the quality


def _too_few(count: int) -> str:
    trials = "1 trial has" if count == 1 else f"{count or 'no'} trials have"
    return (
        f"{trials[0].upper()}{trials[1:]} finished; importances need {ENOUGH} to be more than noise. "
        "Search longer to see them."
    )

"""A study that two machines share: their homes, their command, and what must hold when both have ended."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import optuna
import searches
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.pool import NullPool

from foldline.evidence.tuning import optuna_storage

TRIALS = 12
LOST_S = 2.0  # a killed worker's trial is taken up on the other machine after that


def two_homes(home: Path, folder: Path) -> tuple[Path, Path]:
    """Make the homes of two machines: one that has the rides, and a copy of it in a folder."""
    searches.install(home)
    other = folder / "other"
    shutil.copytree(home, other)
    return home, other


def words(storage: str, seed: int, *more: str) -> list[str]:
    """Write the command of every machine; seed: makes it a study of its own."""
    shared = [f"tune.storage={storage}", f"tune.trials={TRIALS}", f"tune.lost_s={LOST_S}", "tune.check_seeds=[0]"]
    return [*searches.TUNE, f"folds.seed={seed}", *shared, *more]


def study(storage: str, home: Path) -> optuna.Study:
    """Open the study that a machine's search has used, afresh, with no connection that stays open."""
    folder = (home / "runs" / "search" / "latest").resolve()
    name = f"search-{folder.name}"
    if "://" not in storage:
        return optuna_storage.open_study(storage, folder, name)
    database = RDBStorage(f"{storage}&client_encoding=utf8", engine_kwargs={"poolclass": NullPool})
    return optuna.load_study(study_name=name, storage=database)


def assert_whole(storage: str, homes: tuple[Path, ...], count: int = TRIALS) -> list[FrozenTrial]:
    """Check that as many trials count as were asked for: none is lost, double or stuck, and all machines agree.

    count: trials that were asked for.

    Returns:
        The trials, those that failed, too.
    """
    trials = study(storage, homes[0]).trials
    states = Counter(trial.state for trial in trials)
    assert states[TrialState.COMPLETE] == count and not states[TrialState.RUNNING], states
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    best = min(complete, key=lambda trial: (trial.value, trial.number))
    for home in homes:
        found = searches.found(home)
        assert {trial["number"]: trial["score"] for trial in found["trials"]} == {t.number: t.value for t in complete}
        assert found["best"] == best.number
    again = Counter(trial.user_attrs["again"] for trial in complete if "again" in trial.user_attrs)
    assert all(count == 1 for count in again.values()), "a dead worker's trial counts twice"
    return trials

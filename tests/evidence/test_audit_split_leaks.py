"""Planted leaks of series: one on two sides of a fold, of what is watched or of time, and one that occurs twice.

The engine is changed by monkeypatching; the audit itself is not.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import audits
import numpy as np
import polars as pl
import pytest
import tiny

from foldline.core import artefacts, files
from foldline.data import loading
from foldline.data.store import Store
from foldline.data.time_folds import TimeSplit
from foldline.ensemble import BlendRows
from foldline.evidence.audit.audit_check import CheckResult
from foldline.fit import pretraining, scaler, watched_split
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.run import planning, teachers
from foldline.run.cells import Cell, ModelConfig

Patch = pytest.MonkeyPatch
WATCH = "train.watch={share = 0.3, best = true}"
PSEUDO_LABELLED = (
    'model=[{name = "hybrid", width = 4}, {name = "hybrid", width = 4, label = "student", teacher = {of = ["hybrid"]}}]'
)
PRETRAINED = 'model=[{{name = "hybrid", width = 4, pretrain = {{source = "{source}"}}}}]'


# ---------------------------------------------------------------- groups and series on both sides


def test_a_series_in_two_folds(audited: Path, monkeypatch: Patch) -> None:
    train = audits.tables()["train"]
    apart = pl.concat([train[:5], train[10:], train[5:10]])  # the first ride's second half stands at the end

    def by_runs(frame: pl.DataFrame, key: str) -> tuple[pl.DataFrame, np.ndarray, None]:
        return frame, np.bincount(frame[key].rle_id().to_numpy()).astype(np.int64), None

    tiny.write(audited.parent / "audited", {"train": apart})
    monkeypatch.setattr(loading, "_by_series", by_runs)
    outcomes = [audits.found("folds: whole series", f"folds.seed={seed}") for seed in range(8)]
    caught = [outcome for outcome in outcomes if outcome.verdict == "LEAK"]
    assert caught  # with some seeds both halves are in one fold
    audits.leak(caught[0], "ride 1 is in folds 0 and 1")


def by_day(home: Path, **columns: np.ndarray) -> str:
    """The rides, a day each, with folds that go by it."""
    day = np.repeat(np.arange(audits.SERIES + audits.TEST_SERIES), audits.STEPS)
    audits.rides(home, audits.tables(day=day, **columns))
    return 'folds={kind = "time", k = 3, by = "day", gap = 2}'


def test_a_training_series_after_the_origin(home: Path, monkeypatch: Patch) -> None:
    time = by_day(home)
    assert audits.found("folds: order of time", time).verdict == "clean"
    own = TimeSplit.inside
    for late, what in ((16, "ends at 16"), (13, "ends at 13")):  # fold 0 begins at 15: in it, and in the gap before it

        def leaking(split: TimeSplit, fold: int, held_out: np.ndarray, late: int = late) -> np.ndarray:
            return own(split, fold, held_out) | ((np.arange(audits.SERIES) == late) & (fold == 0))

        monkeypatch.setattr(TimeSplit, "inside", leaking)
        audits.leak(
            audits.found("folds: order of time", time), "fold 0 begins at 15, less a gap of 2", f"ride {late + 1}", what
        )


def test_a_group_on_both_sides_of_a_time_fold(home: Path, monkeypatch: Patch) -> None:
    rider = np.repeat(np.arange(audits.SERIES + audits.TEST_SERIES) % 50, audits.STEPS)  # some ride early and late
    time = by_day(home, rider=rider)
    assert audits.found("folds: whole groups", time, "data.group=rider").verdict == "clean"
    own = TimeSplit.inside
    monkeypatch.setattr(TimeSplit, "inside", lambda split, fold, held: own(replace(split, groups=None), fold, held))
    audits.leak(audits.found("folds: whole groups", time, "data.group=rider"), "is on both sides of fold 2")


def test_a_scaler_that_is_fitted_on_later_series_too(home: Path, monkeypatch: Patch) -> None:
    time = by_day(home)
    assert audits.found("held-out rows", time, WATCH).verdict == "clean"
    own = scaler.fit

    def leaking(kind: str, data: Store, series: np.ndarray, seed: int) -> Any:
        return own(kind, data, np.arange(len(data.lengths)), seed)

    monkeypatch.setattr(scaler, "fit", leaking)
    audits.leak(audits.found("held-out rows", time, WATCH), "hybrid fold 0 seed 0")


def test_watched_series_that_are_not_the_latest(home: Path, monkeypatch: Patch) -> None:
    time = by_day(home)
    assert audits.found("inner split", time, WATCH).verdict == "clean"
    own = watched_split.inner_split

    def drawn(sets: Any, share: float, seed: int) -> Any:
        return own([replace(part, spans=None) for part in sets], share, seed)

    monkeypatch.setattr(watched_split, "inner_split", drawn)
    audits.leak(audits.found("inner split", time, WATCH), "watched series begin before others are over")


def test_a_blend_that_learns_from_later_folds(home: Path, monkeypatch: Patch) -> None:
    time = by_day(home)
    assert audits.found("nested blend", time).verdict == "clean"

    def leaking(rows: BlendRows) -> Any:
        return [(rows.fold == fold, rows.fold != fold) for fold in np.unique(rows.fold)]

    monkeypatch.setattr(BlendRows, "splits", property(leaking))
    audits.leak(audits.found("nested blend", time), "the rows of fold 0 are fitted")


@pytest.mark.parametrize("role", ["none", "static"])
def test_a_group_that_test_keeps_apart_and_the_folds_do_not(role: str, home: Path) -> None:
    rider = np.repeat(np.arange(audits.SERIES + audits.TEST_SERIES) // 4, audits.STEPS)  # each rode four times
    audits.rides(home, audits.tables(rider=rider))
    static = ['data.static=["bike", "rider"]'] if role == "static" else []
    audits.leak(
        audits.found("folds: groups of test", *static, "folds.kind=group"), "'rider'", "100% of the test series"
    )


def test_what_many_series_lack_is_no_group(home: Path) -> None:
    """A number that most series lack, and that differs in all others."""
    series = np.arange(audits.SERIES + audits.TEST_SERIES)
    weight = np.where((series % 3 == 0) | (series >= audits.SERIES), series + 0.5, np.nan)
    audits.rides(home, audits.tables(weight=np.repeat(weight, audits.STEPS)))
    assert audits.found("folds: groups of test", 'data.static=["bike", "weight"]').verdict == "clean"


def test_a_column_of_dates_is_no_group(home: Path) -> None:
    audits.rides(home, audits.tables())
    for name in ("train", "test"):
        (home.parent / "audited" / f"{name}.csv").unlink()
        audits.tables()[name].with_columns(day=pl.date(2020, 1, 1)).write_parquet(
            home.parent / "audited" / f"{name}.parquet"
        )
    outcome = audits.found("folds: groups of test")
    assert outcome == CheckResult("clean", "columns checked: bike, day")


def test_watched_series_that_are_trained_on(audited: Path, monkeypatch: Patch) -> None:
    original = watched_split.inner_split
    monkeypatch.setattr(watched_split, "inner_split", lambda *given: (list(given[0]), original(*given)[1]))
    audits.leak(audits.found("inner split", WATCH), "hybrid: ride", "trained on and watched")


def watching_the_held_out_fold(
    labelled_sets: list[LabelledSeries], *_: Any
) -> tuple[list[LabelledSeries], list[LabelledSeries]]:
    store = labelled_sets[0].store
    return list(labelled_sets), [
        labelled_series(store, np.setdiff1d(np.arange(len(store.lengths)), labelled_sets[0].series))
    ]


@pytest.mark.parametrize(
    ("check", "named"),
    [("inner split", "of the held-out fold is in the inner split"), ("held-out targets", "the watched score (early")],
)
def test_early_stopping_on_the_held_out_fold(check: str, named: str, audited: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(watched_split, "inner_split", watching_the_held_out_fold)
    audits.leak(audits.found(check, WATCH), "hybrid", named)


@pytest.mark.parametrize("check", ["teachers", "held-out targets"])
def test_pseudo_labels_of_teachers_that_were_trained_on_the_fold(check: str, audited: Path, monkeypatch: Patch) -> None:
    original = planning._cell

    def with_all_teachers(given: Any, model: Any, fold: int | None, seed: int, made: Any, *more: Any) -> Cell:
        cell = original(given, model, fold, seed, made, *more)
        return replace(cell, teachers=tuple(made)) if cell.teachers else cell

    monkeypatch.setattr(planning, "_cell", with_all_teachers)
    audits.leak(audits.found(check, PSEUDO_LABELLED), "student fold 0")


DISTILLED = (
    'model=[{name = "lightgbm", rounds = 5}, {name = "lightgbm", rounds = 5, label = "student", '
    'teacher = {of = ["lightgbm"], weight = 0, distil = 0.5}}]'
)


def test_out_of_fold_labels_of_teachers_that_were_trained_on_the_fold(audited: Path, monkeypatch: Patch) -> None:
    """As distillation is done by hand: out-of-fold predictions of the folds' own cells."""
    own = ("folds.k=3", DISTILLED)
    assert audits.found("teachers", *own).detail.startswith("teachers: 6,")  # two pairs a student
    assert audits.found("held-out targets", *own).verdict == "clean"

    def by_the_folds_own_cells(model: ModelConfig, fold: int | None, made: Any, *_: Any) -> tuple[Cell, ...]:
        return tuple(cell for cell in made if model.teacher and cell.fold not in (None, fold))

    monkeypatch.setattr(teachers, "out_of_fold", by_the_folds_own_cells)
    audits.leak(audits.found("teachers", *own), "student fold 0")
    audits.leak(audits.found("held-out targets", *own), "student fold 0")


def test_a_simulator_fitted_to_the_held_out_fold(home: Path, monkeypatch: Patch) -> None:
    original = pretraining.pretraining_data

    def of_all(config: Any, features: Any, competition: Any, inside: np.ndarray, *more: Any) -> Store:
        return original(config, features, competition, np.arange(len(competition.train.lengths)), *more)

    monkeypatch.setattr(pretraining, "pretraining_data", of_all)
    simulated = ["data.simulate={breaths = 30, test_breaths = 6}", "folds={kind = 'group', k = 2}"]
    model = 'model=[{name = "hybrid", width = 4, pretrain = {breaths = 20}}]'
    shutil.copy(home / "configs" / "quickstart.toml", home / "configs" / "rides.toml")
    audits.leak(audits.found("teachers", *simulated, model), "simulator is fitted to", "held-out fold")


def test_a_stored_cell_with_another_folds_predictions(audited: Path) -> None:
    tiny.run("train", "rides")
    assert audits.found("stored cells").verdict == "clean"
    keys = {entry["fold"]: entry["key"] for entry in stored(audited) if entry["label"] == "hybrid"}
    places = [audited / "runs" / "cells" / keys[fold] / "held_out.npy" for fold in (0, 1)]
    shutil.copy(places[1], places[0])
    damaged = audits.found("stored cells")
    assert damaged.verdict == "not checked" and "held_out.npy does not hold the bytes" in damaged.detail
    mark = places[0].with_name("done.json")
    artefacts.seal(mark, [mark.parent / name for name in artefacts.read_json(mark)["files"]])  # an engine at fault
    audits.leak(audits.found("stored cells"), "hybrid fold 0 seed 0 predicts series out of fold")


def stored(home: Path) -> list[dict[str, Any]]:
    """The cells of the latest experiment."""
    entries: list[dict[str, Any]] = files.read_json(home / "runs" / "rides" / "latest" / "experiment.json")["cells"]
    return entries


# ---------------------------------------------------------------- series that occur twice


def noisy(ride: pl.DataFrame, name: int) -> pl.DataFrame:
    """A copy under another name, its inputs and target with a little noise."""
    rng = np.random.default_rng(name)
    return ride.with_columns(
        pl.col("row") + 500_000 + 100 * name,
        pl.lit(name, pl.Int64).alias("ride"),
        *(pl.col(column) * (1 + 1e-3 * rng.normal(size=ride.height)) for column in ("power", "speed")),
    )


def test_copies_across_folds(home: Path) -> None:
    made = audits.tables()
    copies = [noisy(made["train"].filter(pl.col("ride") == ride), 300 + ride) for ride in (7, 8, 9, 10, 11)]
    audits.rides(home, made | {"train": pl.concat([made["train"], *copies])})
    audits.leak(audits.found("near-duplicates"), "copies: ride", "(fold 0)", "(fold 1)", "folds.similar = {}")


def test_copies_in_the_test_file(home: Path) -> None:
    made = audits.tables()
    copy = noisy(made["train"].filter(pl.col("ride") == 7), 907).drop("speed")
    test = pl.concat([made["test"], copy])
    audits.rides(home, made | {"test": test, "sample_submission": test.select("row", speed=pl.lit(0.0))})
    audits.leak(audits.found("near-duplicates"), "copies: ride 7 (fold", "and ride 907 (test)")


def test_copies_among_the_series_to_pretrain_on(audited: Path) -> None:
    known = audits.tables()["train"].filter(pl.col("ride") == 7)
    folder = tiny.write(audited.parent / "more", {"train": noisy(known, 907)})
    audits.leak(
        audits.found("near-duplicates", PRETRAINED.format(source=folder)), "ride 7 (fold", "ride 907 (pre-training)"
    )

"""Planted leaks: a competition, a config or an engine with one leak each, which the audit must name.

The engine is changed by monkeypatching; the audit itself is not.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import audits
import numpy as np
import polars as pl
import pytest
import tiny

from foldline import ensemble, features
from foldline.core import artefacts, files
from foldline.data import exact_rows, loading, target_grid
from foldline.data.store import Store
from foldline.data.time_folds import TimeSplit
from foldline.ensemble import BlendRows, NestedPredictions, post_processing
from foldline.evidence.audit.audit_check import CheckResult
from foldline.experiment import after_blend
from foldline.features.family import Columns, Family
from foldline.fit import boosting_cell, network_cell, pretraining, scaler, target_transform
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.run import cell_training, planning
from foldline.run.cells import Cell

Patch = pytest.MonkeyPatch
WATCH = "train.watch={share = 0.3, best = true}"
PSEUDO_LABELLED = (
    'model=[{name = "hybrid", width = 4}, {name = "hybrid", width = 4, label = "student", teacher = {of = ["hybrid"]}}]'
)
PRETRAINED = 'model=[{{name = "hybrid", width = 4, pretrain = {{source = "{source}"}}}}]'


def leak(outcome: CheckResult, *named: str) -> None:
    """The outcome is a leak, and its detail names all of these."""
    assert outcome.verdict == "LEAK", outcome
    assert not [text for text in named if text not in outcome.detail], outcome.detail


@pytest.fixture
def rides(home: Path) -> Path:
    """The rides without leaks; a test plants one."""
    audits.rides(home, audits.tables())
    return home


# ---------------------------------------------------------------- groups and series on both sides


def test_a_series_in_two_folds(rides: Path, monkeypatch: Patch) -> None:
    train = audits.tables()["train"]
    apart = pl.concat([train[:5], train[10:], train[5:10]])  # the first ride's second half stands at the end

    def by_runs(frame: pl.DataFrame, key: str) -> tuple[pl.DataFrame, np.ndarray, None]:
        return frame, np.bincount(frame[key].rle_id().to_numpy()).astype(np.int64), None

    tiny.write(rides.parent / "audited", {"train": apart})
    monkeypatch.setattr(loading, "_by_series", by_runs)
    outcomes = [audits.found("folds: whole series", f"folds.seed={seed}") for seed in range(8)]
    caught = [outcome for outcome in outcomes if outcome.verdict == "LEAK"]
    assert caught  # with some seeds both halves are in one fold
    leak(caught[0], "ride 1 is in folds 0 and 1")


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
        leak(
            audits.found("folds: order of time", time), "fold 0 begins at 15, less a gap of 2", f"ride {late + 1}", what
        )


def test_a_group_on_both_sides_of_a_time_fold(home: Path, monkeypatch: Patch) -> None:
    rider = np.repeat(np.arange(audits.SERIES + audits.TEST_SERIES) % 50, audits.STEPS)  # some ride early and late
    time = by_day(home, rider=rider)
    assert audits.found("folds: whole groups", time, "data.group=rider").verdict == "clean"
    own = TimeSplit.inside
    monkeypatch.setattr(TimeSplit, "inside", lambda split, fold, held: own(replace(split, groups=None), fold, held))
    leak(audits.found("folds: whole groups", time, "data.group=rider"), "is on both sides of fold 2")


def test_a_scaler_that_is_fitted_on_later_series_too(home: Path, monkeypatch: Patch) -> None:
    time = by_day(home)
    assert audits.found("held-out rows", time, WATCH).verdict == "clean"
    own = scaler.fit

    def leaking(kind: str, data: Store, series: np.ndarray, seed: int) -> Any:
        return own(kind, data, np.arange(len(data.lengths)), seed)

    monkeypatch.setattr(scaler, "fit", leaking)
    leak(audits.found("held-out rows", time, WATCH), "hybrid fold 0 seed 0")


def test_watched_series_that_are_not_the_latest(home: Path, monkeypatch: Patch) -> None:
    time = by_day(home)
    assert audits.found("inner split", time, WATCH).verdict == "clean"
    own = network_cell.inner_split

    def drawn(sets: Any, share: float, seed: int) -> Any:
        return own([replace(part, spans=None) for part in sets], share, seed)

    monkeypatch.setattr(network_cell, "inner_split", drawn)
    leak(audits.found("inner split", time, WATCH), "watched series begin before others are over")


def test_a_blend_that_learns_from_later_folds(home: Path, monkeypatch: Patch) -> None:
    time = by_day(home)
    assert audits.found("nested blend", time).verdict == "clean"

    def leaking(rows: BlendRows) -> Any:
        return [(rows.fold == fold, rows.fold != fold) for fold in np.unique(rows.fold)]

    monkeypatch.setattr(BlendRows, "splits", property(leaking))
    leak(audits.found("nested blend", time), "the rows of fold 0 are fitted")


@pytest.mark.parametrize("role", ["none", "static"])
def test_a_group_that_test_keeps_apart_and_the_folds_do_not(role: str, home: Path) -> None:
    rider = np.repeat(np.arange(audits.SERIES + audits.TEST_SERIES) // 4, audits.STEPS)  # each rode four times
    audits.rides(home, audits.tables(rider=rider))
    static = ['data.static=["bike", "rider"]'] if role == "static" else []
    leak(audits.found("folds: groups of test", *static, "folds.kind=group"), "'rider'", "100% of the test series")


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


def test_watched_series_that_are_trained_on(rides: Path, monkeypatch: Patch) -> None:
    original = network_cell.inner_split
    monkeypatch.setattr(network_cell, "inner_split", lambda *given: (list(given[0]), original(*given)[1]))
    leak(audits.found("inner split", WATCH), "hybrid: ride", "trained on and watched")


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
def test_early_stopping_on_the_held_out_fold(check: str, named: str, rides: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(network_cell, "inner_split", watching_the_held_out_fold)
    leak(audits.found(check, WATCH), "hybrid", named)


@pytest.mark.parametrize("check", ["teachers", "held-out targets"])
def test_pseudo_labels_of_teachers_that_were_trained_on_the_fold(check: str, rides: Path, monkeypatch: Patch) -> None:
    original = planning._cell

    def with_all_teachers(given: Any, model: Any, fold: int | None, seed: int, made: Any) -> Cell:
        cell = original(given, model, fold, seed, made)
        return replace(cell, teachers=tuple(made)) if cell.teachers else cell

    monkeypatch.setattr(planning, "_cell", with_all_teachers)
    leak(audits.found(check, PSEUDO_LABELLED), "student fold 0")


def test_a_simulator_fitted_to_the_held_out_fold(home: Path, monkeypatch: Patch) -> None:
    original = pretraining.pretraining_data

    def of_all(config: Any, features: Any, competition: Any, inside: np.ndarray, *more: Any) -> Store:
        return original(config, features, competition, np.arange(len(competition.train.lengths)), *more)

    monkeypatch.setattr(pretraining, "pretraining_data", of_all)
    simulated = ["data.simulate={breaths = 30, test_breaths = 6}", "folds={kind = 'group', k = 2}"]
    model = 'model=[{name = "hybrid", width = 4, pretrain = {breaths = 20}}]'
    shutil.copy(home / "configs" / "quickstart.toml", home / "configs" / "rides.toml")
    leak(audits.found("teachers", *simulated, model), "simulator is fitted to", "held-out fold")


def test_a_stored_cell_with_another_folds_predictions(rides: Path) -> None:
    tiny.run("train", "rides")
    assert audits.found("stored cells").verdict == "clean"
    keys = {entry["fold"]: entry["key"] for entry in stored(rides) if entry["label"] == "hybrid"}
    places = [rides / "runs" / "cells" / keys[fold] / "held_out.npy" for fold in (0, 1)]
    shutil.copy(places[1], places[0])
    damaged = audits.found("stored cells")
    assert damaged.verdict == "not checked" and "held_out.npy does not hold the bytes" in damaged.detail
    mark = places[0].with_name("done.json")
    artefacts.seal(mark, [mark.parent / name for name in artefacts.read_json(mark)["files"]])  # an engine at fault
    leak(audits.found("stored cells"), "hybrid fold 0 seed 0 predicts series out of fold")


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
    leak(audits.found("near-duplicates"), "copies: ride", "(fold 0)", "(fold 1)", "folds.similar = {}")


def test_copies_in_the_test_file(home: Path) -> None:
    made = audits.tables()
    copy = noisy(made["train"].filter(pl.col("ride") == 7), 907).drop("speed")
    test = pl.concat([made["test"], copy])
    audits.rides(home, made | {"test": test, "sample_submission": test.select("row", speed=pl.lit(0.0))})
    leak(audits.found("near-duplicates"), "copies: ride 7 (fold", "and ride 907 (test)")


def test_copies_among_the_series_to_pretrain_on(rides: Path) -> None:
    known = audits.tables()["train"].filter(pl.col("ride") == 7)
    folder = tiny.write(rides.parent / "more", {"train": noisy(known, 907)})
    leak(audits.found("near-duplicates", PRETRAINED.format(source=folder)), "ride 7 (fold", "ride 907 (pre-training)")


# ---------------------------------------------------------------- features


@dataclass(frozen=True, kw_only=True)
class LeakingFamily(Family):
    """A family of one feature; the tests put a leaking expression into it."""

    made: ClassVar[pl.Expr]

    @property
    def lookahead(self) -> bool:
        return True

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        return [self.made.cast(pl.Float64).alias("spoilt")]


@pytest.mark.parametrize(
    ("check", "expression", "why"),
    [
        ("features: other series", pl.col("power") - pl.col("power").mean(), "depends on other series"),
        ("features: other series", pl.col("power").shift(1).fill_null(0.0), "depends on other series"),
        ("features: order", pl.int_range(pl.len()), "depends on it"),
        ("features: names", pl.col("ride") % 10, "is made from them"),
        ("features: names", pl.col("row"), "is made from them"),
        ("features: targets", pl.col("speed").shift(-1).fill_null(0.0), "is made from the target"),
    ],
)
def test_features_that_use_more_than_their_series_inputs(
    check: str, expression: pl.Expr, why: str, rides: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setitem(features.FAMILIES, "spoilt", LeakingFamily)
    monkeypatch.setattr(LeakingFamily, "made", expression, raising=False)
    leak(audits.found(check, 'features.families=["raw", "spoilt"]'), f"spoilt {why}")


# ---------------------------------------------------------------- targets among the inputs


def copied(speed: pl.Expr) -> dict[str, pl.DataFrame]:
    """The rides with one more input that is made from the target, in the training and in the test file."""
    test = tiny.rides(501, audits.TEST_SERIES, audits.STEPS, seed=1)
    made = audits.tables()
    return made | {
        "train": made["train"].with_columns(extra=speed),
        "test": test.with_columns(extra=speed).drop("speed"),
    }


SPEED = pl.col("speed")


@pytest.mark.parametrize(
    ("copy", "what"),
    [
        (SPEED, "the target speed"),
        (32 + 1.8 * SPEED.round(2), "the target speed"),
        (SPEED.exp(), "the target speed"),
        (-(SPEED + 1).sqrt(), "the target speed"),
        (SPEED.shift(1).over("ride").fill_null(0.0), "1 steps back, the target speed"),
        (SPEED.shift(-2).over("ride").fill_null(0.0), "2 steps ahead, the target speed"),
        (SPEED.mean().over("ride"), "the series' mean value of the target speed"),
    ],
)
def test_an_input_that_is_the_target(copy: pl.Expr, what: str, home: Path) -> None:
    audits.rides(home, copied(copy), inputs="extra")
    leak(audits.found("target among inputs"), f"extra is a copy of {what}")


def test_a_feature_that_equals_the_target_by_physics_is_noted(home: Path) -> None:
    made = audits.tables()
    audits.rides(home, made | {"train": made["train"].with_columns(speed=pl.col("power").cum_sum().over("ride") / 7)})
    outcome = audits.found("target among inputs", 'features.families=["raw", "integral"]')
    assert outcome.verdict == "note" and "sum(power) is the target speed" in outcome.detail


# ---------------------------------------------------------------- fitted parts that use too much


def everything(store: Store) -> np.ndarray:
    return np.arange(len(store.lengths))


@pytest.mark.parametrize("check", ["held-out targets", "held-out rows"])
def test_a_scaler_fitted_on_all_series(check: str, rides: Path, monkeypatch: Patch) -> None:
    original = scaler.fit
    monkeypatch.setattr(scaler, "fit", lambda kind, data, _, seed: original(kind, data, everything(data), seed))
    named = "the target's centre" if check == "held-out targets" else "the scaler's centres, the scaler's scales"
    leak(audits.found(check), f"hybrid fold 0 seed 0: {named}")


def test_ranks_of_targets_fitted_on_all_series(rides: Path, monkeypatch: Patch) -> None:
    original, word = target_transform.fit, "data.target_transform=rank"
    assert audits.found("held-out targets", word).verdict == "clean"
    monkeypatch.setattr(
        target_transform, "fit", lambda kind, data, _, seed: original(kind, data, everything(data), seed)
    )
    leak(audits.found("held-out targets", word), "fold 0 seed 0: the target's transform, ")


def test_scales_of_auxiliary_targets_fitted_on_all_series(home: Path, monkeypatch: Patch) -> None:
    made = audits.tables()
    audits.rides(home, made | {"train": made["train"].with_columns(heat=pl.col("power") * 7)})
    head = 'model.0.head={kind = "l1", beside = [{target = "heat", kind = "l2"}]}'
    words = ('data.auxiliary=[{target = ["heat"]}]', head)
    assert audits.found("held-out targets", *words).verdict == "clean"
    original = scaler._auxiliary_scales
    monkeypatch.setattr(scaler, "_auxiliary_scales", lambda data, _: original(data, everything(data)))
    leak(audits.found("held-out targets", *words), "hybrid fold 0 seed 0: the auxiliary targets' scales, ")


def on_a_grid() -> dict[str, pl.DataFrame]:
    """The rides with a speed that is read off in steps of 0.05."""
    made = audits.tables()
    return made | {"train": made["train"].with_columns((SPEED * 20).round() / 20)}


def test_a_grid_found_on_all_series(home: Path, monkeypatch: Patch) -> None:
    audits.rides(home, on_a_grid())
    original = scaler.fit

    def of_all(kind: str, data: Store, chosen: np.ndarray, seed: int) -> scaler.Scaler:
        assert data.y is not None
        grids = tuple(target_grid.detect_grids(np.asarray(data.y)[data.scored]))
        return replace(original(kind, data, chosen, seed), grids=grids)

    assert audits.found("held-out targets").verdict == "clean"
    monkeypatch.setattr(scaler, "fit", of_all)
    leak(audits.found("held-out targets"), "hybrid fold 0 seed 0: the target's grid")


def test_a_network_trained_on_all_series(rides: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(cell_training, "labelled_series", lambda store, *_: labelled_series(store, everything(store)))
    leak(audits.found("held-out targets"), "hybrid fold 0 seed 0: the training loss, the network's weights")


@pytest.mark.parametrize(
    ("check", "named"),
    [("held-out targets", "lightgbm fold 0 seed 0"), ("shuffled targets", "better than chance (p = 0.0002")],
)
@pytest.mark.learned
def test_trees_grown_on_all_series(check: str, named: str, rides: Path, monkeypatch: Patch) -> None:
    original = boosting_cell.BoostingCell.fit
    monkeypatch.setattr(
        boosting_cell.BoostingCell, "fit", lambda self, data, _, *more: original(self, data, everything(data), *more)
    )
    leak(audits.found(check), named)


@pytest.mark.learned
def test_trees_that_use_the_target_when_they_predict(rides: Path, monkeypatch: Patch) -> None:
    original = boosting_cell.BoostingCell.predict

    def nudged(self: Any, data: Store, chosen: np.ndarray) -> tuple[np.ndarray, None]:
        values, spread = original(self, data, chosen)
        return (0.5 * values + 0.5 * data.y[data.rows(chosen)] if data.labelled else values), spread

    monkeypatch.setattr(boosting_cell.BoostingCell, "predict", nudged)
    leak(audits.found("held-out targets"), "lightgbm fold 0 seed 0: the out-of-fold predictions")
    leak(audits.found("shuffled targets"), "better than chance")


def test_a_scaler_fitted_with_the_test_table(rides: Path, monkeypatch: Patch) -> None:
    original = scaler.fit

    def with_test(kind: str, data: Store, chosen: np.ndarray, seed: int) -> scaler.Scaler:
        fitted = original(kind, data, chosen, seed)
        test = pl.read_parquet(files.home() / "data" / "test.parquet")["power"].median()
        return replace(fitted, center=fitted.center + 0.01 * float(test))  # type: ignore[arg-type]

    monkeypatch.setattr(scaler, "fit", with_test)
    leak(audits.found("test rows"), "hybrid fold 0 seed 0: the scaler's centres")


@pytest.mark.learned
def test_blend_weights_fitted_on_the_fold_they_are_scored_on(rides: Path, monkeypatch: Patch) -> None:
    original = ensemble.nested

    def not_nested(config: Any, rows: Any) -> NestedPredictions:
        return replace(original(config, rows), values=ensemble.fit(config, rows).apply(rows.predictions))

    monkeypatch.setattr(ensemble, "nested", not_nested)
    leak(audits.found("nested blend", "blend.method=lad"), "are fitted by weights that its own targets have changed")


@pytest.mark.learned
def test_rows_snapped_to_a_grid_of_their_own_fold(home: Path, monkeypatch: Patch) -> None:
    audits.rides(home, on_a_grid())

    def of_all(nested: NestedPredictions, rows: BlendRows) -> np.ndarray:
        return post_processing.snap(nested.values, target_grid.detect_grids(rows.y))

    assert audits.found("nested blend").verdict == "clean"
    monkeypatch.setattr(after_blend, "snapped_by_fold", of_all)
    leak(audits.found("nested blend"), "fitted to a grid that its own targets have changed")


def test_a_decoder_that_uses_the_target(rides: Path, monkeypatch: Patch) -> None:
    def leaking(table: Any) -> exact_rows.Exact:
        return exact_rows.Exact(table.frame["speed"].to_numpy(), np.full(table.frame.height, "leaked"))

    monkeypatch.setattr(exact_rows, "obtain", leaking)
    leak(audits.found("exact rows", "post.decode=true"), "the decoder uses them")


# ---------------------------------------------------------------- training and test table


def test_a_counter_that_runs_on_through_both_files(home: Path) -> None:
    counter = np.arange((audits.SERIES + audits.TEST_SERIES) * audits.STEPS, dtype=float)
    audits.rides(home, audits.tables(counter=counter), inputs="counter")
    raw = 'features.families=["raw"]'
    leak(audits.found("train against test", raw), "counter alone separates test series from training series")

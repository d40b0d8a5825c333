"""Planted leaks of values: in features, inputs, fitted parts and row ids; each must be named by the audit.

The engine is changed by monkeypatching; the audit itself is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import audits
import numpy as np
import polars as pl
import pytest
import tiny

from foldline import ensemble, features
from foldline.core import files
from foldline.data import exact_rows, target_grid
from foldline.data.store import Store
from foldline.ensemble import BlendRows, NestedPredictions, post_processing
from foldline.experiment import after_blend
from foldline.features.family import Columns, Family
from foldline.fit import boosting_cell, scaler, target_transform
from foldline.fit.labelled_series import labelled_series
from foldline.run import cell_training

Patch = pytest.MonkeyPatch


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
    check: str, expression: pl.Expr, why: str, audited: Path, monkeypatch: Patch
) -> None:
    monkeypatch.setitem(features.FAMILIES, "spoilt", LeakingFamily)
    monkeypatch.setattr(LeakingFamily, "made", expression, raising=False)
    audits.leak(audits.found(check, 'features.families=["raw", "spoilt"]'), f"spoilt {why}")


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
    audits.leak(audits.found("target among inputs"), f"extra is a copy of {what}")


def test_a_feature_that_equals_the_target_by_physics_is_noted(home: Path) -> None:
    made = audits.tables()
    audits.rides(home, made | {"train": made["train"].with_columns(speed=pl.col("power").cum_sum().over("ride") / 7)})
    outcome = audits.found("target among inputs", 'features.families=["raw", "integral"]')
    assert outcome.verdict == "note" and "sum(power) is the target speed" in outcome.detail


# ---------------------------------------------------------------- fitted parts that use too much


def everything(store: Store) -> np.ndarray:
    return np.arange(len(store.lengths))


@pytest.mark.parametrize("check", ["held-out targets", "held-out rows"])
def test_a_scaler_fitted_on_all_series(check: str, audited: Path, monkeypatch: Patch) -> None:
    original = scaler.fit
    monkeypatch.setattr(scaler, "fit", lambda kind, data, _, seed: original(kind, data, everything(data), seed))
    named = "the target's centre" if check == "held-out targets" else "the scaler's centres, the scaler's scales"
    audits.leak(audits.found(check), f"hybrid fold 0 seed 0: {named}")


def test_ranks_of_targets_fitted_on_all_series(audited: Path, monkeypatch: Patch) -> None:
    original, word = target_transform.fit, "data.target_transform=rank"
    assert audits.found("held-out targets", word).verdict == "clean"
    monkeypatch.setattr(
        target_transform, "fit", lambda kind, data, _, seed: original(kind, data, everything(data), seed)
    )
    audits.leak(audits.found("held-out targets", word), "fold 0 seed 0: the target's transform, ")


def test_scales_of_auxiliary_targets_fitted_on_all_series(home: Path, monkeypatch: Patch) -> None:
    made = audits.tables()
    audits.rides(home, made | {"train": made["train"].with_columns(heat=pl.col("power") * 7)})
    head = 'model.0.head={kind = "l1", beside = [{target = "heat", kind = "l2"}]}'
    words = ('data.auxiliary=[{target = ["heat"]}]', head)
    assert audits.found("held-out targets", *words).verdict == "clean"
    original = scaler._auxiliary_scales
    monkeypatch.setattr(scaler, "_auxiliary_scales", lambda data, _: original(data, everything(data)))
    audits.leak(audits.found("held-out targets", *words), "hybrid fold 0 seed 0: the auxiliary targets' scales, ")


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
    audits.leak(audits.found("held-out targets"), "hybrid fold 0 seed 0: the target's grid")


def test_a_network_trained_on_all_series(audited: Path, monkeypatch: Patch) -> None:
    monkeypatch.setattr(cell_training, "labelled_series", lambda store, *_: labelled_series(store, everything(store)))
    audits.leak(audits.found("held-out targets"), "hybrid fold 0 seed 0: the training loss, the network's weights")


@pytest.mark.parametrize(
    ("check", "named"),
    [("held-out targets", "lightgbm fold 0 seed 0"), ("shuffled targets", "better than chance (p = 0.0002")],
)
@pytest.mark.learned
def test_trees_grown_on_all_series(check: str, named: str, audited: Path, monkeypatch: Patch) -> None:
    original = boosting_cell.BoostingCell.fit
    monkeypatch.setattr(
        boosting_cell.BoostingCell, "fit", lambda self, data, _, *more: original(self, data, everything(data), *more)
    )
    audits.leak(audits.found(check), named)


@pytest.mark.learned
def test_trees_that_use_the_target_when_they_predict(audited: Path, monkeypatch: Patch) -> None:
    original = boosting_cell.BoostingCell.predict

    def nudged(self: Any, data: Store, chosen: np.ndarray) -> tuple[np.ndarray, None]:
        values, spread = original(self, data, chosen)
        return (0.5 * values + 0.5 * data.y[data.rows(chosen)] if data.labelled else values), spread

    monkeypatch.setattr(boosting_cell.BoostingCell, "predict", nudged)
    audits.leak(audits.found("held-out targets"), "lightgbm fold 0 seed 0: the out-of-fold predictions")
    audits.leak(audits.found("shuffled targets"), "better than chance")


def test_a_scaler_fitted_with_the_test_table(audited: Path, monkeypatch: Patch) -> None:
    original = scaler.fit

    def with_test(kind: str, data: Store, chosen: np.ndarray, seed: int) -> scaler.Scaler:
        fitted = original(kind, data, chosen, seed)
        test = pl.read_parquet(files.home() / "data" / "test.parquet")["power"].median()
        return replace(fitted, center=fitted.center + 0.01 * float(test))  # type: ignore[arg-type]

    monkeypatch.setattr(scaler, "fit", with_test)
    audits.leak(audits.found("test rows"), "hybrid fold 0 seed 0: the scaler's centres")


@pytest.mark.learned
def test_blend_weights_fitted_on_the_fold_they_are_scored_on(audited: Path, monkeypatch: Patch) -> None:
    original = ensemble.nested

    def not_nested(config: Any, rows: Any) -> NestedPredictions:
        return replace(original(config, rows), values=ensemble.fit(config, rows).apply(rows.predictions))

    monkeypatch.setattr(ensemble, "nested", not_nested)
    audits.leak(
        audits.found("nested blend", "blend.method=lad"), "are fitted by weights that its own targets have changed"
    )


@pytest.mark.learned
def test_rows_snapped_to_a_grid_of_their_own_fold(home: Path, monkeypatch: Patch) -> None:
    audits.rides(home, on_a_grid())

    def of_all(nested: NestedPredictions, rows: BlendRows) -> np.ndarray:
        return post_processing.snap(nested.values, target_grid.detect_grids(rows.y))

    assert audits.found("nested blend").verdict == "clean"
    monkeypatch.setattr(after_blend, "snapped_by_fold", of_all)
    audits.leak(audits.found("nested blend"), "fitted to a grid that its own targets have changed")


def test_a_decoder_that_uses_the_target(audited: Path, monkeypatch: Patch) -> None:
    def leaking(table: Any) -> exact_rows.Exact:
        return exact_rows.Exact(table.frame["speed"].to_numpy(), np.full(table.frame.height, "leaked"))

    monkeypatch.setattr(exact_rows, "obtain", leaking)
    audits.leak(audits.found("exact rows", "post.decode=true"), "the decoder uses them")


# ---------------------------------------------------------------- training and test table


def test_a_counter_that_runs_on_through_both_files(home: Path) -> None:
    counter = np.arange((audits.SERIES + audits.TEST_SERIES) * audits.STEPS, dtype=float)
    audits.rides(home, audits.tables(counter=counter), inputs="counter")
    raw = 'features.families=["raw"]'
    audits.leak(audits.found("train against test", raw), "counter alone separates test series from training series")

"""The audit takes every kind of target, at every step and one a series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny
from tiny_classes import KINDS, LEVELS, Songs

from foldline.ensemble import decisions, target_weights, tidying
from foldline.ensemble.blend_rows import BlendRows
from foldline.ensemble.fitted_blend import ColumnWeights, Rule, WeightedSum
from foldline.ensemble.post_processing import PostConfig
from foldline.evidence import audit
from foldline.evidence.audit import fitted_part_leaks, perturbations, shuffled_targets, split_leaks, target_copies
from foldline.evidence.audit.audit_context import AuditContext
from foldline.experiment import config


def context(songs: Songs, home: Path, tmp_path: Path, **columns: pl.Expr) -> AuditContext:
    """The context of some songs, with further columns in both tables."""
    songs.install(home, tmp_path / "songs")
    tables = songs.frames()
    given = [expression.alias(name) for name, expression in columns.items()]
    tables["train"] = tables["train"].with_columns(given)
    tiny.write(tmp_path / "songs", tables)
    return AuditContext.of(config.load(Path("songs"), []), tmp_path / "scratch")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_no_check_fails_or_finds_a_leak_where_there_is_none(kind: str, level: str, home: Path, tmp_path: Path) -> None:
    made = context(Songs(kind, level, series=60, test_series=40), home, tmp_path)
    found = {check.name: outcome for check, outcome in audit.examine(made, lambda *_: None)}
    assert {outcome.verdict for outcome in found.values()} <= {"clean", "note", "not checked"}
    unchecked = {name for name, outcome in found.items() if outcome.verdict == "not checked"}
    assert unchecked <= {"stored cells", "near-duplicates"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_changed_targets_are_targets_of_the_same_kind(kind: str, level: str, home: Path, tmp_path: Path) -> None:
    table = context(Songs(kind, level), home, tmp_path).competition.train
    chosen = np.arange(len(table.lengths)) % 2 == 0
    changed = replace(table, frame=perturbations.targets(table, chosen))
    series = np.repeat(np.arange(len(table.lengths)), table.answers_of_series)
    differs = np.bincount(series, (changed.y != table.y).any(axis=1)) > 0
    assert not differs[~chosen].any() and differs[chosen].mean() > 0.5
    for name in table.data.target:
        assert set(changed.frame[name]) <= set(table.frame[name])


def test_a_static_text_that_copies_the_class_is_a_leak(home: Path, tmp_path: Path) -> None:
    songs = Songs("multiclass", series=60)
    tables = songs.frames()
    songs.install(home, tmp_path / "songs")
    tables["train"] = tables["train"].with_columns(site=pl.col("answer").str.slice(0, 1))
    tables["test"] = tables["test"].with_columns(site=pl.lit("w"))
    tiny.write(tmp_path / "songs", tables)
    found = target_copies.check(AuditContext.of(config.load(Path("songs"), []), tmp_path / "scratch"))
    assert found.verdict == "LEAK" and "site is a copy of the target answer" in found.detail


def test_a_group_in_two_folds_is_a_leak(home: Path, tmp_path: Path) -> None:
    singer = pl.col("song").str.slice(1).cast(pl.Int64) // 4
    made = context(Songs(more='group = "singer"'), home, tmp_path, singer=singer)
    assert split_leaks.whole_groups(made).verdict == "clean"
    assignment = np.arange(len(made.folds.assignment)) % 2
    split = replace(made, folds=replace(made.folds, assignment=assignment))
    found = split_leaks.whole_groups(split)
    assert found.verdict == "LEAK" and "singer 0 is in folds 0 and 1" in found.detail


def test_shuffled_classes_that_leak_are_found(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions that know the shuffled classes."""
    made = context(Songs(series=60), home, tmp_path)
    monkeypatch.setattr(shuffled_targets.predictions, "out_of_fold", lambda plan, store: np.asarray(store.y))
    assert shuffled_targets.check(made).verdict == "LEAK"


@pytest.mark.learned
def test_decisions_fitted_on_the_fold_they_are_scored_on(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_all(values: np.ndarray, fitted: object, rows: BlendRows, post: PostConfig) -> np.ndarray:
        alone = replace(rows, labels=("blend",), predictions=values[None], spread=None)
        return decisions.fit(alone, post).apply(values) if decisions.step_of(rows, post) else values

    made = context(Songs("multiclass", series=60), home, tmp_path)
    assert fitted_part_leaks.nesting(made).verdict == "clean"
    monkeypatch.setattr(decisions, "by_fold", of_all)
    found = fitted_part_leaks.nesting(made)
    assert found.verdict == "LEAK" and "by decisions that its own targets have changed" in found.detail


def prepared(songs: Songs, home: Path, tmp_path: Path, *overrides: str) -> AuditContext:
    """The context of some songs as they are, with some keys of the config changed."""
    songs.install(home, tmp_path / "songs")
    return AuditContext.of(config.load(Path("songs"), list(overrides)), tmp_path / "scratch")


def leaks(made: AuditContext, what: str) -> bool:
    found = fitted_part_leaks.nesting(made)
    return found.verdict == "LEAK" and f"{what} that its own targets have changed" in found.detail


def test_weights_of_each_target_fitted_on_the_fold_they_are_scored_on(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    songs = Songs("regression", targets=("height", "width"), series=60)
    made = prepared(songs, home, tmp_path, "blend.per_target=true", "blend.method=lad")
    assert fitted_part_leaks.nesting(made).verdict == "clean"
    whole: list[BlendRows] = []

    def of_all(rows: BlendRows, common: WeightedSum, fit: target_weights.Fit) -> Rule:
        """Fit the first target's own weights on the rows of all folds, which `combine` fits first."""
        if not whole or len(rows.y) >= len(whole[0].y):
            whole[:] = [rows]
        own = fit(whole[0].column(0))
        assert isinstance(own, WeightedSum)
        return ColumnWeights((own.weights, common.weights))

    monkeypatch.setattr(target_weights, "helpful", of_all)
    assert leaks(made, "by weights")


def test_rounding_decided_by_the_fold_itself(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = prepared(Songs("regression", series=60), home, tmp_path, "post.decimals=0")
    assert fitted_part_leaks.nesting(made).verdict == "clean"

    def of_itself(values: np.ndarray, fitted: object, rows: BlendRows, post: PostConfig, step: object) -> np.ndarray:
        """Round each row where its own error gets smaller."""
        rounded = np.round(values, post.decimals or 0)
        return np.where(np.abs(rounded - rows.y) < np.abs(values - rows.y), rounded, values)

    monkeypatch.setattr(tidying, "by_fold", of_itself)
    assert leaks(made, "by rounding or renormalising")


def test_thresholds_of_a_static_value_are_fitted_on_the_other_folds(home: Path, tmp_path: Path) -> None:
    songs = Songs("binary", metric="f1", series=60)
    assert fitted_part_leaks.nesting(prepared(songs, home, tmp_path, "post.thresholds_by=site")).verdict == "clean"

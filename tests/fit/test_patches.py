"""Patches: what a step is made of against its definition, the way up again, and a network that is trained on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
import torch
from lab import INSIDE, TRAIN, fitted, padded, small_store, weights, with_features

from foldline.cli.main import main
from foldline.data.store import Store, StoredAuxiliary, StoredTask
from foldline.fit import datasets, network_cell, patches, scaler
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.fit.patches import PatchesConfig
from foldline.fit.train_config import TrainConfig, WatchConfig
from foldline.fit.window_config import TrainingWindowsConfig

THREE = PatchesConfig(rows=3)
EVERY = np.arange(10)


def store(kind: Any = "regression", **changes: Any) -> Store:
    """Ten series of 1 to 6 rows, some values and targets missing."""
    data, rng = small_store(), np.random.default_rng(1)
    y = {"regression": data.y, "distribution": rng.dirichlet(np.ones(3), len(data.y))}.get(
        kind, np.eye(3)[rng.integers(3, size=len(data.y))]
    )
    y = y[:, :1] if kind in ("binary", "ordinal") else y
    known = rng.random((len(y), 1)) < 0.7
    x = np.where(rng.random(data.x.shape) < 0.2, np.nan, data.x).astype(np.float32)
    task = StoredTask(kind=kind, columns=tuple("abc"[: y.shape[1]]), classes=3)
    known = np.repeat(known, y.shape[1], axis=1)
    return replace(data, x=x, y=y, known=known, scored=data.scored & known[:, 0], missing=True, task=task, **changes)


def slow(part: LabelledSeries, rows: int) -> list[tuple[Any, ...]]:
    """(features, target or None, weight, scored) of each patch, by the definition."""
    found, begin, data = [], 0, part.store
    for series in part.series:
        x = data.features(data.rows(np.array([series])))
        for first in range(0, len(x), rows):
            those = slice(begin + first, begin + min(first + rows, len(x)))
            counts, known = part.weight[those] > 0, part.known[those, 0]
            used = part.y[those][counts if counts.any() else known]
            target = None
            if len(used):
                kind = data.task.kind
                target = used.max(axis=0) if kind in ("binary", "multilabel", "ordinal") else used.mean(axis=0)
                target = np.eye(3)[used.sum(axis=0).argmax()] if kind == "multiclass" else target
            there = [column[~np.isnan(column)] for column in x[first : first + rows].T]
            means = [column.mean() if len(column) else np.nan for column in there]
            found.append((means, target, part.weight[those].mean(), part.scored[those].any()))
        begin += len(x)
    return found


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass", "multilabel", "ordinal", "distribution"])
@pytest.mark.parametrize("rows", [2, 3, 7])
def test_a_patch_is_what_its_rows_are_together(kind: str, rows: int) -> None:
    part = labelled_series(store(kind), INSIDE)
    made = patches.pooled(part, PatchesConfig(rows=rows))
    expected = slow(part, rows)
    assert made.store.lengths.tolist() == [-(-length // rows) for length in part.store.lengths]
    means = np.array([each[0] for each in expected])
    np.testing.assert_allclose(made.store.features(made.store.rows(INSIDE)), means, rtol=1e-5)
    assert made.known[:, 0].tolist() == [each[1] is not None for each in expected]
    there = made.known[:, 0]
    np.testing.assert_allclose(made.y[there], np.stack([each[1] for each in expected if each[1] is not None]))
    np.testing.assert_allclose(made.weight, [each[2] for each in expected], rtol=1e-6)
    assert made.scored.tolist() == [each[3] for each in expected]


def test_auxiliary_targets_are_pooled_as_their_kind_is() -> None:
    data = small_store(series=2)  # of 1 and 2 rows
    auxiliary = (
        StoredAuxiliary(name="a", kind="regression", count=1, classes=0),
        StoredAuxiliary(name="b", kind="binary", count=1, classes=2),
    )
    values = np.array([[np.nan, 1.0], [2.0, 0.0], [4.0, np.nan]])
    made = patches.pooled(labelled_series(replace(data, auxiliary=auxiliary, auxiliary_y=values), np.arange(2)), THREE)
    np.testing.assert_array_equal(made.store.auxiliary_y, [[np.nan, 1.0], [3.0, 0.0]])  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [2, 3, 4])
def test_predictions_go_up_between_the_middles_of_patches_of_their_own_series(rows: int) -> None:
    lengths = np.array([1, 5, 8, 3])
    counts = -(-lengths // rows)
    values = np.random.default_rng(0).normal(size=(counts.sum(), 2))
    linear, repeated, begin = [], [], 0
    for length, count in zip(lengths, counts, strict=True):
        own, begin = values[begin : begin + count], begin + count
        middles = [np.arange(first, min(first + rows, length)).mean() for first in range(0, length, rows)]
        linear.append(np.stack([np.interp(np.arange(length), middles, column) for column in own.T], axis=1))
        repeated.append(own[np.arange(length) // rows])
    np.testing.assert_allclose(patches.up(values, lengths, PatchesConfig(rows=rows)), np.concatenate(linear))
    made = patches.up(values, lengths, PatchesConfig(rows=rows, up="repeat"))
    np.testing.assert_array_equal(made, np.concatenate(repeated))


@pytest.mark.parametrize("windows", [TrainingWindowsConfig(), TrainingWindowsConfig(length=2)])
def test_each_row_is_predicted_whatever_else_is_in_the_file(windows: TrainingWindowsConfig) -> None:
    data = small_store()
    config = replace(TRAIN, patches=THREE, windows=windows, watch=WatchConfig(share=0.4, best=True))
    cell = fitted(data, train=config)
    together = cell.predict(data, EVERY)[0]
    assert together.shape == (data.lengths.sum(), 2) and np.isfinite(together).all()
    begin = np.cumsum(data.lengths) - data.lengths
    for series in (0, 5, 9):
        alone = cell.predict(data, np.array([series]))[0]
        np.testing.assert_allclose(
            alone, together[begin[series] : begin[series] + data.lengths[series]], rtol=1e-5, atol=1e-6
        )


def test_what_is_watched_is_scored_by_rows() -> None:
    """The last row of the history is the metric of what the network predicts of the series that were kept out."""
    data, seen = small_store(), list[float]()
    config = replace(TRAIN, patches=THREE, watch=WatchConfig(share=0.4))
    cell = fitted(data, train=config, emit=lambda kind, **row: seen.append(row["watched"]) if kind == "epoch" else None)
    (held,) = network_cell.inner_split([labelled_series(data, INSIDE)], 0.4, 0)[1]
    counted = held.weight > 0
    error = np.abs(cell.predict(data, held.series)[0] - held.y)[counted].mean()
    assert seen[-1] == pytest.approx(error, rel=1e-5)


def test_weights_depend_on_the_series_that_are_fitted_on_alone() -> None:
    data, config = small_store(), replace(TRAIN, patches=THREE)
    x = padded(data)
    x[np.setdiff1d(EVERY, INSIDE)] = 1e3
    expected = weights(fitted(data, train=config))
    assert weights(fitted(with_features(data, x), train=config)) == expected
    assert weights(fitted(data, train=replace(config, patches=PatchesConfig(rows=2)))) != expected


def test_a_series_with_one_answer_has_fewer_steps_and_the_same_answer() -> None:
    data = small_store()
    y = np.arange(10.0)[:, None]
    task = StoredTask(level="series", kind="regression", columns=("a",))
    data = replace(data, y=y, known=np.ones((10, 1), dtype=bool), scored=np.ones(10, dtype=bool), task=task)
    part = labelled_series(data, INSIDE)
    made = patches.pooled(part, THREE)
    assert np.array_equal(made.y, part.y) and made.store.lengths.max() == 2
    cell = fitted(data, train=replace(TRAIN, patches=THREE), params={"width": 4, "blocks": [{"kind": "conv"}]})
    assert cell.predict(data, EVERY)[0].shape == (10, 1)


def test_estimates_count_steps_not_rows() -> None:
    data = small_store()
    assert datasets.steps_in_training(replace(TRAIN, patches=THREE), data) == 2


@pytest.mark.parametrize("margin", [-1, 0, 1, 2, 99])
@pytest.mark.parametrize("windows", [TrainingWindowsConfig(), TrainingWindowsConfig(length=2, starts="even")])
def test_what_is_estimated_is_what_is_trained(margin: int, windows: TrainingWindowsConfig) -> None:
    """A margin is of steps, too: of patches."""
    data = small_store(steps=14, series=20)  # steps 0 to 3 are scored
    config = replace(TRAIN, patches=THREE, windows=windows, margin=margin)
    part, fitted_to = patches.pooled(labelled_series(data, np.arange(20)), THREE), scaler.fit("none", data, INSIDE, 0)
    fold = datasets.to_train([part], fitted_to, config, 0, torch.device("cpu"))
    assert len(fold) == pytest.approx(datasets.count_in_training(config, data, 20))
    steps = next(fold.batches(np.arange(len(fold)), len(fold)))[-1].x.shape[1]
    assert steps == datasets.steps_in_training(config, data)


@pytest.mark.parametrize("table", [{"rows": 0}, {"rows": 1, "up": "repeat"}])
def test_impossible_tables_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rows must be from 1|up is for patches"):
        TrainConfig(patches=PatchesConfig(**table))


def test_a_run_submits_every_row(home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tables = tiny.frames()
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    tiny.run("train", "rides", "train.patches={rows = 3}")
    assert pl.read_csv(tiny.submission(home)).height == tables["test"].height
    tiny.run("infer", "rides")


def test_a_known_start_has_steps_of_its_own(home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tables = tiny.frames()
    test = tiny.rides(501, 4, 10, seed=1)
    tables["test"] = test.with_columns(speed=pl.when(pl.col("second") < 1).then("speed"))
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    assert main(["train", "rides", "train.patches={rows = 3}", "data.observed=2", "data.scored=''"]) == 2
    assert "train.patches makes one step of 3 rows" in capfd.readouterr().err

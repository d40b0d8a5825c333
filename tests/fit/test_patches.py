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
from foldline.fit import datasets, patches, scaler, watched_split
from foldline.fit.labelled_series import LabelledSeries, labelled_series
from foldline.fit.patches import PatchesConfig
from foldline.fit.train_config import TrainConfig, WatchConfig
from foldline.fit.window_config import TrainingWindowsConfig
from foldline.serve import load

THREE = PatchesConfig(rows=3)
TIMED = PatchesConfig(every=2.0)
LEFT_OUT = PatchesConfig(every=2.0, gaps="left-out")
EVERY = np.arange(10)


def store(kind: Any = "regression", **changes: Any) -> Store:
    """Ten series of 1 to 6 rows at irregular times, some values and targets missing."""
    data, rng = small_store(), np.random.default_rng(1)
    y = {"regression": data.y, "distribution": rng.dirichlet(np.ones(3), len(data.y))}.get(
        kind, np.eye(3)[rng.integers(3, size=len(data.y))]
    )
    y = y[:, :1] if kind in ("binary", "ordinal") else y
    known = rng.random((len(y), 1)) < 0.7
    x = np.where(rng.random(data.x.shape) < 0.2, np.nan, data.x).astype(np.float32)
    task = StoredTask(kind=kind, columns=tuple("abc"[: y.shape[1]]), classes=3)
    known = np.repeat(known, y.shape[1], axis=1)
    data = replace(data, x=x, y=y, known=known, scored=data.scored & known[:, 0], missing=True, task=task)
    return timed(data, **changes)


def timed(data: Store, **changes: Any) -> Store:
    """The same series with irregular times, in which some steps of 2 have no row."""
    steps = np.random.default_rng(2).exponential(1.5, size=data.lengths.sum())
    times = [np.cumsum(part) - part[0] for part in np.split(steps, np.cumsum(data.lengths)[:-1])]
    return replace(data, times=np.concatenate(times), **changes)


def members(data: Store, series: int, config: PatchesConfig) -> list[list[int]]:
    """The rows of each patch of a series, counted in it, by the definition."""
    length = int(data.lengths[series])
    if not config.by_time:
        return [list(range(first, min(first + config.rows, length))) for first in range(0, length, config.rows)]
    assert data.times is not None
    bins = (data.times[data.rows(np.array([series]))] // float(config.every)).astype(int).tolist()
    found = [[row for row in range(length) if bins[row] == number] for number in range(bins[-1] + 1)]
    return [rows for rows in found if rows or config.gaps == "missing"]


def slow(part: LabelledSeries, config: PatchesConfig) -> list[tuple[Any, ...]]:
    """(features, target or None, weight, scored) of each patch, by the definition."""
    found, begin, data = [], 0, part.store
    for series in part.series:
        x = data.features(data.rows(np.array([series])))
        for rows in members(data, int(series), config):
            those = [begin + row for row in rows]
            counts, known = part.weight[those] > 0, part.known[those, 0]
            used = part.y[those][counts if counts.any() else known]
            target = None
            if len(used):
                kind = data.task.kind
                target = used.max(axis=0) if kind in ("binary", "multilabel", "ordinal") else used.mean(axis=0)
                target = np.eye(3)[used.sum(axis=0).argmax()] if kind == "multiclass" else target
            there = [column[~np.isnan(column)] for column in x[rows].T]
            means = [column.mean() if len(column) else np.nan for column in there]
            found.append((means, target, part.weight[those].mean() if rows else 0.0, part.scored[those].any()))
        begin += len(x)
    return found


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass", "multilabel", "ordinal", "distribution"])
@pytest.mark.parametrize("config", [PatchesConfig(rows=2), THREE, PatchesConfig(rows=7), TIMED, LEFT_OUT])
def test_a_patch_is_what_its_rows_are_together(kind: str, config: PatchesConfig) -> None:
    part = labelled_series(store(kind), INSIDE)
    made = patches.pooled(part, config)
    expected = slow(part, config)
    lengths = [len(members(part.store, series, config)) for series in range(10)]
    shown = INSIDE if config.by_time else EVERY
    assert made.store.lengths.tolist() == [lengths[series] if series in shown else 1 for series in range(10)]
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


@pytest.mark.parametrize("config", [PatchesConfig(rows=2), THREE, PatchesConfig(rows=4), TIMED, LEFT_OUT])
def test_predictions_go_up_between_the_middles_of_patches_of_their_own_series(config: PatchesConfig) -> None:
    """A patch without rows is in the middle of its time."""
    data = store()
    values = np.random.default_rng(0).normal(size=(patches.steps(data, config).sum(), 2))
    linear, repeated, begin = [], [], 0
    for series in range(10):
        rows = members(data, series, config)
        own, begin = values[begin : begin + len(rows)], begin + len(rows)
        assert data.times is not None
        at = data.times[data.rows(np.array([series]))] if config.by_time else np.arange(data.lengths[series])
        middles = [at[patch].mean() if patch else 2.0 * (number + 0.5) for number, patch in enumerate(rows)]
        linear.append(np.stack([np.interp(at, middles, column) for column in own.T], axis=1))
        repeated.append(np.concatenate([own[[number] * len(patch)] for number, patch in enumerate(rows)]))
    np.testing.assert_allclose(patches.up(values, data, EVERY, config), np.concatenate(linear))
    made = patches.up(values, data, EVERY, replace(config, up="repeat"))
    np.testing.assert_array_equal(made, np.concatenate(repeated))


def test_gaps_of_time_are_steps_in_which_all_is_missing() -> None:
    data = small_store(series=1).x[:1].repeat(3, axis=0)
    row = replace(small_store(series=3, steps=1), names=("a", "missing(a)", "b"), x=data, lengths=np.array([3]))
    row = replace(row, static=row.static[:1], times=np.array([0.0, 0.1, 7.0]))
    made = patches.pooled(labelled_series(row, np.arange(1)), TIMED)
    assert made.store.lengths.tolist() == [4] and made.store.missing
    np.testing.assert_array_equal(made.store.x[1:3], [[np.nan, 1.0, np.nan]] * 2)
    assert made.weight.tolist() == [1, 0, 0, 1] and made.known[:, 0].tolist() == [True, False, False, True]


@pytest.mark.parametrize("gaps", ["missing", "left-out"])
def test_patches_of_the_rate_that_rows_have_change_no_bit(gaps: Any) -> None:
    """0.3, 0.6, ... begin a step of 0.1, though float64 has less of some. The longest series are among the fold's."""
    data = small_store()
    data = replace(data, times=data.step_of_answer * 0.1)
    one, three = (PatchesConfig(every=every, gaps=gaps) for every in (0.1, 0.3))
    train = replace(TRAIN, watch=WatchConfig(share=0.4, best=True))
    every, by_one, by_three, of_three = (
        fitted(data, train=replace(train, patches=each), series=EVERY) for each in (PatchesConfig(), one, three, THREE)
    )
    assert weights(by_one) == weights(every) != weights(by_three) == weights(of_three)
    assert np.array_equal(by_one.predict(data, EVERY)[0], every.predict(data, EVERY)[0])


@pytest.mark.parametrize("chosen", [THREE, TIMED, LEFT_OUT])
@pytest.mark.parametrize("windows", [TrainingWindowsConfig(), TrainingWindowsConfig(length=2)])
def test_each_row_is_predicted_whatever_else_is_in_the_file(
    windows: TrainingWindowsConfig, chosen: PatchesConfig
) -> None:
    data = timed(small_store())
    config = replace(TRAIN, patches=chosen, windows=windows, watch=WatchConfig(share=0.4, best=True))
    cell = fitted(data, train=config)
    together = cell.predict(data, EVERY)[0]
    assert together.shape == (data.lengths.sum(), 2) and np.isfinite(together).all()
    begin = np.cumsum(data.lengths) - data.lengths
    for series in (0, 5, 9):
        alone = cell.predict(data, np.array([series]))[0]
        np.testing.assert_allclose(
            alone, together[begin[series] : begin[series] + data.lengths[series]], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("chosen", [THREE, TIMED])
def test_what_is_watched_is_scored_by_rows(chosen: PatchesConfig) -> None:
    """The last row of the history is the metric of what the network predicts of the series that were kept out."""
    data, seen = timed(small_store()), list[float]()
    config = replace(TRAIN, patches=chosen, watch=WatchConfig(share=0.4))
    cell = fitted(data, train=config, emit=lambda kind, **row: seen.append(row["watched"]) if kind == "epoch" else None)
    (held,) = watched_split.inner_split([labelled_series(data, INSIDE)], 0.4, 0)[1]
    counted = held.weight > 0
    error = np.abs(cell.predict(data, held.series)[0] - held.y)[counted].mean()
    assert seen[-1] == pytest.approx(error, rel=1e-5)


@pytest.mark.parametrize("chosen", [THREE, TIMED])
@pytest.mark.parametrize("share", [0.0, 0.4])
def test_weights_depend_on_the_series_that_are_fitted_on_alone(share: float, chosen: PatchesConfig) -> None:
    """Also not on the times of others, which say how many patches those have."""
    data, config = timed(small_store()), replace(TRAIN, patches=chosen, watch=WatchConfig(share=share))
    x, outside = padded(data), np.setdiff1d(EVERY, INSIDE)
    x[outside] = 1e3
    assert data.times is not None
    times = np.where(np.isin(data.series_of_answer, outside), 9 * data.times, data.times)
    expected = weights(fitted(data, train=config))
    assert weights(fitted(with_features(data, x, times=times), train=config)) == expected
    other = PatchesConfig(every=3.0) if chosen.by_time else PatchesConfig(rows=2)
    assert weights(fitted(data, train=replace(config, patches=other))) != expected


@pytest.mark.parametrize("chosen", [THREE, PatchesConfig(every=1e3)])
def test_a_series_with_one_answer_has_fewer_steps_and_the_same_answer(chosen: PatchesConfig) -> None:
    data = timed(small_store())
    y = np.arange(10.0)[:, None]
    task = StoredTask(level="series", kind="regression", columns=("a",))
    data = replace(data, y=y, known=np.ones((10, 1), dtype=bool), scored=np.ones(10, dtype=bool), task=task)
    part = labelled_series(data, INSIDE)
    made = patches.pooled(part, chosen)
    assert np.array_equal(made.y, part.y) and made.store.lengths.max() == (1 if chosen.by_time else 2)
    cell = fitted(data, train=replace(TRAIN, patches=chosen), params={"width": 4, "blocks": [{"kind": "conv"}]})
    assert cell.predict(data, EVERY)[0].shape == (10, 1)


def test_estimates_count_steps_not_rows() -> None:
    data = small_store()
    assert datasets.steps_in_training(replace(TRAIN, patches=THREE), data) == 2


@pytest.mark.parametrize("chosen", [THREE, TIMED])
@pytest.mark.parametrize("margin", [-1, 0, 1, 2, 99])
@pytest.mark.parametrize("windows", [TrainingWindowsConfig(), TrainingWindowsConfig(length=2, starts="even")])
def test_what_is_estimated_is_what_is_trained(
    margin: int, windows: TrainingWindowsConfig, chosen: PatchesConfig
) -> None:
    """A margin is of steps, too: of patches."""
    data = timed(small_store(steps=14, series=20))  # steps 0 to 3 are scored
    config = replace(TRAIN, patches=chosen, windows=windows, margin=margin)
    part, fitted_to = patches.pooled(labelled_series(data, np.arange(20)), chosen), scaler.fit("none", data, INSIDE, 0)
    fold = datasets.to_train([part], fitted_to, config, 0, torch.device("cpu"))
    assert len(fold) == pytest.approx(datasets.count_in_training(config, data, 20))
    steps = next(fold.batches(np.arange(len(fold)), len(fold)))[-1].x.shape[1]
    assert steps == datasets.steps_in_training(config, data)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rows": 0}, "rows must be from 1"),
        ({"up": "repeat"}, "up is for patches"),
        ({"rows": 2, "every": 1.0}, "rows and every both say what a patch is"),
        ({"rows": 2, "gaps": "left-out"}, "gaps is for patches of time"),
        ({"every": "0s"}, "every must be a finite length above 0"),
        ({"every": "soon"}, "every must be a number, or a duration"),
        ({"every": -1.0}, "every must be a finite length above 0"),
    ],
)
def test_impossible_tables_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrainConfig(patches=PatchesConfig(**table))


@pytest.mark.parametrize("table", ["rows = 3", "every = 3", 'every = 3.5, gaps = "left-out", up = "repeat"'])
def test_a_run_submits_every_row(table: str, home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tables = tiny.frames()
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    tiny.run("train", "rides", f"train.patches={{{table}}}")
    assert pl.read_csv(tiny.submission(home)).height == tables["test"].height
    tiny.run("infer", "rides")
    submitted = pl.read_csv(home / "runs" / "rides" / "latest" / "submission.csv")["speed"]
    np.testing.assert_allclose(load("rides").predict(tables["test"])["speed"], submitted, atol=1e-6)


def test_a_known_start_has_steps_of_its_own(home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tables = tiny.frames()
    test = tiny.rides(501, 4, 10, seed=1)
    tables["test"] = test.with_columns(speed=pl.when(pl.col("second") < 1).then("speed"))
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    assert main(["train", "rides", "train.patches={rows = 3}", "data.observed=2", "data.scored=''"]) == 2
    assert "train.patches makes one step of 3 rows" in capfd.readouterr().err


def test_durations_need_dates_and_gaps_must_not_make_far_too_many_steps(
    home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tables = tiny.frames()
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    assert main(["train", "rides", "train.patches={every = '100ms'}"]) == 2
    assert "train.patches.every = '100ms' is a duration, but 'second' holds numbers" in capfd.readouterr().err
    assert main(["train", "rides", "train.patches={every = 1e-3}"]) == 2
    said = capfd.readouterr().err
    assert "train.patches.every = 0.001 makes " in said and "Take longer steps, or gaps = 'left-out'." in said
    assert not (home / "runs" / "cells").exists() and not (home / "folds").exists()


def test_dates_take_durations(home: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tables = tiny.frames()
    for name in ("train", "test"):
        seconds = pl.from_epoch((pl.col("second") * 1000).cast(pl.Int64), time_unit="ms")
        tables[name] = tables[name].with_columns(seconds.alias("second"))
    tiny.install(home, tiny.write(tmp_path / "rides", tables))
    tiny.run("train", "rides", "train.patches={every = '2s'}", "data.scored=''")
    assert pl.read_csv(tiny.submission(home)).height == tables["test"].height

"""Trivial baselines: a contract over the registry, worked numbers, and marks where a model loses to one."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from answers import recorded

from foldline.cli.main import main
from foldline.data import metrics
from foldline.data.roles import DataConfig
from foldline.data.table import Table
from foldline.ensemble import BlendRows
from foldline.experiment import baselines, linear_baseline
from foldline.experiment.baselines import BASELINES, ScoredAnswers

KINDS = {  # kind -> metric, target columns
    "regression": ("mae", ("a",)),
    "binary": ("log_loss", ("a",)),
    "multilabel": ("auc", ("a", "b")),
    "multiclass": ("log_loss", ("a",)),
    "ordinal": ("qwk", ("a",)),
    "distribution": ("kl", ("a", "b")),
}
SERIES, STEPS, FOLDS = 30, 12, 3


def answers(
    kind: str = "regression",
    level: str = "step",
    observed: int | str = 0,
    static: tuple[str, ...] = ("s",),
    **changed: Any,
) -> ScoredAnswers:
    """Thirty series of twelve steps in three folds. changed: columns of the frame."""
    rng = np.random.default_rng(0)
    height, metric = SERIES * STEPS, changed.pop("metric", KINDS[kind][0])
    labels = rng.integers(0, 2 if kind in ("binary", "multilabel") else 3, height)
    numbers = rng.normal(size=height) if kind == "regression" else labels
    columns: dict[str, Any] = {
        "id": np.arange(height),
        "key": np.repeat(np.arange(SERIES), STEPS),
        "t": np.tile(np.arange(STEPS), SERIES),
        "x": rng.normal(size=height) + labels,
        "s": np.repeat(rng.integers(0, 4, SERIES), STEPS).astype(str),
        "a": numbers + 0.25 if kind == "distribution" else numbers,
        "b": rng.integers(0, 2, height),
        "known": np.repeat(np.arange(SERIES) % 5, STEPS),
    }
    data = DataConfig(
        id="id", key="key", order="t", inputs=("x",), static=static, target=KINDS[kind][1], kind=kind,  # type: ignore[arg-type]
        level=level, metric=metric, observed=observed,  # type: ignore[arg-type]
    )  # fmt: skip
    classes = {"binary": (0, 1), "multiclass": (0, 1, 2), "ordinal": (0, 1, 2)}.get(kind, ())
    table = Table(Path("t"), data, pl.DataFrame({**columns, **changed}), np.full(SERIES, STEPS), classes=classes)
    y = table.y[table.scored]
    series = np.repeat(np.arange(SERIES), table.answers_of_series)[table.scored]
    scored_by = metrics.metric(*data.metric_choice(len(classes)))
    rows = BlendRows(
        labels=(), predictions=np.empty((0, *y.shape)), y=y, fold=series % FOLDS, series=series, metric=scored_by,
        kind=kind,
    )  # fmt: skip
    return ScoredAnswers(table, rows)


CASES = [
    pytest.param(name, kind, level, observed, id=f"{name}-{kind}-{level}-{observed}")
    for name in BASELINES
    for kind in KINDS
    for level in ("step", "series")
    for observed in (0, 4, "known")
    if not (observed and (kind, level) != ("regression", "step"))
]


@pytest.mark.parametrize(("name", "kind", "level", "observed"), CASES)
def test_contract(name: str, kind: str, level: str, observed: int | str) -> None:
    """Shape, finite, probabilities are some; nothing of the held-out fold's scored answers enters."""
    labels = kind not in ("regression", "distribution")
    more = {"metric": "accuracy"} if name == "random labels" and labels else {}
    found, baseline = answers(kind, level, observed, **more), BASELINES[name]
    needs = {
        "random labels": labels,
        "last known value": bool(observed),
        "mean of latest values": observed == "known",
        "seasonal naive": bool(observed),
        "interpolation": False,  # test_known_baselines.py
    }
    assert baseline.applies(found.table) == needs.get(name, True)
    if not needs.get(name, True):
        return
    values = baselines.out_of_fold(baseline, found)
    assert values.shape == found.rows.y.shape and np.isfinite(values).all()
    if kind not in ("regression", "ordinal"):
        assert (values >= 0).all() and (values <= 1).all()
    if kind in ("multiclass", "distribution"):
        np.testing.assert_allclose(values.sum(axis=1), 1)
    held = found.rows.fold == 0
    other = replace(found.rows, y=np.where(held[:, None], found.rows.y[::-1] * 0.5, found.rows.y))
    again = baselines.out_of_fold(baseline, ScoredAnswers(_other_targets(found), other))
    np.testing.assert_array_equal(again[held], values[held])


def _other_targets(found: ScoredAnswers) -> Table:
    """The table with other targets at the scored answers of fold 0."""
    if found.rows.kind != "regression" or found.table.task.on_series:
        return found.table
    changed = np.zeros(found.table.frame.height, bool)
    changed[found.answer[found.rows.fold == 0]] = True
    frame = found.table.frame.with_columns(pl.when(pl.Series(changed)).then(99.0).otherwise(pl.col("a")).alias("a"))
    return replace(found.table, frame=frame)


@pytest.mark.parametrize(("metric", "statistic"), [("mae", np.median), ("mse", np.mean), ("rmse", np.mean)])
def test_the_constant_follows_the_metric(metric: str, statistic: Any) -> None:
    skewed = np.exp(np.random.default_rng(1).normal(size=SERIES * STEPS))
    found = answers(metric=metric, a=skewed)
    values, fold = baselines.out_of_fold(BASELINES["constant"], found), found.rows.fold
    for number in range(FOLDS):
        np.testing.assert_allclose(values[fold == number], statistic(found.rows.y[fold != number]))


def test_the_constant_of_a_metric_that_does_not_count_errors_alike_is_another_quantile() -> None:
    """Of pinball that of its level, in each group, too; where errors are divided by the truth a small one."""
    skewed = np.exp(np.random.default_rng(1).normal(size=SERIES * STEPS))
    found = answers(a=skewed)
    pinball = metrics.metric("pinball", metrics.MetricOptions(level=0.9), "regression")
    found = replace(found, rows=replace(found.rows, metric=pinball))
    inside, held = np.flatnonzero(found.rows.fold != 0), np.flatnonzero(found.rows.fold == 0)
    truth = found.rows.y[inside]
    constant = BASELINES["constant"].predict(found, inside, held)
    np.testing.assert_allclose(constant, np.quantile(truth, 0.9))
    of_group = BASELINES["group mean"].predict(found, inside, held)
    mine = found.group[inside] == found.group[held[0]]
    np.testing.assert_allclose(of_group[0], np.quantile(truth[mine], 0.9))
    for name in ("mape", "rmspe"):
        relative = replace(found, rows=replace(found.rows, metric=metrics.METRICS[name]))
        value = BASELINES["constant"].predict(relative, inside, held)[0, 0]
        score = partial(metrics.METRICS[name], truth)
        assert value < np.median(truth) and score(np.full_like(truth, value)) < score(np.full_like(truth, truth.mean()))


@pytest.mark.parametrize(("kind", "metric"), [("binary", "f1"), ("multiclass", "f1"), ("multilabel", "accuracy")])
def test_labels_are_drawn_by_their_shares(kind: str, metric: str) -> None:
    """Other labels for other folds, as often as outside of them; and only where labels are what counts."""
    found, baseline = answers(kind, metric=metric), BASELINES["random labels"]
    assert baseline.applies(found.table) and not baseline.applies(answers(kind, metric="auc").table)
    values = baselines.out_of_fold(baseline, found)
    assert set(np.unique(values)) == {0.0, 1.0} and (values != found.rows.y).any()
    for fold in range(FOLDS):
        drawn, outside = values[found.rows.fold == fold], found.rows.y[found.rows.fold != fold]
        assert np.abs(drawn.mean(axis=0) - outside.mean(axis=0)).max() < 0.15
    np.testing.assert_array_equal(baselines.out_of_fold(baseline, found), values)


def test_a_macro_f1_rewards_random_labels_more_than_a_constant() -> None:
    found = answers("multiclass", metric="f1")
    cost = {
        name: found.rows.cost(baselines.out_of_fold(BASELINES[name], found)) for name in ("constant", "random labels")
    }
    assert cost["random labels"] < cost["constant"]


def test_a_period_is_found_and_repeated() -> None:
    season = np.tile([3.0, 1.0, 4.0, 1.5], SERIES * STEPS // 4) + np.repeat(np.arange(SERIES), STEPS)
    found = answers(observed=5, a=season)
    np.testing.assert_array_equal(baselines.out_of_fold(BASELINES["seasonal naive"], found), found.rows.y)
    last = baselines.out_of_fold(BASELINES["last known value"], found)
    np.testing.assert_array_equal(last[:, 0], 3.0 + found.rows.series)


def test_a_missing_value_of_the_known_start_is_the_one_before() -> None:
    values = np.tile(np.arange(STEPS, dtype=float), SERIES)
    values[3] = np.nan
    values[STEPS : STEPS + 4] = np.nan  # of the second series none is known: the constant
    found = answers(observed=4, a=values)
    last = baselines.out_of_fold(BASELINES["last known value"], found)[:, 0]
    np.testing.assert_array_equal(last[: 3 * 8], [2.0] * 8 + [7.5] * 8 + [3.0] * 8)


def test_a_group_has_its_own_constant_and_an_unknown_one_that_of_all() -> None:
    groups = np.repeat(["p", "q", "only"], STEPS * np.array([15, 14, 1]))
    number = np.where(groups == "p", 1.0, np.where(groups == "q", 2.0, 9.0))
    found = answers(s=groups, a=number)
    values = baselines.out_of_fold(BASELINES["group mean"], found)[:, 0]
    known = found.rows.y[:, 0] != 9.0
    np.testing.assert_array_equal(values[known], found.rows.y[known, 0])
    outside = found.rows.y[found.rows.fold != found.rows.fold[~known][0]]
    np.testing.assert_array_equal(values[~known], np.median(outside))


def test_a_line_is_found() -> None:
    found = answers()
    straight = answers(a=3 * found.table.frame["x"].to_numpy() - 1)
    values = baselines.out_of_fold(BASELINES["linear"], straight)
    inner = np.abs(straight.rows.y) < 3  # beyond the range of the other folds it is clipped
    np.testing.assert_allclose(values[inner], straight.rows.y[inner], rtol=0.05, atol=0.05)


@pytest.mark.parametrize("names", [("x", "series"), ("x", "x std")])
def test_an_input_may_be_called_like_what_a_line_is_drawn_through(names: tuple[str, str]) -> None:
    made = answers(level="series", static=())
    frame = made.table.frame.with_columns(pl.col("b").cast(pl.Float64))

    def inputs(called: tuple[str, str]) -> np.ndarray:
        table = replace(made.table, data=replace(made.table.data, inputs=called))
        renamed = frame.rename(dict(zip(("x", "b"), called, strict=True)))
        return linear_baseline.Inputs.of(replace(table, frame=renamed)).at(np.arange(SERIES))

    np.testing.assert_array_equal(inputs(names), inputs(("x", "b")))


def test_a_line_is_drawn_through_statics_alone_where_all_inputs_are_categories() -> None:
    made = answers(level="series")
    table = replace(made.table, data=replace(made.table.data, categorical=("x",)))
    assert linear_baseline.Inputs.of(table).at(np.arange(SERIES)).shape == (SERIES, 4)
    assert np.isfinite(baselines.out_of_fold(BASELINES["linear"], ScoredAnswers(table, made.rows))).all()


def test_without_static_columns_there_is_no_group_mean_but_a_line() -> None:
    for level in ("step", "series"):
        found = answers(level=level, static=())
        assert list(baselines.predictions(found.table, found.rows)) == ["constant", "linear"]


def test_classes_that_follow_the_inputs_are_found_from_few_values_a_series() -> None:
    label = np.repeat(np.arange(SERIES) // FOLDS % 3, STEPS)  # each fold has all classes
    found = answers("multiclass", "series", metric="accuracy", a=label, x=10.0 * (label == 1) - 10.0 * (label == 2))
    values = baselines.out_of_fold(BASELINES["linear"], found)
    assert found.rows.score(values) == 1


def test_one_class_outside_the_fold_is_no_error() -> None:
    label = np.repeat((np.arange(SERIES) % FOLDS == 0).astype(int), STEPS)  # the folds hold one class each
    for kind in ("binary", "multiclass"):
        assert np.isfinite(baselines.out_of_fold(BASELINES["linear"], answers(kind, "series", a=label))).all()


def test_what_the_metric_refuses_is_left_out() -> None:
    def refuse_constants(truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None) -> float:
        if len(np.unique(prediction)) < 20:
            raise metrics.NotScorable("constant")
        return float(np.abs(truth - prediction).mean())

    found = answers()
    rows = replace(found.rows, metric=replace(found.rows.metric, compute=refuse_constants))
    assert list(baselines.predictions(found.table, rows)) == ["linear"]


def test_a_model_that_loses_is_marked_everywhere(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is learned in a single step at a rate of almost 0: the table's constant is better."""
    capsys.readouterr()
    assert main(["train", "rides", "train.epochs=1", "train.lr=1e-9", "model.1.rounds=1", "--json"]) == 0
    out, err = capsys.readouterr()
    answer, record = json.loads(out), recorded(trained)
    assert set(answer["baselines"]) == {"constant", "linear", "group mean"}
    assert "hybrid" in answer["lost_to_baseline"] == record["lost_to_baseline"]
    best = record["best_baseline"]
    assert f"worse than the trivial baseline {best!r} (mae {answer['baselines'][best][-1]:.4f}): hybrid" in err
    tiny.run("board", "rides", "--json")
    groups = json.loads(capsys.readouterr().out)["groups"]
    (line,) = [line for group in groups for line in group["lines"] if line["latest"]]
    assert "hybrid" in line["lost"] and line["baseline"].startswith(best)
    tiny.run("board", "rides")
    text = capsys.readouterr().out
    assert "‡ loses to a trivial baseline" in text

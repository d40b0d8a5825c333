"""Scores and records of a run, by hand; a report that loads nothing; a second run with the same bytes; the grid."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import blends
import numpy as np
import polars as pl
import pytest
import tiny
from answers import blended_by_hand, recorded, submitted
from page_parser import Page

from foldline import ensemble
from foldline.cli.main import main
from foldline.core import files
from foldline.core.console import Terminal
from foldline.data.target_grid import Grid
from foldline.ensemble import BlendConfig, BlendRows, NestedPredictions
from foldline.ensemble.fitted_blend import WeightedSum
from foldline.ensemble.members import Member
from foldline.ensemble.post_processing import PostConfig
from foldline.experiment import after_blend, config, preparation, scoring
from foldline.experiment.result import Result


def test_a_second_run_gives_the_same_bytes(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, cells = tiny.submission(trained), tiny.tree(trained / "runs" / "cells")
    tiny.run("train", "rides")
    assert "all cells are finished: nothing to train" in capsys.readouterr().out
    assert tiny.submission(trained) == before and tiny.tree(trained / "runs" / "cells") == cells


def test_the_recorded_config_makes_the_same_experiment(trained: Path) -> None:
    latest = trained / "runs" / "rides" / "latest"
    tables = tomllib.loads((latest / "config.toml").read_text())
    assert tables["data"].pop("source") and config.from_tables(
        "rides", {**tables, "data": {**tables["data"], "source": "x"}}, ""
    )
    (trained / "configs" / "again.toml").write_text((latest / "config.toml").read_text())
    before = tiny.submission(trained)
    tiny.run("train", "again")
    assert tiny.submission(trained, "again") == before


def test_the_scores_are_those_of_the_cells_predictions(trained: Path) -> None:
    """The slow way: every out-of-fold file by hand against train.csv."""
    train = tiny.frames()["train"]
    truth, coasting = (train[name].to_numpy().reshape(12, 10) for name in ("speed", "coasting"))
    value = recorded(trained)
    scores = dict(value["scores"])
    for entry in value["cells"]:
        folder = trained / "runs" / "cells" / entry["key"]
        held, predicted = np.load(folder / "held_out.npy"), np.load(folder / "out_of_fold.npy").reshape(-1, 10)
        error = np.abs(predicted - truth[held])[coasting[held] == 0].mean()
        assert scores[entry["label"]][entry["fold"]] == pytest.approx(error)
    for label in ("hybrid", "lightgbm"):  # folds of equal size: the score of all rows is their mean
        assert scores[label][2] == pytest.approx(np.mean(scores[label][:2]))


def test_test_predictions_are_the_blended_means_over_folds(trained: Path) -> None:
    np.testing.assert_allclose(submitted(trained), blended_by_hand(trained, cells_of_each=2), rtol=1e-12)


def test_the_report_is_one_page_that_loads_nothing(trained: Path) -> None:
    text = (trained / "runs" / "rides" / "latest" / "report.html").read_text()
    page = Page(text)
    assert all(link.startswith(("#", "data:")) for link in page.loads)
    assert "@import" not in text and not re.search(r"url\((?!#)", text)
    assert page.headings[0] == "rides" and {"Cells", "Blend", "Learning curves"} <= set(page.headings)
    assert "./run.sh train rides" in text and text.count("<svg") >= 3
    assert all(entry["key"] in text for entry in recorded(trained)["cells"])


def test_names_in_the_report_are_escaped(trained: Path) -> None:
    tiny.run("train", "rides", 'model.0.label="<b>bold</b>"')
    text = (trained / "runs" / "rides" / "latest" / "report.html").read_text()
    assert "<b>bold</b>" not in text and "&lt;b&gt;bold&lt;/b&gt;" in text


@pytest.mark.learned  # the climb's weights must not be equal ones
@pytest.mark.parametrize("method", ["mean", "median"])
def test_other_blends_train_nothing_and_are_submitted(method: str, trained: Path) -> None:
    before = tiny.submission(trained)
    assert main(["train", "rides", f"blend.method={method}"]) == 0
    assert tiny.submission(trained) != before
    tiny.run("infer", "rides")
    written = next((trained / "runs" / "rides" / "latest").glob("infer-*.csv"))
    assert written.read_bytes() == tiny.submission(trained)


def test_equal_models_share_their_cells(rides: Path, home: Path) -> None:
    twins = 'model=[{name = "lightgbm", rounds = 5}, {name = "lightgbm", rounds = 5}]'
    tiny.run("train", "rides", twins)
    assert len(list((home / "runs" / "cells").glob("*/done.json"))) == 2
    assert len(recorded(home)["cells"]) == 4


def combined(
    home: Path, tmp_path: Path, speed: pl.Series, predicted: pl.Series, metric: str = "mae"
) -> tuple[Result, np.ndarray]:
    """Combine a single member's predictions on rides with these speeds; also the fold of each ride."""
    tables = tiny.frames()
    tables["train"] = tables["train"].with_columns(speed)
    tiny.install(home, tiny.write(tmp_path / "gridded", tables), "gridded")
    ready = preparation.prepare(config.load(Path("gridded"), [f"data.metric={metric}"]), Terminal(quiet=True))
    only = Member("only", rows=predicted.to_numpy()[:, None])
    return scoring.combine(ready.config, [only], ready.train, ready.folds, None), ready.folds.assignment


def test_whether_a_fold_is_snapped_is_decided_by_the_other_folds_targets(home: Path, tmp_path: Path) -> None:
    """One ride off the grid: its own fold is snapped, because the others show a grid, and no other fold is."""
    speed = tiny.frames()["train"]["speed"]
    gridded = (4 * speed).round() / 4
    first = pl.Series(np.arange(len(speed)) < 10)
    off = gridded.zip_with(~first, gridded + 0.1).alias("speed")
    result, fold = combined(home, tmp_path, off, speed)
    values, plain = (
        result.blended.reshape(12, 10)[:, :8],
        speed.to_numpy().reshape(12, 10)[:, :8],
    )  # coasting rows are not scored
    snapped = (np.abs(4 * values - np.round(4 * values)) < 1e-9).all(axis=1)
    assert snapped.tolist() == (fold == fold[0]).tolist()
    assert (values[~snapped] == plain[~snapped]).all()
    assert list(result.scores) == ["only", "snapped to the grid"] and result.grids == [None]


def test_a_grid_is_used_only_where_the_score_gains_by_it(home: Path, tmp_path: Path) -> None:
    """Integer targets: a squared error wants their mean, which lies off the grid; an absolute one a grid value."""
    rng = np.random.default_rng(0)
    mean = rng.uniform(2.2, 15.8, size=120)
    speed = pl.Series("speed", np.floor(mean + rng.uniform(size=120)))  # rounded at random: its mean is `mean`
    for metric, kept in (("rmse", False), ("mae", True)):
        result, _ = combined(home, tmp_path / metric, speed, pl.Series(mean), metric)
        assert ("snapped to the grid" in result.scores) == kept == (result.grids != [None])
        assert result.score <= result.scores["only"][-1]


def test_a_step_that_changes_nothing_has_no_row(home: Path, tmp_path: Path) -> None:
    speed = tiny.frames()["train"]["speed"]
    assert list(combined(home, tmp_path, speed, speed)[0].scores) == ["only"]


def integers(metric: str = "mae") -> tuple[BlendRows, NestedPredictions]:
    """Members of integer targets, close enough that rounding helps, and their nested blend."""
    rows = blends.noisy(count=400, members=3)
    y = np.round(8 * rows.y)
    rows = replace(rows, y=y, predictions=y + (rows.predictions - rows.y) / 8)
    return rows, ensemble.nested(BlendConfig(), rows)


@pytest.mark.parametrize("change", [lambda y: y + 0.37, lambda y: -50.0 * y], ids=["off the grid", "far off"])
def test_a_folds_own_targets_do_not_decide_how_it_is_snapped(change: Callable[[np.ndarray], np.ndarray]) -> None:
    rows, nested = integers()
    before = after_blend.snapped_by_fold(nested, rows)
    np.testing.assert_allclose(before, np.round(before), atol=1e-9)
    inside = rows.fold == 1
    changed = replace(rows, y=np.where(inside[:, None], change(rows.y), rows.y))
    after = after_blend.snapped_by_fold(ensemble.nested(BlendConfig(), changed), changed)
    assert np.array_equal(after[inside], before[inside]) and not np.array_equal(after[~inside], before[~inside])


def test_weights_that_were_fitted_on_a_fold_do_not_decide_how_it_is_snapped() -> None:
    """The other folds' nested predictions come from such weights. Here they are right, so that no grid could help."""
    rows, nested = integers()
    inside = rows.fold == 1
    others_right = replace(nested, values=np.where(inside[:, None], nested.values, rows.y))
    before, after = (after_blend.snapped_by_fold(each, rows)[inside] for each in (nested, others_right))
    assert np.array_equal(after, before) and not np.array_equal(after, nested.values[inside])


def test_test_predictions_are_rounded_to_the_grids_of_those_targets_that_have_one(home: Path, tmp_path: Path) -> None:
    tiny.install(home, tiny.write(tmp_path / "rides", tiny.frames()))
    ready = preparation.prepare(config.load(Path("rides")), Terminal(quiet=True))
    predictions = np.random.default_rng(0).normal(size=(40, 2))
    files.write_array(tmp_path / "test.npy", predictions)
    only = Member("only", tests={ready.test.fingerprint: tmp_path / "test.npy"})
    fitted = ensemble.Blend("best-member", ("only",), WeightedSum((1.0,)))
    found = scoring.predict(fitted, [None, Grid(offset=0.0, step=0.5, count=3)], PostConfig(), [only], ready.test, None)
    assert np.array_equal(found[:, 0], predictions[:, 0])
    assert np.array_equal(found[:, 1], np.clip(np.round(2 * predictions[:, 1]) / 2, 0.0, 1.0))


def test_series_without_scored_rows_leave_every_fold_a_score(rides: Path, home: Path) -> None:
    """Only rides 9 to 12 are scored; with other folds than these, one of two may have none of them."""
    for seed in (0, 1, 2):
        words = ["data.scored=coasting == 0 AND ride IN (9, 10, 11, 12, 501)", "folds.kind=group", f"folds.seed={seed}"]
        tiny.run("train", "rides", *words)
        ready = preparation.prepare(config.load(Path("rides"), words), Terminal(quiet=True))
        scored = ready.folds.assignment[[8, 9, 10, 11]]
        assert np.bincount(scored).tolist() == [2, 2]
        result = scoring.combine(ready.config, ready.members, ready.train, ready.folds, None)
        assert all(len(each) == 3 and np.isfinite(each).all() for each in result.scores.values())
    tiny.run("blend", "rides", *words)

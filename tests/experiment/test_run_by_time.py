"""A run with time folds, from the files to the submission: what each cell has seen, what is scored, what is refused."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tiny

from foldline.cli.main import main
from foldline.core import files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.ensemble import members
from foldline.evidence.ablation import ablation_results
from foldline.evidence.tuning import trial_evaluation
from foldline.experiment import config, multi_config, preparation, scoring, stored_experiment
from foldline.experiment.preparation import PreparedExperiment
from foldline.fit import watched_split
from foldline.run import cell_training, executors

TIME = 'folds={kind = "time", k = 2, by = "day", gap = 1.5}'
TREES = 'model=[{name = "lightgbm", rounds = 3, min_data_in_leaf = 2}, {name = "lightgbm", label = "few", rounds = 1}]'
WATCHING = "train.watch={share = 0.3, stop = 2}"
DAYS = 12


@pytest.fixture
def days(home: Path) -> Path:
    """Twelve rides, a day each, which is no column of the config; their order in the file is another one."""
    made = tiny.frames(DAYS)
    made["train"] = _with_days(made["train"])
    tiny.install(home, tiny.write(home.parent / "days", made))
    return home


def _with_days(train: pl.DataFrame) -> pl.DataFrame:
    """Ride n is on day 5 n modulo 12."""
    of_ride = [str(dt.date(2024, 1, 1) + dt.timedelta(days=5 * ride % DAYS)) for ride in range(DAYS)]
    return train.with_columns(day=pl.Series(of_ride).gather(train["ride"] - 1))


def prepared(*overrides: str) -> PreparedExperiment:
    return preparation.prepare(config.load(Path("rides"), [TIME, TREES, *overrides]), Terminal(quiet=True))


def train(ready: PreparedExperiment) -> PreparedExperiment:
    executors.execute(ready.jobs(), ready.config.executor, lambda *_: None)
    return ready


def test_a_run_scores_what_is_held_out_and_submits_what_full_cells_predict(
    days: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.run("train", "rides", TIME, TREES, "--json")
    answer = json.loads(capsys.readouterr().out)
    record = stored_experiment.read("rides")
    folds = [cell.fold for cell in record.plan if cell.model.label == "few"]
    assert folds == [0, 1, None]  # trained although the config names no full_seeds
    assert all(len(values) == 3 for values in answer["scores"].values())
    page = (days / "runs" / "rides" / "latest" / "report.html").read_text()
    assert "64 of 96 rows" in page and "64 of 96 scored rows are held out by a fold" in page
    assert "fitted on earlier folds (in the first one it is the mean)" in page
    fingerprint = preparation.prepare(record.config, Terminal(quiet=True)).test.fingerprint
    full = [cell for cell in record.plan if cell.fold is None]
    expected = record.blend.apply(np.stack([files.read_array(cell.test_path(fingerprint)) for cell in full]))
    sent = pl.read_csv(answer["submission"])["speed"].to_numpy()
    np.testing.assert_allclose(sent, expected[:, 0], atol=1e-6)
    for verb in ("report", "infer"):  # both read the record
        tiny.run(verb, "rides")


def test_a_bundle_packs_the_weights_of_full_cells_alone_and_predicts_by_them(
    days: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.run("train", "rides", TIME, TREES)
    sent = tiny.submission(days)
    capsys.readouterr()
    tiny.run("bundle", "rides")
    said = capsys.readouterr().out
    assert "packed 2 cells" in said
    packed = Path(said.rpartition("bundle: ")[2].strip()) / "dataset" / "runs"
    there = [sorted(path.name for path in cell.iterdir()) for cell in (packed / "cells").iterdir()]
    assert sorted(there).count(["depends.json", "done.json"]) == 4 and len(there) == 6
    elsewhere = days.parent / "elsewhere"
    shutil.copytree(packed, elsewhere / "runs")
    (elsewhere / "runs" / "rides" / "latest").symlink_to(next((elsewhere / "runs" / "rides").iterdir()).name)
    monkeypatch.setenv("FOLDLINE_HOME", str(elsewhere))
    tiny.run("infer", "rides")
    assert next((elsewhere / "submissions").glob("rides*.csv")).read_bytes() == sent


def test_rows_after_an_origin_or_in_the_gap_change_no_weight_and_no_blend_of_its_fold(days: Path) -> None:
    source = days.parent / "days" / "train.csv"
    found = []
    for changed in (False, True):
        if changed:  # what fold 1 may not know: its gap of 1.5 days, its own days
            rows = pl.read_csv(source)
            late = pl.col("day") >= "2024-01-08"
            rows.with_columns(speed=pl.when(late).then(pl.col("speed").reverse() + 3).otherwise("speed")).write_csv(
                source
            )
        ready = train(prepared(WATCHING, "data.target_transform=log1p"))
        assert (
            ready.folds.time is not None and ready.folds.time.spans.shown(ready.folds.time.origins[1]) == "2024-01-09"
        )
        with_score = scoring.combine(
            ready.config, ready.members, ready.train, ready.folds, None, ready.competition.train
        )
        cells = [cell for cell in ready.plan if cell.fold is not None]
        weights = [(cell.folder / "booster-0.txt").read_bytes() for cell in cells]
        found.append((weights, with_score.nested.fitted))
    assert found[0] == found[1]


def test_a_cell_holds_out_and_is_fitted_on_what_its_fold_says(days: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[int]] = {}

    def spy(cell, job, store, series, emit):  # type: ignore[no-untyped-def]
        seen[cell.name] = series.tolist()
        return (yield from own(cell, job, store, series, emit))

    own = cell_training._fit
    monkeypatch.setattr(cell_training, "_fit", spy)
    ready = train(prepared())
    for cell in ready.plan:
        assert seen[cell.name] == ready.folds.inside(cell.fold).tolist()
        held = files.read_array(cell.folder / "held_out.npy")
        assert held.tolist() == ready.folds.held_out(cell.fold).tolist()
    assert np.isnan(
        ready.members[0].out_of_fold(ready.train)[ready.train.answers(np.flatnonzero(ready.folds.assignment < 0))]
    ).all()


def test_keys_know_what_a_fold_is_fitted_on_and_full_cells_are_those_of_other_folds(days: Path) -> None:
    def keys(ready: PreparedExperiment) -> dict[int | None, str]:
        return {cell.fold: cell.key for cell in ready.plan if cell.model.label == "few"}

    plain, wider = keys(prepared()), keys(prepared("folds.gap=0"))
    assert plain[0] != wider[0] and plain[None] == wider[None]
    grouped = keys(prepared("folds={k = 2}", "train.full_seeds=[0]"))
    assert grouped[None] == plain[None]
    watched = [keys(prepared(WATCHING, *more)) for more in ((), ("folds.gap=1.2",))]
    assert watched[0][0] != plain[0] != watched[1][0] and watched[0][None] != watched[1][None]


def test_a_baseline_is_fitted_on_the_first_block_too(days: Path) -> None:
    ready = train(prepared("folds.gap=0"))
    table = ready.competition.train
    found = scoring.combine(ready.config, ready.members, ready.train, ready.folds, None, table)
    series = np.repeat(np.arange(DAYS), table.lengths)
    truth = table.y[:, 0]
    expected = np.full(len(truth), np.nan)
    for fold in range(2):
        inside = np.isin(series, ready.folds.inside(fold)) & table.scored
        constants = (truth[inside].mean(), np.median(truth[inside]))
        best = min(constants, key=lambda value: np.abs(truth[inside] - value).mean())
        expected[np.isin(series, ready.folds.held_out(fold))] = best
    counted = table.scored & (ready.folds.assignment >= 0)[series]
    assert found.baselines["constant"][-1] == pytest.approx(np.abs(truth - expected)[counted].mean())
    assert found.baseline_predictions["constant"][:, 0] == pytest.approx(expected[counted])


def test_members_from_outside_may_leave_empty_what_no_fold_holds_out(days: Path) -> None:
    ready = prepared()
    train_rows, test_rows = ready.competition.train, ready.competition.test.frame
    never = np.repeat(ready.folds.assignment < 0, train_rows.lengths)
    oof = train_rows.frame.select("row", speed=pl.when(~pl.Series(never)).then("speed"))
    test_rows.select("row", speed=pl.lit(1.0)).write_csv("test.csv")
    given = 'blend.outside=[{name = "friend", oof = "oof.csv", test = "test.csv"}]'
    oof.write_csv("oof.csv")
    ready = train(prepared(given))
    found = scoring.combine(ready.config, ready.members, ready.train, ready.folds, None)
    assert found.scores["friend"] == [0, 0, 0] and found.total == 96 and len(found.rows.y) == 64
    oof.with_columns(speed=None).write_csv("oof.csv")
    with pytest.raises(UserError, match=r"'speed' must be a finite number in every row that a fold holds out"):
        prepared(given)


def test_windows_of_other_lengths_can_be_blended_but_not_other_gaps(days: Path) -> None:
    (days / "configs" / "recent.toml").write_text('extends = "rides.toml"\n')
    sliding = 'folds={kind = "time", k = 2, by = "day", gap = 1.5, window = "sliding", train_length = 3}'
    one = config.load(Path("rides"), [TIME, TREES])
    recent = config.load(Path("recent"), [sliding, TREES])
    terminal = Terminal(quiet=True)
    mixed = multi_config.prepare([one, recent], [], terminal, dry=True)
    assert len(mixed.members) == 4
    other = replace(recent, folds=replace(recent.folds, gap=3.0))
    with pytest.raises(UserError, match="have different time folds: their gaps differ"):
        multi_config.prepare([one, other], [], terminal, dry=True)


def test_a_search_scores_folds_by_blends_of_earlier_ones(days: Path) -> None:
    ready = trial_evaluation.prepare(config.load(Path("rides"), [TIME, TREES]), [0])
    assert {cell.fold for cell in ready.plan} == {0, 1}  # full cells have no score
    for fold in (0, 1):
        trial_evaluation.train_fold(ready, fold, lambda *_: None)
    whole = scoring.combine(ready.config, members.of_plan(ready.plan), ready.train, ready.folds, None)
    scores = trial_evaluation.fold_scores(ready, ready.plan, [0, 1])
    assert [scores[0], scores[1]] == next(reversed(whole.scores.values()))[:2]
    alone = trial_evaluation.fold_scores(ready, trial_evaluation.cells_of_folds(ready, [1]), [1])
    assert alone[1] > 0


def test_a_dry_run_of_a_gap_that_leaves_nothing_ends_before_training(
    days: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "rides", TIME, TREES, "folds.gap=9"]) == 2
    assert "folds.gap = 9 must leave each fold series with scored rows to train on" in capsys.readouterr().err
    assert not (days / "folds").exists() and not (days / "runs" / "cells").exists()


def test_an_ablation_draws_the_part_of_a_group_in_each_fold(days: Path) -> None:
    source = days.parent / "days"
    for name, shift in (("train", 0), ("test", 100)):
        table = pl.read_csv(source / f"{name}.csv")
        table.with_columns(rider=pl.col("ride") % 5 + shift).write_csv(source / f"{name}.csv")
    ready = prepared("data.group=rider", "folds.gap=0")
    units, groups = ablation_results._units(ready), ready.train.group_numbers
    assert units is not None and groups is not None
    pairs = list(zip(groups.tolist(), ready.folds.assignment.tolist(), strict=True))
    assert len(set(units.tolist())) == len(set(pairs)) > 5
    assert all((units[one] == units[two]) == (pairs[one] == pairs[two]) for one in range(DAYS) for two in range(DAYS))
    assert ablation_results._units(prepared("folds={k = 2}")) is None


def test_networks_and_trees_watch_the_latest_of_what_they_are_given(
    days: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = (
        'model=[{name = "hybrid", width = 2, blocks = [{kind = "conv", kernel = 1}]}, {name = "lightgbm", rounds = 2}]'
    )
    ready = prepared(WATCHING.replace("stop = 2", "best = true"), net, "train.epochs=1", "folds.gap=0")
    own, seen = watched_split.latest_watched, []

    def spy(part, spans, share):  # type: ignore[no-untyped-def]
        kept, held = own(part, spans, share)
        seen.append((sorted(part.series[kept].tolist()), sorted(part.series[held].tolist())))
        return kept, held

    monkeypatch.setattr(watched_split, "latest_watched", spy)
    train(ready)
    day = np.array([5 * ride % DAYS for ride in range(DAYS)])
    assert len(seen) == len(ready.plan) == 6
    for kept, held in seen:
        assert held and kept and day[kept].max() < day[held].min()
    assert max(len(kept) + len(held) for kept, held in seen) == DAYS  # of full cells, too

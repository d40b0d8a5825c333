"""`tune` on the tiny competition: what it trains, counts, prunes, and leaves behind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import searches
import tiny

from foldline.data import featurize, folds, loading
from foldline.ensemble import members
from foldline.evidence.tuning import trial_evaluation
from foldline.experiment import clean, config, scoring, stored_experiment

REFUSED_ONLY = {(False, "complete"), (True, "pruned")}  # (poisson, state)
OBJECTIVES = '"model.0.objective" = {choices = ["l1", "poisson"]}'


def cells(home: Path) -> dict[str, int]:
    """Finished cell -> when it was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (home / "runs" / "cells").glob("*/done.json")}


def test_a_search_from_start_to_end(search_file: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run(*searches.TUNE, "tune.trials=8", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer == searches.found(home)
    assert [trial["state"] for trial in answer["trials"]] == ["complete"] * 8
    scores = [trial["score"] for trial in answer["trials"]]
    assert answer["best"] == int(np.argmin(scores))
    check = answer["check"]
    assert (check["folds"], check["seeds"]) == ([2, 3], [0, 1])
    assert np.mean(check["best"]["seen"]) == pytest.approx(min(scores), abs=0)
    assert check["optimism"] == pytest.approx(check["promised"] - check["gain"]["mean"])
    page = (home / "runs" / "search" / "latest" / "study.html").read_text()
    assert page.count("<svg") == 3 and not re.search(r"(src|href)=.http", page)
    assert "model.0.rounds" in page
    assert {item.kind for item in clean.survey() if item.path.parent.name == "cells"} == {"kept"}


def test_a_second_run_does_nothing_and_one_with_more_trials_continues(search_file: Path, home: Path) -> None:
    tiny.run(*searches.TUNE)
    before, first = cells(home), searches.found(home)
    tiny.run(*searches.TUNE)
    assert cells(home) == before
    assert searches.found(home) == first
    tiny.run(*searches.TUNE, "tune.trials=8")
    assert searches.found(home)["trials"][:6] == first["trials"]
    assert len(searches.found(home)["trials"]) == 8
    assert cells(home).items() >= before.items()


def test_the_tables_are_read_once_in_each_process(
    search_file: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for preparation and final check, once by the worker, here in one process; not for each of six trials."""
    original, read = loading.load, []
    monkeypatch.setattr(loading, "load", lambda data, *more: read.append(data) or original(data, *more))  # type: ignore[func-returns-value]
    tiny.run(*searches.TUNE, "--quiet")
    assert len(read) == 2


def test_the_same_search_finds_the_same(search_file: Path, home: Path) -> None:
    tiny.run(*searches.TUNE)
    first = searches.found(home)
    (home / "runs").rename(home / "before")
    tiny.run(*searches.TUNE)
    assert searches.found(home) == first


def test_the_best_config_needs_no_training(search_file: Path, home: Path) -> None:
    tiny.run(*searches.TUNE)
    before = cells(home)
    tiny.run("train", str(home / "runs" / "search" / "latest" / "best.toml"))
    assert cells(home) == before
    assert tiny.submission(home, "best")
    assert sorted(path.name for path in (home / "folds").glob("*")) == ["rides-stratified-group-k4-seed0.csv"]


def test_a_trials_score_is_that_of_the_pipeline_on_the_searchs_folds(rides: Path, home: Path) -> None:
    tiny.run("train", "rides", searches.FOUR, "blend.method=mean")
    chosen = config.load(Path("rides"), [searches.FOUR, "blend.method=mean"])
    ready = trial_evaluation.prepare(chosen, (0,))
    rows, _ = scoring.blend_rows(members.of_plan(ready.plan), chosen, ready.train, ready.folds)
    reported = stored_experiment.read("rides").folder / "experiment.json"
    blended = dict(json.loads(reported.read_text())["scores"])["blend (mean)"]
    assert trial_evaluation.fold_scores(ready, trial_evaluation.cells_of_folds(ready, [1, 3]), [1, 3]) == {
        1: blended[1],
        3: blended[3],
    }
    by_hand = np.abs(rows.predictions.mean(axis=0) - rows.y)[rows.fold == 1].mean()
    assert trial_evaluation.mean_score(ready, [1])[0] == pytest.approx(by_hand)


def test_seeds_of_a_search_are_its_own(rides: Path) -> None:
    ready = trial_evaluation.prepare(config.load(Path("rides"), ["train.seeds=[3, 4]", "train.full_seeds=[5]"]), (0, 1))
    assert {(cell.fold, cell.seed) for cell in ready.plan} == {(fold, seed) for fold in (0, 1) for seed in (0, 1)}


def test_the_base_is_tried_first_and_warm_configs_after_it(search_file: Path, home: Path) -> None:
    trees = searches.TREES.replace("rounds = 5", "rounds = 33").replace("leaves = 7", "leaves = 3")
    (home / "configs" / "warm.toml").write_text(f'extends = "rides.toml"\n{trees}')
    text = searches.SEARCH.replace("trials = 6", 'trials = 3\nwarm = ["warm.toml"]')
    searches.install(home, text)
    tiny.run(*searches.TUNE)
    tried = [trial["overrides"] for trial in searches.found(home)["trials"]]
    assert tried[0] == ["model.0.rounds=5", "model.0.num_leaves=7"]
    assert tried[1] == ["model.0.rounds=33", "model.0.num_leaves=3"]
    tiny.run(*searches.TUNE, "tune.trials=4")
    assert [trial["overrides"] for trial in searches.found(home)["trials"]][:3] == tried


def test_a_search_that_finds_nothing_better_says_so(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searches.install(home, searches.SEARCH.replace("low = 2, high = 60, log = true", "choices = [5]"))
    tiny.run(*searches.TUNE, "tune.trials=1")
    assert "nothing better than the config it started from" in capsys.readouterr().out
    assert searches.found(home)["check"] is None


def test_a_dry_run_trains_nothing(search_file: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run(*searches.TUNE, "--dry-run", "--hours", "2", "--workers=3")
    out = capsys.readouterr().out
    assert "6 trials or 2 h, folds 0, 1, seed 0, 3 workers" in out and "2 to 60, log" in out
    assert not cells(home) and not list((home / "runs").glob("search/*")) and not list((home / "folds").glob("*"))


@pytest.mark.learned
def test_a_pruned_trial_keeps_its_finished_cells(search_file: Path, home: Path) -> None:
    tiny.run(*searches.TUNE, "tune.pruner=third", "tune.startup=1", "tune.trials=10")
    ended = searches.found(home)["trials"]
    pruned = [trial for trial in ended if trial["state"] == "pruned"]
    assert pruned and len(ended) == 10
    assert {trial["why"] for trial in pruned} == {"in fold 0"}
    before = cells(home)
    queue = searches.queue(search_file)
    ready = trial_evaluation.prepare(queue.search.config({}), (0,))
    chosen = config.load(Path("rides"), [searches.TREES, searches.FOUR, *pruned[0]["overrides"]])
    ready = trial_evaluation.prepare(chosen, (0,))
    assert trial_evaluation.cells_of_folds(ready, [0])[0].key in before
    assert trial_evaluation.cells_of_folds(ready, [1])[0].key not in before
    assert trial_evaluation.mean_score(ready, [0])[0] == pruned[0]["score"]


@pytest.mark.learned
def test_watched_scores_prune_inside_a_fold(rides: Path, home: Path) -> None:
    searches.install(home, searches.WATCHED)
    network = "model=[{name = 'hybrid', width = 4, blocks = [{kind = 'conv'}]}]"
    words = ["tune", "search", searches.FOUR, network, "train.watch.share=0.3", "train.epochs=4"]
    tiny.run(*words)
    ended = searches.found(home)["trials"]
    inside = [trial for trial in ended if trial["state"] == "pruned" and trial["why"] == "in fold 0"]
    assert inside and {trial["score"] for trial in inside} == {None}  # a watched score is not the trial's score
    unfinished = [
        path.parent
        for path in (home / "runs" / "cells").glob("*/depends.json")
        if not (path.parent / "done.json").exists()
    ]
    assert unfinished  # ended in the middle of a cell
    epochs = [len((folder / "history.jsonl").read_text().splitlines()) for folder in unfinished]
    assert all(0 < count < 4 for count in epochs)
    before = cells(home)
    tiny.run(*words)
    assert cells(home) == before


def test_best_toml_names_the_fold_file_of_real_data(search_file: Path, home: Path) -> None:
    tiny.run(*searches.TUNE)
    best = config.load(home / "runs" / "search" / "latest" / "best.toml")
    table = loading.load(best.data)
    saved = folds.read(Path(best.folds.file), best.folds, table.train)
    assert saved.k == 4
    assert featurize.obtain(table.train, best.features, table.levels).fingerprint


def test_values_that_do_not_go_together_end_their_trial_not_the_search(rides: Path, home: Path) -> None:
    tables = tiny.frames()
    tiny.write(rides, {**tables, "train": tables["train"].with_columns(speed=pl.col("speed") - 100)})
    text = searches.SEARCH.replace('"model.0.num_leaves" = {choices = [3, 7]}', OBJECTIVES)
    searches.install(home, text)
    tiny.run(*searches.TUNE, "tune.startup=1", "tune.trials=8")
    trials = searches.found(home)["trials"]
    assert {("poisson" in str(trial["overrides"]), trial["state"]) for trial in trials} == REFUSED_ONLY
    assert all("needs targets not below 0" in trial["why"] for trial in trials if trial["state"] == "pruned")

"""`tune` on the tiny competition: what it trains, counts, prunes, takes up again, and leaves behind."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import searches
import tiny
from optuna.trial import TrialState

from foldline.cli.main import main
from foldline.core import artefacts
from foldline.core.errors import TryAgain, UserError
from foldline.data import featurize, folds, loading
from foldline.ensemble import members
from foldline.evidence.tuning import trial_evaluation, workers
from foldline.evidence.tuning.leases import Leases
from foldline.evidence.tuning.trial_queue import DEATHS, TrialQueue, sampler
from foldline.evidence.tuning.workers import TimeLimit
from foldline.experiment import clean, config, scoring, stored_experiment
from foldline.output.tracking import WandbTracker
from foldline.run import executors

TUNE = ["tune", "search", searches.TREES, searches.FOUR]
REFUSED_ONLY = {(False, "complete"), (True, "pruned")}  # (poisson, state)
OBJECTIVES = '"model.0.objective" = {choices = ["l1", "poisson"]}'


def cells(home: Path) -> dict[str, int]:
    """Finished cell -> when it was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (home / "runs" / "cells").glob("*/done.json")}


def nothing() -> None:
    """Show no progress."""


@pytest.fixture
def search_file(rides: Path, home: Path) -> Path:
    """The file of a search on the rides."""
    return searches.install(home)


def test_a_search_from_start_to_end(search_file: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run(*TUNE, "tune.trials=8", "--json")
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
    tiny.run(*TUNE)
    before, first = cells(home), searches.found(home)
    tiny.run(*TUNE)
    assert cells(home) == before
    assert searches.found(home) == first
    tiny.run(*TUNE, "tune.trials=8")
    assert searches.found(home)["trials"][:6] == first["trials"]
    assert len(searches.found(home)["trials"]) == 8
    assert cells(home).items() >= before.items()


def test_the_tables_are_read_once_in_each_process(
    search_file: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for preparation and final check, once by the worker, here in one process; not for each of six trials."""
    original, read = loading.load, []
    monkeypatch.setattr(loading, "load", lambda data, *more: read.append(data) or original(data, *more))  # type: ignore[func-returns-value]
    tiny.run(*TUNE, "--quiet")
    assert len(read) == 2


def test_the_same_search_finds_the_same(search_file: Path, home: Path) -> None:
    tiny.run(*TUNE)
    first = searches.found(home)
    (home / "runs").rename(home / "before")
    tiny.run(*TUNE)
    assert searches.found(home) == first


def test_the_best_config_needs_no_training(search_file: Path, home: Path) -> None:
    tiny.run(*TUNE)
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
    tiny.run(*TUNE)
    tried = [trial["overrides"] for trial in searches.found(home)["trials"]]
    assert tried[0] == ["model.0.rounds=5", "model.0.num_leaves=7"]
    assert tried[1] == ["model.0.rounds=33", "model.0.num_leaves=3"]
    tiny.run(*TUNE, "tune.trials=4")
    assert [trial["overrides"] for trial in searches.found(home)["trials"]][:3] == tried


def test_a_search_that_finds_nothing_better_says_so(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searches.install(home, searches.SEARCH.replace("low = 2, high = 60, log = true", "choices = [5]"))
    tiny.run(*TUNE, "tune.trials=1")
    assert "nothing better than the config it started from" in capsys.readouterr().out
    assert searches.found(home)["check"] is None


def test_a_dry_run_trains_nothing(search_file: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.run(*TUNE, "--dry-run", "--hours", "2", "--workers=3")
    out = capsys.readouterr().out
    assert "6 trials or 2 h, folds 0, 1, seeds 0, 3 workers" in out and "2 to 60, log" in out
    assert not cells(home) and not list((home / "runs").glob("search/*"))


@pytest.mark.learned
def test_a_pruned_trial_keeps_its_finished_cells(search_file: Path, home: Path) -> None:
    tiny.run(*TUNE, "tune.pruner=third", "tune.startup=1", "tune.trials=10")
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


WATCHED = """
base = "rides.toml"

[tune]
workers = 1
pruner = "third"
startup = 3
trials = 8
check_seeds = [0]

[space]
"train.lr" = {low = 1e-6, high = 1e-1, log = true}
"""


@pytest.mark.learned
def test_watched_scores_prune_inside_a_fold(rides: Path, home: Path) -> None:
    searches.install(home, WATCHED)
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


def test_values_that_make_no_config_end_only_their_trial(rides: Path, home: Path) -> None:
    """ema and average are valid each, and refused together."""
    text = searches.SEARCH.replace('"model.0.num_leaves" = {choices = [3, 7]}', '"train.ema" = {choices = [0.0, 0.9]}')
    path = searches.install(home, f'{text}"train.average" = {{choices = [0, 1]}}\n')
    queue = searches.queue(path, "tune.trials=12", "tune.sampler=random")
    ended = run_out(queue)
    both = [trial for trial in ended if trial.params["train.ema"] and trial.params["train.average"]]
    assert both
    assert all(trial.state == (TrialState.PRUNED if trial in both else TrialState.COMPLETE) for trial in ended)
    assert both[0].user_attrs["why"].startswith("refused: ") and "ema and average" in both[0].user_attrs["why"]


def test_when_nothing_can_be_trained_the_search_stops(search_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise UserError("no such thing.")

    monkeypatch.setattr(trial_evaluation, "train_fold", refuse)
    queue = searches.queue(search_file, "tune.startup=3", "tune.trials=50")
    with pytest.raises(UserError, match=r"None of the first 3 trials .* refused: no such thing"):
        workers.run_worker(queue.search, TimeLimit(), nothing, WandbTracker)


def test_what_no_values_have_caused_ends_the_search_and_refuses_no_trial(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: Any) -> None:
        raise TryAgain("a store is damaged.")

    monkeypatch.setattr(trial_evaluation, "train_fold", damaged)
    queue = searches.queue(search_file)
    with pytest.raises(TryAgain, match="a store is damaged"):
        workers.run_worker(queue.search, TimeLimit(), nothing, WandbTracker)
    assert [trial.state for trial in queue.trials()] == [TrialState.RUNNING]  # found dead, it is queued again
    monkeypatch.undo()
    assert all("refused" not in trial.user_attrs.get("why", "") for trial in queue.trials())


def run_out(queue: TrialQueue) -> list[Any]:
    """Run a worker until the search has ended; return the trials by number."""
    workers.run_worker(queue.search, TimeLimit(), nothing, WandbTracker)
    return queue.trials()


def test_a_dead_workers_trial_is_run_again_with_its_values(search_file: Path) -> None:
    queue = searches.queue(search_file)
    with queue.leases.queue_lock():
        lost = queue.begin()
    assert lost is not None
    params = queue.search.space.suggest(lost)  # and here its worker dies without a lease
    ended = run_out(queue)
    assert ended[0].state == TrialState.FAIL
    assert ended[1].params == params and ended[1].user_attrs["again"] == 0
    assert [trial.state for trial in ended[1:]] == [TrialState.COMPLETE] * 6


def test_a_running_trial_is_not_taken_and_counts(search_file: Path) -> None:
    queue = searches.queue(search_file, "tune.trials=1")
    with queue.leases.queue_lock():
        running = queue.begin()
    assert running is not None
    with queue.leases.hold(running.number), queue.leases.queue_lock():
        assert queue.begin() is None
        assert queue.trials(TrialState.RUNNING)[0].number == running.number
    with queue.leases.queue_lock():
        again = queue.begin()
    assert again is not None and again.user_attrs["deaths"] == 1


def test_values_that_kill_every_worker_are_given_up(search_file: Path) -> None:
    queue = searches.queue(search_file)
    for _ in range(DEATHS):
        with queue.leases.queue_lock():
            assert queue.begin() is not None
    with queue.leases.queue_lock():
        queue.requeue_dead()
    assert not queue.trials(TrialState.WAITING)
    assert [trial.user_attrs.get("again") for trial in queue.trials()] == [None, *range(DEATHS - 1)]


def test_a_kill_between_queueing_again_and_failing_queues_nothing_twice(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = searches.queue(search_file)
    with queue.leases.queue_lock():
        assert queue.begin() is not None
    with monkeypatch.context() as patch:
        patch.setattr(queue.study, "tell", interrupted)
        with pytest.raises(KeyboardInterrupt), queue.leases.queue_lock():
            queue.requeue_dead()
    ended = run_out(queue)
    assert sum(trial.user_attrs.get("again") == 0 for trial in ended) == 1
    assert sum(trial.state == TrialState.COMPLETE for trial in ended) == 6


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_two_folders_of_leases_queue_a_trial_twice_and_one_is_dropped(search_file: Path) -> None:
    queue = searches.queue(search_file)
    for _ in range(2):
        queue.study.enqueue_trial({"model.0.rounds": 9}, user_attrs={"again": 77})
    ended = run_out(queue)
    states = [trial.state for trial in ended if trial.user_attrs.get("again") == 77]
    assert states == [TrialState.COMPLETE, TrialState.FAIL]


def test_an_interrupted_trial_is_requeued_without_a_death(search_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = searches.queue(search_file)
    with monkeypatch.context() as patch:
        patch.setattr(trial_evaluation, "train_fold", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run_out(queue)
    (waiting,) = queue.trials(TrialState.WAITING)
    assert waiting.user_attrs == {"again": 0, "deaths": 0}
    assert len(queue.trials(TrialState.FAIL)) == 1


def test_a_score_of_a_worker_that_was_taken_for_dead_is_not_counted(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = searches.queue(search_file, "tune.trials=1")
    real = trial_evaluation.train_fold

    def taken_for_dead(*arguments: Any) -> None:
        monkeypatch.setattr(trial_evaluation, "train_fold", real)
        queue.requeue(queue.trials(TrialState.RUNNING)[0], deaths=1)
        real(*arguments)

    monkeypatch.setattr(trial_evaluation, "train_fold", taken_for_dead)
    assert [trial.state for trial in run_out(queue)] == [TrialState.FAIL, TrialState.COMPLETE]


def test_a_trial_that_was_failed_before_its_lease_was_taken_is_left_to_others(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, real = searches.queue(search_file, "tune.trials=1"), Leases.hold

    def taken_for_dead(leases: Leases, trial: int) -> Any:
        monkeypatch.setattr(Leases, "hold", real)
        queue.requeue(queue.trials(TrialState.RUNNING)[0], deaths=1)
        return real(leases, trial)

    monkeypatch.setattr(Leases, "hold", taken_for_dead)
    assert [trial.state for trial in run_out(queue)] == [TrialState.FAIL, TrialState.COMPLETE]


def test_no_trial_begins_that_would_not_end_in_time(search_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, now = searches.queue(search_file), 1e9
    monkeypatch.setattr(workers, "time", SimpleNamespace(time=lambda: now))  # a clock that stands
    assert not TimeLimit(until=now + 1000).passed(queue)
    assert TimeLimit(until=now - 1).passed(queue)
    monkeypatch.setattr(workers, "seconds_a_trial", lambda _: 100.0)
    assert not TimeLimit(until=now + 150).passed(queue)
    assert TimeLimit(until=now + 150, check=1.0).passed(queue)  # 100 s of a trial, 100 s of the check
    assert not TimeLimit(until=now + 150, check=0.4).passed(queue)


def test_a_trial_that_takes_too_long_is_requeued(search_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = searches.queue(search_file)
    monkeypatch.setattr(TimeLimit, "passed", lambda self, queue: len(queue.trials()) > 0)
    workers.run_worker(queue.search, TimeLimit(until=time.time()), nothing, WandbTracker)
    assert [trial.state for trial in queue.trials()] == [TrialState.FAIL, TrialState.WAITING]
    assert queue.trials()[1].user_attrs == {"again": 0, "deaths": 0}


def test_a_search_out_of_time_without_a_result_says_what_to_do(
    search_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TUNE, "tune.hours=1e-9"]) == 2
    assert "No trial is complete yet, 0 have ended. Give more tune.hours" in capsys.readouterr().err


def test_every_trial_has_a_seed_of_its_own(search_file: Path) -> None:
    tune = searches.search(search_file, "tune.sampler=random").tune
    draws = [sampler(tune, number)._rng.rng.uniform() for number in (0, 1, 0)]
    assert draws[0] == draws[2] != draws[1]


def test_best_toml_names_the_fold_file_of_real_data(search_file: Path, home: Path) -> None:
    tiny.run(*TUNE)
    best = config.load(home / "runs" / "search" / "latest" / "best.toml")
    table = loading.load(best.data)
    saved = folds.read(Path(best.folds.file), best.folds, table.train)
    assert saved.k == 4
    assert featurize.obtain(table.train, best.features, table.levels).fingerprint


@pytest.mark.slow
def test_parallel_workers_end_with_the_requested_number_of_trials(search_file: Path, home: Path) -> None:
    tiny.run(*TUNE, "tune.workers=3", "tune.trials=12")
    ended = searches.found(home)["trials"]
    assert [trial["state"] for trial in ended] == ["complete"] * 12
    assert len({trial["number"] for trial in ended}) == 12


@pytest.mark.slow
def test_what_no_worker_can_train_ends_the_search_in_one_sentence(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    searches.install(
        home,
        WATCHED.replace('"train.lr" = {low = 1e-6, high = 1e-1, log = true}', '"train.ema" = {choices = [0.0, 0.9]}'),
    )
    words = [searches.FOUR, "tune.workers=2", "train.lr=1e30", "train.clip=0"]
    assert main(["tune", "search", *words]) == 2
    err = capsys.readouterr().err
    assert "None of the first" in err and "lower train.lr" in err and err.count("\n") == 1


def test_values_that_do_not_go_together_end_their_trial_not_the_search(rides: Path, home: Path) -> None:
    tables = tiny.frames()
    tiny.write(rides, {**tables, "train": tables["train"].with_columns(speed=pl.col("speed") - 100)})
    text = searches.SEARCH.replace('"model.0.num_leaves" = {choices = [3, 7]}', OBJECTIVES)
    searches.install(home, text)
    tiny.run(*TUNE, "tune.startup=1", "tune.trials=8")
    trials = searches.found(home)["trials"]
    assert {("poisson" in str(trial["overrides"]), trial["state"]) for trial in trials} == REFUSED_ONLY
    assert all("needs targets not below 0" in trial["why"] for trial in trials if trial["state"] == "pruned")


class Panic(BaseException):
    """Stands for the panic of a library written in Rust, such as polars' PanicException."""


class Pipe(list[Any]):
    """As much of a pipe as a worker uses."""

    send = list.append


def run_as_worker(error: BaseException, monkeypatch: pytest.MonkeyPatch, checked: artefacts.Seen | None = None) -> Pipe:
    """Run a worker in this process whose search raises; return what it has sent."""

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(executors, "die_with_parent", nothing)
    monkeypatch.setattr(workers, "run_worker", fails)
    sent = Pipe()
    workers._worker_main(sent, None, TimeLimit(), WandbTracker, checked or {})  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize(("error", "kind"), [(Panic("out of bounds"), RuntimeError), (UserError("lr"), UserError)])
def test_a_workers_trouble_is_handed_on(error: BaseException, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    (handed,) = run_as_worker(error, monkeypatch)
    assert type(handed) is kind and str(error) in str(handed)
    assert kind is UserError or "A worker failed:\nTraceback" in str(handed)


def test_a_worker_that_is_told_to_end_hands_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_as_worker(KeyboardInterrupt(), monkeypatch) == []
    with pytest.raises(SystemExit):
        run_as_worker(SystemExit(5), monkeypatch)


def test_workers_take_their_parents_word_for_what_it_has_checked(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, started = searches.search(search_file), list[Any]()
    trial_evaluation.prepare(search.config({}), search.tune.seeds)  # as the parent does first: it opens the stores
    pool = workers._WorkerPool(search, 2, TimeLimit(), nothing, WandbTracker)

    class Process:
        def __init__(self, args: tuple[Any, ...], **_: object) -> None:
            self.checked = args[-1]

        def start(self) -> None:
            started.append(self.checked)

    monkeypatch.setattr(pool.context, "Process", Process, raising=False)
    pool._start(2)
    assert len(started) == 2 and all(any(path.endswith("x.npy") for path in given) for given in started)
    monkeypatch.setattr(artefacts, "_seen", {})  # a worker has checked nothing
    run_as_worker(KeyboardInterrupt(), monkeypatch, started[0])
    assert artefacts.checked() == started[0]

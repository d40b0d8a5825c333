"""Workers of a search: when they stop, what they hand on of trouble, and that several end with the trials asked for."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import searches
import tiny
from optuna.trial import TrialState

from benchmarks.fault_injection import children
from foldline.cli.main import main
from foldline.core import artefacts, worker_start
from foldline.core.errors import TryAgain, UserError, complain, complaints_to
from foldline.evidence.tuning import trial_evaluation, workers
from foldline.evidence.tuning.workers import TimeLimit
from foldline.output.tracking import WandbTracker


def test_when_nothing_can_be_trained_the_search_stops(search_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise UserError("no such thing.")

    monkeypatch.setattr(trial_evaluation, "train_fold", refuse)
    queue = searches.queue(search_file, "tune.startup=3", "tune.trials=50")
    with pytest.raises(UserError, match=r"None of the first 3 trials .* refused: no such thing"):
        workers.run_worker(queue.search, TimeLimit(), searches.nothing, WandbTracker)


def test_what_no_values_have_caused_ends_the_search_and_refuses_no_trial(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_: Any) -> None:
        raise TryAgain("a store is damaged.")

    monkeypatch.setattr(trial_evaluation, "train_fold", damaged)
    queue = searches.queue(search_file)
    with pytest.raises(TryAgain, match="a store is damaged"):
        workers.run_worker(queue.search, TimeLimit(), searches.nothing, WandbTracker)
    assert [trial.state for trial in queue.trials()] == [TrialState.RUNNING]  # found dead, it is queued again
    monkeypatch.undo()
    assert all("refused" not in trial.user_attrs.get("why", "") for trial in queue.trials())


def test_the_cells_of_a_trial_run_on_a_cluster_where_the_config_says_so(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_evaluation.executors, "check", lambda _: None)
    search = searches.queue(search_file, "executor.kind=ray").search
    ready, given = trial_evaluation.prepare(search.config({}), search.tune.seeds), list[Any]()
    monkeypatch.setattr(
        trial_evaluation.executors, "execute", lambda jobs, config, _: given.append((jobs, config.kind))
    )
    trial_evaluation.train_fold(ready, 0, lambda *_: None)
    [(jobs, kind)] = given
    assert kind == "ray" and {job.cell.fold for job in jobs} == {0}


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
    workers.run_worker(queue.search, TimeLimit(until=time.time()), searches.nothing, WandbTracker)
    assert [trial.state for trial in queue.trials()] == [TrialState.FAIL, TrialState.WAITING]
    assert queue.trials()[1].user_attrs == {"again": 0, "deaths": 0}


def test_a_search_out_of_time_without_a_result_says_what_to_do(
    search_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*searches.TUNE, "tune.hours=1e-9"]) == 2
    assert "No trial is complete yet, 0 have ended. Give more tune.hours" in capsys.readouterr().err


@pytest.mark.slow
def test_parallel_workers_end_with_the_requested_number_of_trials(search_file: Path, home: Path) -> None:
    tiny.run(*searches.TUNE, "tune.workers=2", "tune.trials=12")
    ended = searches.found(home)["trials"]
    assert [trial["state"] for trial in ended] == ["complete"] * 12
    assert len({trial["number"] for trial in ended}) == 12


@pytest.mark.slow
def test_what_no_worker_can_train_ends_the_search_in_one_sentence(rides: Path, home: Path) -> None:
    rates = '"train.lr" = {low = 1e-6, high = 1e-1, log = true}'
    assert rates in searches.WATCHED
    searches.install(home, searches.WATCHED.replace(rates, '"train.ema" = {choices = [0.0, 0.9]}'))
    words = ["tune", "search", searches.FOUR, "tune.workers=2", "train.lr=1e30", "train.clip=0"]
    ended = children.foldline(home, *words)
    assert ended.code == 2, ended
    assert "None of the first" in ended.err and "lower train.lr" in ended.err and ended.err.count("\n") == 1


class Panic(BaseException):
    """Stands for the panic of a library written in Rust, such as polars' PanicException."""


class Ended:
    """As much of a process as its parent looks at once it has ended."""

    exitcode = 0


class Pipe(list[Any]):
    """As much of a pipe as a worker uses."""

    send = list.append


def run_as_worker(error: BaseException, monkeypatch: pytest.MonkeyPatch, checked: artefacts.Seen | None = None) -> Pipe:
    """Run a worker in this process whose search raises; return what it has sent."""

    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(worker_start, "die_with_parent", searches.nothing)
    monkeypatch.setattr(workers, "run_worker", fails)
    sent = Pipe()
    workers._worker_main(sent, None, TimeLimit(), WandbTracker, checked or {})  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize(("error", "kind"), [(Panic("out of bounds"), RuntimeError), (UserError("lr"), UserError)])
def test_a_workers_trouble_is_handed_on(error: BaseException, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    (handed,) = run_as_worker(error, monkeypatch)
    assert type(handed) is kind and str(error) in str(handed)
    assert kind is UserError or "A worker failed:\nTraceback" in str(handed)


def test_what_a_worker_complains_of_goes_to_whoever_listens_to_its_parent(
    search_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def complains(*_: object) -> None:
        complain("damaged: a file")
        raise UserError("lr")

    monkeypatch.setattr(worker_start, "die_with_parent", searches.nothing)
    monkeypatch.setattr(workers, "run_worker", complains)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    workers._worker_main(sender, None, TimeLimit(), WandbTracker, {})  # type: ignore[arg-type]
    sender.close()
    pool = workers._WorkerPool(searches.search(search_file), 2, TimeLimit(), searches.nothing, WandbTracker)
    ended, heard = Ended(), list[str]()
    pool.pipes[ended] = receiver
    capfd.readouterr()
    with complaints_to(heard.append):
        with pytest.raises(UserError, match="lr"):
            pool._hear(ended)
        assert not pool._was_killed(ended) and not pool.pipes
    assert heard == ["damaged: a file"] and capfd.readouterr() == ("", "")


def test_a_worker_that_is_told_to_end_hands_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_as_worker(KeyboardInterrupt(), monkeypatch) == []
    with pytest.raises(SystemExit):
        run_as_worker(SystemExit(5), monkeypatch)


def test_workers_take_their_parents_word_for_what_it_has_checked(
    search_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search, started = searches.search(search_file), list[Any]()
    trial_evaluation.prepare(search.config({}), search.tune.seeds)  # as the parent does first: it opens the stores
    pool = workers._WorkerPool(search, 2, TimeLimit(), searches.nothing, WandbTracker)

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

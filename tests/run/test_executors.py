"""Executors: how many workers, the same bytes wherever a cell runs, and how trouble in a worker comes out."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import pickle
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
from lab import EVERYTHING_WORDS, fake, needing
from test_cells import weights_of

from benchmarks.fault_injection import children
from foldline.cli.main import main
from foldline.core import artefacts, worker_start
from foldline.core.errors import UserError, complain, complaints_to
from foldline.run import cell_training, executors, process_executor, turns
from foldline.run.executor_config import ExecutorConfig


@pytest.mark.parametrize(
    ("jobs", "config", "cores", "workers"),
    [
        ([], ExecutorConfig(), 8, 1),
        ([fake()] * 6, ExecutorConfig(), 8, 6),
        ([fake()] * 6, ExecutorConfig(), 2, 2),
        ([fake(threads=4)] * 6, ExecutorConfig(), 8, 2),
        ([fake(threads=4)] * 6, ExecutorConfig(), 2, 1),
        ([fake()], ExecutorConfig(), 8, 1),
        ([fake()] * 6, ExecutorConfig(workers=3), 8, 3),
        ([fake()] * 6, ExecutorConfig(kind="serial", workers=3), 8, 1),
        ([fake("cuda")] * 6, ExecutorConfig(), 8, 1),
        ([fake("cuda")] * 6, ExecutorConfig(kind="process", workers=2), 8, 2),
        # before a cluster is joined, as in a dry run, it is taken for one of this machine
        ([fake()] * 6, ExecutorConfig(kind="ray", cpus=4.0), 8, 2),
        ([fake("cuda")] * 6, ExecutorConfig(kind="ray", workers=3), 8, 3),
    ],
)
def test_number_of_workers(
    jobs: list[Any], config: ExecutorConfig, cores: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert executors.workers_for(jobs, config) == workers


@pytest.fixture(scope="module")
def one_by_one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the rides are trained with every part of the recipe, serially, a cell at a time."""
    with tiny.home_of_rides(tmp_path_factory.mktemp("one-by-one")) as home:
        tiny.run("train", "rides", *EVERYTHING_WORDS)
    return home


@pytest.mark.parametrize(
    "executor",
    [
        ["executor.together=3"],
        ["executor.kind=process", "executor.workers=2"],
    ],
    ids=["together", "processes"],
)
def test_wherever_cells_run_they_give_the_same_bytes(
    executor: list[str], one_by_one: Path, rides: Path, home: Path
) -> None:
    tiny.run("train", "rides", *EVERYTHING_WORDS, *executor)
    assert weights_of(home) == weights_of(one_by_one)
    assert tiny.submission(home) == tiny.submission(one_by_one)


@pytest.mark.slow  # it trains the rides four times
def test_so_they_do_where_they_are_trained_on_windows_from_the_store(rides: Path, home: Path) -> None:
    words = [*EVERYTHING_WORDS, "train.windows={length = 4, stride = 3, predict = 6}", "--force"]
    found = []
    for where in (
        ["train.resident=on"],
        ["train.resident=off"],
        ["train.resident=off", "executor.together=3"],
        ["train.resident=off", "executor.kind=process", "executor.workers=2"],
    ):
        ended = children.foldline(home, "train", "rides", *words, *where)
        assert ended.code == 0, ended
        found.append((weights_of(home), tiny.submission(home)))
    assert all(each == found[0] for each in found)


class Panic(BaseException):
    """Stands for the panic of a library written in Rust, such as polars' PanicException."""


def fails_with(error: BaseException) -> Any:
    """A cell that can't be trained, run in this process's `_work` with plain lists for queues."""

    def run(job: Any, emit: Any) -> Iterator[None]:
        yield
        raise error

    return run


class Queue(list[Any]):
    """As much of a multiprocessing queue as a worker uses."""

    put = list.append

    def get(self, timeout: float) -> Any:
        return self.pop(0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UserError("lower train.lr"), turns.CellFailed),
        (artefacts.Damaged("a store is damaged"), artefacts.Damaged),  # no fault of the cell's config
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (OSError(errno.EACCES, "Permission denied"), PermissionError),
        (OSError(errno.ENOENT, "No such file"), RuntimeError),
        (ZeroDivisionError("bug"), RuntimeError),
        (Panic("index out of bounds"), RuntimeError),
    ],
)
def test_a_workers_trouble_is_handed_on(error: BaseException, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_training, "run", fails_with(error))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker_start, "die_with_parent", lambda: None)
    events = Queue()
    process_executor._work(Queue([fake(), None]), events, 1)
    assert [event[:2] for event in events] == [("fake", "start"), ("", "error")]
    handed = events[-1][2]["error"]
    assert type(handed) is kind
    assert kind is not RuntimeError or "Traceback" in str(handed)
    if isinstance(handed, turns.CellFailed):
        assert isinstance(handed, UserError) and str(handed) == "lower train.lr"
        sent = pickle.loads(pickle.dumps(handed))  # as a queue between processes does it
        assert (str(sent), sent.key) == (str(handed), handed.key) and sent.key == fake().key


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(5)])
def test_a_worker_that_is_told_to_end_hands_nothing_on(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_training, "run", fails_with(error))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker_start, "die_with_parent", lambda: None)
    events = Queue()
    with pytest.raises(SystemExit) if isinstance(error, SystemExit) else contextlib.nullcontext():
        process_executor._work(Queue([fake(), None]), events, 1)
    assert [event[:2] for event in events] == [("fake", "start")]


def test_a_training_that_diverges_in_a_worker_ends_in_one_sentence(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train.lr=1e30", "train.clip=0", "executor.kind=process", "executor.workers=2"]
    assert main(["train", "rides", *words]) == 2
    err = capsys.readouterr().err
    assert "was not finite at step" in err and "lower train.lr" in err
    assert "Traceback" not in err and err.count("\n") == 1
    assert not list((home / "runs" / "cells").glob("*/weights.safetensors"))


def test_a_killed_worker_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_executor, "_work", _dies)
    with pytest.raises(UserError, match=r"ended with exit code -9 .*Finished cells are kept"):
        executors.execute([fake(key="a"), fake(key="b")], ExecutorConfig(kind="process", workers=2), lambda *_: None)


def test_a_worker_that_is_told_to_end_behind_its_work_sends_its_last_events() -> None:
    """Killed while it sends them, it would take the lock of their queue along: the others wait for it at their end."""
    context = multiprocessing.get_context("spawn")
    events = context.Queue()
    process = context.Process(target=_ended_behind_its_work, args=(events,))
    with worker_start.starting():
        process.start()
    assert events.get(timeout=60.0) == "the last one"
    process.join(60.0)
    assert process.exitcode == 0


def _ended_behind_its_work(events: Any) -> None:
    process_executor._work(Queue([None]), events, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    events.put("the last one")


def _dies(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_workers_that_a_signal_stopped_are_noticed() -> None:
    """One that gets SIGTERM from somebody saves and ends well; its cell is not done nevertheless."""
    ended = [SimpleNamespace(exitcode=0), SimpleNamespace(exitcode=0)]
    events: queue.Queue[Any] = queue.Queue()
    events.put(("a", "done", {}))
    with pytest.raises(UserError, match=r"were stopped by a signal. Their cells are saved"):
        process_executor._listen([fake(key="a"), fake(key="b")], ended, queue.Queue(), events, lambda *_: None)


def test_a_worker_that_a_signal_stopped_is_noticed_where_others_wait_for_its_cell() -> None:
    """They get no cell any more, and no word that there are none: without the fix the run never ends."""
    looks = 0

    class Silent(queue.Queue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            nonlocal looks
            looks += 1
            assert looks < 5, "nobody will say anything"
            raise queue.Empty

    workers = [SimpleNamespace(exitcode=0), SimpleNamespace(exitcode=None)]
    jobs = [needing("teacher"), needing("student", "teacher")]
    with pytest.raises(UserError, match="were stopped by a signal"):
        process_executor._listen(jobs, workers, queue.Queue(), Silent(), lambda *_: None)


def test_a_last_event_that_comes_late_counts() -> None:
    """On a busy machine a worker may put its last event and end between a look at the queue and one at the worker."""
    worker = SimpleNamespace(exitcode=None)
    seen: list[str] = []

    class Late(queue.Queue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            if worker.exitcode is None:
                worker.exitcode = 0
                self.put(("fake", "done", {}))
                raise queue.Empty
            return super().get(block, timeout)

    process_executor._listen([fake()], [worker], queue.Queue(), Late(), lambda job, kind, values: seen.append(kind))
    assert seen == ["done"]


def test_what_a_worker_complains_of_goes_to_whoever_listens_to_its_parent(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def run(job: Any, emit: Any) -> Iterator[None]:
        complain("damaged: a file")
        emit("done")
        yield

    monkeypatch.setattr(cell_training, "run", run)
    monkeypatch.setattr(worker_start, "die_with_parent", lambda: None)
    sent = Queue()
    process_executor._work(Queue([fake(), None]), sent, 1)
    events, heard, seen = queue.Queue[Any](), list[str](), list[str]()
    for event in sent:
        events.put(event)
    with complaints_to(heard.append):
        process_executor._listen(
            [fake()],
            [SimpleNamespace(exitcode=None)],
            queue.Queue(),
            events,
            lambda job, kind, values: seen.append(kind),
        )
    assert heard == ["damaged: a file"] and seen == ["start", "done"] and capfd.readouterr() == ("", "")


def test_progress_is_throttled_and_epochs_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cells take turns in one worker: each has a clock of its own."""
    emitted = {
        "a": [(10.0, "progress", 1), (10.1, "progress", 2), (10.1, "epoch", 0.5), (10.25, "progress", 3)],
        "b": [(10.05, "progress", 1), (10.15, "progress", 2), (10.15, "epoch", 0.7), (10.4, "progress", 3)],
    }
    now = [0.0]

    def run(job: Any, emit: Any) -> Iterator[None]:
        for at, kind, value in emitted[job.key]:
            now[0] = at
            emit(kind, value=value)
            yield

    monkeypatch.setattr(cell_training, "run", run)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(worker_start, "die_with_parent", lambda: None)
    events = Queue()
    process_executor._work(Queue([fake(key="a"), fake(key="b"), None]), events, 2)
    reported = [(key, kind, *values.values()) for key, kind, values in events if kind != "start"]
    assert reported == [
        ("a", "progress", 1),
        ("b", "progress", 1),
        ("a", "epoch", 0.5),
        ("b", "epoch", 0.7),
        ("a", "progress", 3),  # the epoch between has not begun its clock anew
        ("b", "progress", 3),
    ]


def test_cells_take_turns_step_by_step_and_the_next_begins_where_one_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    def run(job: Any, emit: Any) -> Iterator[None]:
        for number in range({"a": 1, "b": 3, "c": 2}[job.key]):
            steps.append(f"{job.key}{number}")
            yield

    monkeypatch.setattr(cell_training, "run", run)
    jobs = [fake(key=key) for key in "abc"]
    turns.take_turns(jobs, 1, lambda *_: None)
    assert steps == ["a0", "b0", "b1", "b2", "c0", "c1"]
    steps.clear()
    turns.take_turns(jobs, 2, lambda *_: None)
    assert steps == ["a0", "b0", "b1", "c0", "b2", "c1"]


@pytest.mark.parametrize(
    ("table", "begun", "handed_on"),
    [(None, ["a1", "c1"], ["b0", "d0"]), (Path("store"), [], ["a0", "b0", "c0", "d0"])],
)
def test_finished_cells_that_predict_begin_in_this_process_and_workers_get_what_is_left(
    table: Path | None, begun: list[str], handed_on: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each takes 6 s of the processor; "b" needs "c". What trains goes to workers at once."""
    here, there, clock = list[str](), list[str](), [0.0]

    def run(job: Any, emit: Any) -> Iterator[None]:
        here.append(f"{job.key}{job.beside}")
        clock[0] += 0.6 * executors.BRIEFLY_S
        yield from ()

    def execute(jobs: Any, workers: int, *_: Any) -> None:
        there.extend(f"{job.key}{job.beside}" for job in jobs)
        assert workers == 2

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(cell_training, "run", run)
    monkeypatch.setattr(process_executor, "execute", execute)
    monkeypatch.setattr(time, "process_time", lambda: clock[0])
    jobs = [replace(job, train=table) for job in (needing("a"), needing("b", "c"), needing("c"), needing("d"))]
    executors.execute(jobs, ExecutorConfig(), lambda *_: None)
    assert (here, there) == (begun, handed_on)


LEFT_OVER = """
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
import numpy as np
from foldline.run import process_executor


@dataclass
class HalfAJob:
    key: str
    cell: Any
    values: np.ndarray
    since: float | None = None


if __name__ == "__main__":
    large = np.zeros(1 << 18)  # 2 MiB: more than a pipe holds
    cell = SimpleNamespace(before=())
    jobs = [HalfAJob(str(number), cell, large) for number in range(8)]  # what a job lacks here is the error
    process_executor.execute(jobs, 1, 1, lambda *_: None)
"""


def test_jobs_that_no_worker_has_taken_do_not_keep_the_process_from_ending(tmp_path: Path) -> None:
    (tmp_path / "left_over.py").write_text(LEFT_OVER)
    command = [sys.executable, str(tmp_path / "left_over.py")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300)  # without the fix it never ends
    assert ended.returncode == 1 and "AttributeError" in ended.stderr


def test_a_job_begins_when_what_it_needs_is_done_and_no_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two take turns; "student" needs "teacher", which ends long before "slow" does."""
    begun: list[str] = []

    def run(job: Any, emit: Any) -> Iterator[None]:
        begun.append(job.key)
        yield from [None] * {"teacher": 1, "slow": 9, "student": 2, "after": 1}[job.key]
        begun.append(f"{job.key} done")

    monkeypatch.setattr(cell_training, "run", run)
    chain = {"teacher": (), "slow": (), "after": ("student",), "student": ("teacher",)}
    jobs = [needing(key, *needs) for key, needs in chain.items()]
    turns.take_turns(jobs, 2, lambda *_: None)
    order = ["teacher", "slow", "teacher done", "student", "student done", "after", "after done", "slow done"]
    assert begun == order


def test_a_parent_gives_workers_what_may_begin_and_ends_them_after_the_last() -> None:
    todo, events, given = queue.Queue[Any](), queue.Queue[Any](), list[list[str]]()
    for key in ("a", "b", "c"):
        events.put((key, "done", {}))
    jobs = [needing("a"), needing("c", "a", "b"), needing("b")]

    workers = [SimpleNamespace(exitcode=None)] * 2
    process_executor._listen(jobs, workers, todo, events, lambda *_: given.append(drained(todo)))
    assert given == [["a", "b"], ["c", "-", "-"], []]


def drained(todo: queue.Queue[Any]) -> list[str]:
    return ["-" if (job := todo.get()) is None else job.key for _ in range(todo.qsize())]


def test_a_worker_that_waits_for_a_job_heeds_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it could begin is not there yet: it must not wait for it when it is told to end."""
    looks = iter([False, False, False, True, True, True])
    monkeypatch.setattr(process_executor.interrupt, "requested", lambda: next(looks))
    monkeypatch.setattr(process_executor, "LOOK_S", 0.01)
    assert process_executor._FromParent(queue.Queue()).next(wait=True) is None

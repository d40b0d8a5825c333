"""Executors: how many workers, the same bytes wherever a cell runs, and how trouble in a worker comes out."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
from test_cells import weights_of

from foldline import cells, executors
from foldline.cli import main
from foldline.errors import UserError
from foldline.executors import ExecutorConfig


def fake(device: str = "cpu", threads: int = 1) -> Any:
    """As much of a job as the planning of workers looks at."""
    train = SimpleNamespace(device_used=device, threads=threads)
    return SimpleNamespace(cell=SimpleNamespace(model=SimpleNamespace(train=train), name="fake"))


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
    ],
)
def test_number_of_workers(
    jobs: list[Any], config: ExecutorConfig, cores: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert executors.workers_for(jobs, config) == workers


def test_serial_and_process_give_the_same_bytes(trained_once: Path, rides: Path, home: Path) -> None:
    tiny.run("train", "rides", "executor.kind=process", "executor.workers=2")
    assert weights_of(home) == weights_of(trained_once / "home")
    assert tiny.submission(home) == tiny.submission(trained_once / "home")


def fails_with(error: Exception) -> Any:
    """A cell that can't be trained, run in this process's `_work` with plain lists for queues."""

    def run(job: Any, emit: Any) -> None:
        raise error

    return run


class Queue(list[Any]):
    """As much of a multiprocessing queue as a worker uses."""

    put = list.append

    def get(self) -> Any:
        return self.pop(0)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UserError("lower train.lr"), UserError),
        (OSError(errno.ENOSPC, "No space left on device"), OSError),
        (OSError(errno.EACCES, "Permission denied"), PermissionError),
        (OSError(errno.ENOENT, "No such file"), RuntimeError),
        (ZeroDivisionError("bug"), RuntimeError),
    ],
)
def test_a_workers_trouble_is_handed_on(error: Exception, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "run", fails_with(error))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(executors, "_die_with_parent", lambda: None)
    events = Queue()
    executors._work(Queue([(0, fake()), None]), events)
    assert [event[:2] for event in events] == [(0, "start"), (0, "error")]
    handed = events[-1][2]["error"]
    assert type(handed) is kind
    assert kind is not RuntimeError or "Traceback" in str(handed)


def test_a_training_that_diverges_in_a_worker_ends_in_one_sentence(
    rides: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train.lr=1e30", "train.clip=0", "executor.kind=process", "executor.workers=2"]
    assert main(["train", "rides", *words]) == 2
    err = capsys.readouterr().err
    assert "Lower train.lr" in err and "Traceback" not in err and err.count("\n") == 1
    assert not list((home / "runs" / "cells").glob("*/weights.safetensors"))


def test_a_killed_worker_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_work", _dies)
    with pytest.raises(UserError, match=r"ended with exit code -9 .*Finished cells are kept"):
        executors.execute([fake(), fake()], ExecutorConfig(kind="process", workers=2), lambda *_: None)


def _dies(todo: Any, events: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_progress_is_throttled_and_epochs_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.0, 10.1, 10.1, 10.15, 10.4, 10.4])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    events = Queue()
    emit = executors._throttled(3, events)
    emit("progress", done=1)  # 10.0
    emit("progress", done=2)  # 10.1: too soon
    emit("epoch", loss=0.5)  # 10.1
    emit("progress", done=3)  # 10.15: too soon
    emit("progress", done=4)  # 10.4
    assert [(number, kind, *values.values()) for number, kind, values in events] == [
        (3, "progress", 1),
        (3, "epoch", 0.5),
        (3, "progress", 4),
    ]

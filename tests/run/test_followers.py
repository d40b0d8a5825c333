"""The processes behind the first one: what is refused before any training, and how they end."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lab import fake

from foldline.core import interrupt
from foldline.core.errors import UserError
from foldline.fit import ranks
from foldline.fit.ranks import Ranks
from foldline.run import cell_training, executors, followers
from foldline.run.executor_config import ExecutorConfig


def together(processes: int = 2, device: str = "cpu") -> Any:
    """A job whose network several processes train."""
    job = fake(device)
    job.cell.model.processes = job.cell.model.train.processes = processes
    return job


def test_cells_are_trained_one_at_a_time_in_the_first_process() -> None:
    assert executors.workers_for([fake()] * 5, ExecutorConfig(workers=2)) == 2
    assert executors.workers_for([fake()] * 5 + [together()], ExecutorConfig(workers=2)) == 1
    assert executors.workers_for([fake("cuda"), together(device="cuda")], ExecutorConfig()) == 1


def test_what_can_not_be_is_refused_before_any_training(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="this is one process alone"):
        executors.execute([fake(), together()], ExecutorConfig(), lambda *_: None)
    monkeypatch.setattr(ranks, "here", lambda: Ranks(0, 2))
    for other in ({"kind": "process"}, {"together": 2}):
        with pytest.raises(UserError, match="one network at a time, with all processes"):
            followers.check([together()], ExecutorConfig(**other))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(UserError, match=r"2 processes on this node need a GPU each, but it has 1\."):
        followers.check([together(device="cuda")], ExecutorConfig())
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")  # the other one is on another node
    followers.check([together(device="cuda")], ExecutorConfig())
    followers.check([together()], ExecutorConfig())
    followers.check([fake()], ExecutorConfig(kind="process"))


def test_they_follow_until_the_first_one_is_done_or_told_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    given, seen, slept = ["a", "b", None], [], []
    monkeypatch.setattr(Ranks, "from_first", lambda self, value: given.pop(0))
    monkeypatch.setattr(cell_training, "follow", lambda job, ranks: seen.append(job))
    monkeypatch.setattr(time, "sleep", slept.append)
    assert followers.follow(Ranks(1, 2)) == 0 and seen == ["a", "b"]

    def stops(job: Any, ranks: Ranks) -> None:
        interrupt.request()
        interrupt.stop_if_requested()

    given[:] = ["a", None]
    monkeypatch.setattr(cell_training, "follow", stops)
    assert followers.follow(Ranks(1, 2)) == 130 and given == [None] and not interrupt.requested()

    def fails(job: Any, ranks: Ranks) -> None:
        raise UserError("a file is missing here")

    monkeypatch.setattr(cell_training, "follow", fails)
    given[:] = ["a"]
    with pytest.raises(UserError, match="missing here"):
        followers.follow(Ranks(1, 2))
    assert slept == [followers.FIRST_SAYS_S]  # the first one says it where it has the same trouble

"""Real runs, really killed: at twenty random moments of training, and by Ctrl-C. What comes out is what always does.

./run.sh test --slow tests/run/test_kill.py
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import safetensors
import tiny
from lab import EVERYTHING_WORDS

from benchmarks.fault_injection import children

KILLS = 20
REAL = 2  # of these, with workers that are new Pythons, as a user's are; forked ones take 0.1 s to start, not 3
PATIENCE_S = 300.0  # longest wait for something that must happen
SLOWLY = ["train.epochs=150", "train.batch=3", "train.checkpoint_s=0", *EVERYTHING_WORDS]
EXECUTORS = {"serial": ["executor.kind=serial"], "process": ["executor.kind=process", "executor.workers=2"]}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


class Run:
    """`train rides` in a process group of its own, as a terminal starts it; a context that leaves nothing running.

    It is forked from a process that has imported everything: the kills hit training, not the import of torch.
    """

    def __init__(self, home: Path, words: list[str], spawned_workers: bool = True) -> None:
        self.home = home
        self.child = children.start_foldline(
            home, "train", "rides", *words, environment=os.environ, spawned_workers=spawned_workers
        )

    def __enter__(self) -> Run:
        self.child.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.child.__exit__()

    def trains(self, pattern: str) -> bool:
        """Wait until this run has written such a file of a cell; False: it ended before."""
        began, cells = time.time_ns(), self.home / "runs" / "cells"
        return self._comes(lambda: any(_changed(path, began) for path in cells.glob(f"*/{pattern}")))

    def says(self, text: str) -> bool:
        """Wait until this run has said that; False: it ended before."""
        return self._comes(lambda: text in self.child.printed())

    def _comes(self, true: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + PATIENCE_S
        while self.child.process.exitcode is None:
            if true():
                return True
            assert time.monotonic() < deadline, self.child.printed()
            time.sleep(0.002)
        return False

    def ends(self) -> tuple[int | None, str]:
        """Exit code and output; no code: it hung."""
        ended = self.child.ended(PATIENCE_S)
        return ended.code, ended.out + ended.err

    def leaves_no_orphan(self) -> None:
        """Wait until its group and its forked workers are gone: nobody trains on behind the next run's back."""
        deadline = time.monotonic() + PATIENCE_S
        while _group_lives(self.child.pid) or any(map(psutil.pid_exists, self.child.workers)):
            assert time.monotonic() < deadline, "a worker outlived its parent"
            time.sleep(0.01)


def _group_lives(leader: int) -> bool:
    """Whether a process of a group runs; one that has ended and that nobody waits for, as without an init, does not."""
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return False
    return any(_runs(each, leader) for each in psutil.process_iter())


def _runs(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def reached(home: Path) -> dict[str, tuple[int, int]]:
    """Cell -> (epochs, steps) of its checkpoint."""
    found = {}
    for path in (home / "runs" / "cells").glob("*/checkpoint.safetensors"):
        with safetensors.safe_open(path, framework="np") as stored:
            counters = json.loads(stored.metadata()["counters"])
        found[path.parent.name] = (counters["epoch"], counters["step"])
    return found


def _changed(path: Path, since_ns: int) -> bool:
    try:
        return path.stat().st_size > 0 and path.stat().st_mtime_ns > since_ns
    except FileNotFoundError:  # it was there a moment ago: a finished cell has no checkpoint
        return False


def install(home: Path, source: Path) -> Path:
    tiny.install(home, source)
    return home


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("source") / "rides", tiny.frames(train_series=24, steps=12))


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a run that nobody killed."""
    home = install(tmp_path_factory.mktemp("whole"), source)
    with Run(home, [*SLOWLY, *EXECUTORS["serial"]]) as run:
        code, output = run.ends()
    assert code == 0, output
    return home


def left(home: Path) -> dict[str, bytes]:
    """Every file of every cell, and the submission; without times."""
    stored = tiny.tree(home / "runs" / "cells")
    found = {name: content for name, content in stored.items() if not name.endswith(("done.json", "cost.json"))}
    for name, content in found.items():
        if name.endswith("history.jsonl"):
            rows = [json.loads(line) for line in content.decode().splitlines()]
            timeless = [{key: value for key, value in row.items() if not key.startswith("time.")} for row in rows]
            found[name] = json.dumps(timeless).encode()
    return {**found, "submission": tiny.submission(home)}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_twenty_kills_change_no_bit(executor: str, source: Path, whole: Path, tmp_path: Path) -> None:
    home, words = install(tmp_path, source), [*SLOWLY, *EXECUTORS[executor]]
    moments, before = random.Random(executor), dict[str, tuple[int, int]]()
    for number in range(KILLS):
        with Run(home, words, spawned_workers=number < REAL) as run:
            assert run.trains("checkpoint.safetensors"), f"after {number} kills it ended by itself: {run.ends()}"
            time.sleep(moments.uniform(0.0, 0.15))
            os.kill(run.child.pid, signal.SIGKILL)
            code, output = run.ends()
            assert code == -signal.SIGKILL, output
            run.leaves_no_orphan()
        now = reached(home)
        assert all(now.get(cell, place) >= place for cell, place in before.items())  # it never starts from scratch
        assert now != before
        before = now
    with Run(home, words, spawned_workers=False) as run:
        code, output = run.ends()
    assert code == 0, output
    assert left(home) == left(whole)


@pytest.mark.usefixtures("sigint")
@pytest.mark.parametrize("executor", EXECUTORS)
def test_ctrl_c_saves_and_the_next_run_goes_on_from_there(executor: str, source: Path, tmp_path: Path) -> None:
    """No checkpoint is due for an hour: the one that is found was written because of the signal."""
    home = install(tmp_path, source)
    words = [*SLOWLY, *EXECUTORS[executor], "train.epochs=5000", "train.checkpoint_s=3600"]
    epochs = []
    for number in range(2):
        with Run(home, words) as run:
            assert run.says("goes on after") if number else run.trains("history.jsonl")
            os.killpg(run.child.pid, signal.SIGINT)  # as a terminal does: every process of the group gets it
            code, output = run.ends()
        assert code == 130, output
        assert "run the same command again to go on" in output and "Traceback" not in output
        assert len(list((home / "runs" / "cells").glob("*/checkpoint.safetensors"))) >= 1
        histories = [path.read_text().count("\n") for path in (home / "runs" / "cells").glob("*/history.jsonl")]
        epochs.append(max(histories))
    assert epochs[1] >= epochs[0] > 0

"""Command lines of foldline, each in a process forked from one that has imported everything: 0.1 s, not 3 s.

What a child does to itself (an outside reader that ends it, a hang, a file descriptor lost) does not reach the others.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmarks.fault_injection import workers
from benchmarks.fault_injection.fault import Outcome

PATIENCE_S = 240.0  # a command that takes longer hangs: the commands here take a second or two, if nothing else runs
# Starting a process asks after all others of this Python, and of two threads that ask after one, one is told 255
# (github.com/python/cpython/issues/130895; findings/multiprocessing-exit-code-of-threads.sh): the kinds are threads.
_ASKING = threading.Lock()
PRELOADED = [  # also what is imported at its first use only; one that is not installed is left out
    *("torch", "torch._dynamo", "lightgbm", "polars", "optuna", "numba", "foldline.cli.main"),
    *("sqlalchemy.orm", "sqlalchemy.dialects.postgresql.psycopg", "psycopg", "alembic.command"),
    *(f"foldline.cli.{verb}" for verb in ("train", "tune", "ablate", "study", "blend", "infer", "report", "bundle")),
    *(
        f"foldline.cli.{verb}"
        for verb in ("audit", "board", "clean", "decode", "doctor", "folds", "simulate", "submit")
    ),
]


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int | None  # minus the signal that ended it; None: it hung, and was killed
    out: str
    err: str

    @property
    def broken(self) -> Outcome | None:
        """The outcome, where the way in which it ended says it already; None: its results must be looked at."""
        if self.code is None:
            return Outcome.HANG
        if self.code < 0:
            return Outcome.OUTSIDE
        if "Traceback (most recent call last)" in self.err or self.code == 3:
            return Outcome.TRACEBACK
        return None

    @property
    def refused(self) -> bool:
        """Whether it was refused as it should be: exit 2 and one error."""
        return self.code == 2 and self.err.count("error: ") == 1


class Child:
    """A command that runs, in a process group of its own; a context that leaves nothing running."""

    def __init__(self, process: BaseProcess, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.process, self._folder = process, folder

    @property
    def pid(self) -> int:
        """Its process, the leader of its group."""
        assert self.process.pid is not None
        return self.process.pid

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._code(None)
        self._folder.cleanup()

    @property
    def workers(self) -> list[int]:
        """The worker processes that it has started so far; they may have ended."""
        return workers.numbers(Path(self._folder.name))

    def kill(self) -> None:
        """End the whole group and the workers at once."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        for number in self.workers:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(number, signal.SIGKILL)

    def _code(self, patience_s: float | None) -> int | None:
        """Wait for its end; None: it has not come yet."""
        wait([self.process.sentinel], patience_s)
        with _ASKING:
            return self.process.exitcode

    def said(self) -> str:
        """What it has written to standard error so far."""
        return (Path(self._folder.name) / "err").read_text(errors="replace")

    def printed(self) -> str:
        """What it has written so far to standard output, then to standard error."""
        return (Path(self._folder.name) / "out").read_text(errors="replace") + self.said()

    def ended(self, patience_s: float = PATIENCE_S) -> Ended:
        """Wait for its end, or kill it after `patience_s`."""
        code = self._code(patience_s)
        if code is None:
            self.kill()
            self._code(None)
        out, err = ((Path(self._folder.name) / name).read_text(errors="replace") for name in ("out", "err"))
        return Ended(code, out, err)


def start(
    function: Callable[..., int | None],
    *given: Any,
    environment: Mapping[str, str] | None = None,
    spawned_workers: bool = False,
) -> Child:
    """Start a function of a module in a forked process; what it returns is the exit code.

    spawned_workers: its workers are new Pythons in its process group, as in real runs, not forked like itself.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    folder = tempfile.TemporaryDirectory(prefix="foldline-child-", ignore_cleanup_errors=True)
    for name in ("out", "err"):
        (Path(folder.name) / name).touch()
    address = "" if spawned_workers else workers.server()
    process = context.Process(target=_called, args=(function, given, dict(environment or {}), folder.name, address))
    with _ASKING:
        process.start()
    return Child(process, folder)


def foldline(
    home: Path, *words: str, environment: Mapping[str, str] | None = None, patience_s: float = PATIENCE_S
) -> Ended:
    """Run one command line of foldline to its end."""
    with start_foldline(home, *words, environment=environment) as child:
        return child.ended(patience_s)


def start_foldline(
    home: Path, *words: str, environment: Mapping[str, str] | None = None, spawned_workers: bool = False
) -> Child:
    """Start one command line of foldline in a home folder; see `start`."""
    used = {**(environment or {}), "FOLDLINE_HOME": str(home)}
    return start(_verb, list(words), environment=used, spawned_workers=spawned_workers)


def _verb(words: list[str]) -> int:
    from foldline.cli.main import main

    return main(words)


def _called(
    function: Callable[..., int | None], given: tuple[Any, ...], environment: dict[str, str], to: str, server: str
) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, wherever this was started from
    os.environ.update(environment)
    os.chdir(environment.get("FOLDLINE_HOME", to))
    workers.redirect(to)
    if server:
        workers.use(server, to)
    try:
        code = int(function(*given) or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 3
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

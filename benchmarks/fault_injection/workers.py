"""Worker processes that commands of a child start: forked by the same server, 0.1 s instead of the 3 s of a new Python.

They are processes of their own that get everything by pickle, as spawned ones do, and end with their parent.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import multiprocessing.forkserver
import os
import signal
from collections.abc import Callable
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

FOLDER = "FAULTS_CHILD"  # environment variable: the folder of the child's output, and of its workers' numbers
_own = multiprocessing.get_context


def server() -> str:
    """Return the address of this process's server, started if it was not."""
    running: Any = multiprocessing.forkserver._forkserver
    running.ensure_running()
    return str(running._forkserver_address)


def use(address: str, folder: str) -> None:
    """Let this process, a child of that server, start its workers there, too."""
    os.environ[FOLDER] = folder
    inherited: Any = multiprocessing.forkserver._forkserver
    inherited._forkserver_address = address
    inherited.ensure_running = resource_tracker.ensure_running
    multiprocessing.get_context = lambda method=None: _Forked() if method == "spawn" else _own(method)  # type: ignore[assignment]


def redirect(folder: str) -> None:
    """Let output of this process go to the files of that folder."""
    for number, name in ((1, "out"), (2, "err")):
        stream = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(stream, number)
        os.close(stream)


def numbers(folder: Path) -> list[int]:
    """List the workers that a child has started so far."""
    return [int(path.name.removeprefix("worker-")) for path in sorted(folder.glob("worker-*"))]


class _Forked(multiprocessing.context.ForkServerContext):
    """Stands for the context "spawn"."""

    def Process(  # type: ignore[override]
        self, *, target: Callable[..., object], args: tuple[Any, ...], daemon: bool
    ) -> Any:
        return super().Process(target=_worker, args=(dict(os.environ), target, args), daemon=daemon)


def _worker(environment: dict[str, str], target: Callable[..., object], args: tuple[Any, ...]) -> None:
    try:
        (Path(environment[FOLDER]) / f"worker-{os.getpid()}").touch()
    except FileNotFoundError:  # its parent was killed before it began
        return
    os.environ.clear()
    os.environ.update(environment)
    redirect(environment[FOLDER])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a spawned one inherits it
    target(*args)

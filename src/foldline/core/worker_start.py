"""How worker processes begin, and end with their parent: Ctrl-C is the parent's alone, its script is not run in them.

A spawned process imports its parent's `__main__` first. Where that is a script without `if __name__ == "__main__":`,
or a notebook saved as one, it would train in every worker. No worker of foldline needs anything of it.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

_one_at_a_time = threading.RLock()


@contextmanager
def starting() -> Iterator[None]:
    """Start workers inside the block, in any thread."""
    with without_script(), _deaf_to_interrupts():
        yield


@contextmanager
def without_script() -> Iterator[None]:
    """Hide where `__main__` comes from: multiprocessing then has nothing to run again."""
    names = vars(sys.modules["__main__"])
    with _one_at_a_time:
        hidden: dict[str, Any] = {name: names.pop(name) for name in ("__file__", "__spec__") if name in names}
        names["__spec__"] = None
        try:
            yield
        finally:
            del names["__spec__"]
            names.update(hidden)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Block SIGINT in this thread: processes that it starts inherit that. One that comes meanwhile arrives afterwards.

    A handler, or SIG_IGN, could be set in the main thread only, and would lose what comes meanwhile.
    """
    resource_tracker.ensure_running()  # it lets SIGINT through again when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with_parent() -> None:
    """Let this process, a spawned worker, end when its parent does.

    A parent killed by SIGKILL can't end its workers: without this they would train on, holding cells' locks.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a worker"

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

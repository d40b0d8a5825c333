"""Locks on files: between processes, on one machine or over NFS."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: refused with a sentence by the command line before anything is locked
    fcntl = None  # type: ignore[assignment]

LOOK_S = 0.05  # how often a lock that somebody else holds is looked at


@contextmanager
def lock(path: Path, on_wait: Callable[[], None] | None = None, shared: bool = False) -> Iterator[None]:
    """Hold a lock on a file, and wait while another process holds it; on_wait() is called before that.

    The kernel frees the lock when its holder dies.

    Args:
        shared: others may hold it too, if they share it; else it is held by one alone.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _lock_file(path, shared) as stream:
            if not _takes(stream, kind):
                if on_wait:
                    on_wait()
                while not _takes(stream, kind):
                    time.sleep(LOOK_S)
            if _is_at(stream, path):  # else its last holder has removed it meanwhile: others lock a new one
                yield
                return


def _takes(stream: IO[str], kind: int) -> bool:
    """Take a lock unless somebody else holds it; a wait inside flock would not end with Ctrl-C once polars is imported.

    That makes the system go on with calls which a signal interrupts (findings/polars-ctrl-c-while-waiting.sh).
    """
    try:
        fcntl.flock(stream, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(stream: IO[str], path: Path) -> bool:
    """Whether an open file is still what lies at a path."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _lock_file(path: Path, shared: bool) -> IO[str]:
    """Open the file of a lock; to share one that somebody else has made, reading it is enough."""
    try:
        return path.open("a+")  # NFS wants a file open for reading to share a lock, and for writing to hold it alone
    except PermissionError:
        if shared and path.exists():
            return path.open()
        raise

"""One lock over all of runs/: whoever reads or writes there shares it, and what deletes there holds it alone.

A command shares it from its first moment to its last, so that nothing goes away between two of its stages: while it
blends, decodes or reports, no cell is being trained and no cell's own lock is held.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from foldline.core import files, locks

NO_RIGHT_TO_WRITE = (errno.EACCES, errno.EPERM, errno.EROFS)


class InUse(Exception):
    """Another command shares the lock."""


def path() -> Path:
    """Return the file that is locked."""
    return files.runs() / "locks" / "runs"


@contextmanager
def shared(on_wait: Callable[[], None]) -> Iterator[None]:
    """Share the lock; on_wait() is called first where something is being deleted, and its end is waited for.

    Without it where runs/ can be read only: no command of this user's writes there, and most refuse it in a sentence.
    """
    new = not files.runs().exists()
    try:
        with ExitStack() as held:
            try:
                held.enter_context(locks.lock(path(), on_wait, shared=True))
            except OSError as error:
                if error.errno not in NO_RIGHT_TO_WRITE:
                    raise
            yield
    finally:
        if new:
            _remove_if_unused()


def _remove_if_unused() -> None:
    """Remove a runs/ that holds this lock and nothing else: a refused command leaves no trace."""
    lock = path()
    with suppress(OSError, InUse):  # there is more in it, or another command has begun to use it
        if [*files.runs().iterdir(), *lock.parent.iterdir()] == [lock.parent, lock]:
            with alone():
                lock.unlink()
                lock.parent.rmdir()
                files.runs().rmdir()


@contextmanager
def alone() -> Iterator[None]:
    """Hold the lock alone, without waiting.

    Raises:
        InUse: another command shares it.
    """
    with locks.lock(path(), on_wait=_refuse):
        yield


def _refuse() -> None:
    raise InUse

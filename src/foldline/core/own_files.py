"""Files at paths that the user names are overwritten only where foldline wrote them, as a mark of each kind says.

`--force` repeats foldline's own work; it never means "replace whatever lies there".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from foldline.core import locks
from foldline.core.errors import UserError


def begins_with(path: Path, mark: bytes) -> bool:
    """Return whether a path is a file whose first bytes are a mark, or that ends inside it: it holds nothing then."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return mark.startswith(stream.read(len(mark)))


def require_own(path: Path, own: Callable[[], bool], kind: str, way_out: str) -> None:
    """Refuse to overwrite what foldline did not write.

    Args:
        path: what would be overwritten; nothing need be there.
        own: whether what is there has the mark; asked after it is there, for another command may write it just now.
        kind: of file that would be written: "a fold file".
        way_out: a sentence that names another path, or how to make room without losing anything.

    Raises:
        UserError: something else is there.
    """
    if (path.exists() or path.is_symlink()) and not own():
        raise UserError(f"{path} is not overwritten, because it is there and is not {kind} of foldline's. {way_out}")


@contextmanager
def being_written(out: Path) -> Iterator[None]:
    """Keep a file that the user names to the command that makes it, inside the block.

    Raises:
        UserError: another command is making it now.
    """

    def refuse() -> None:
        raise UserError(
            f"{out} is being written by another command now. Wait until that has ended, or name another file."
        )

    lock = out.with_name(f".{out.name}.lock")
    with locks.lock(lock, on_wait=refuse):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)

"""The errors that end a run on purpose, and all exit codes. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

import contextlib
import difflib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from enum import IntEnum
from pathlib import Path

from foldline.core import renamed_names
from foldline.core.command_name import as_started

LONGEST_LIST = 400  # characters of a list of known names; of a longer one the nearest are shown
LONGEST_PATH = 80  # characters of a path that a message shows
SHOWN_NAMES, LONGEST_NAME = 8, 40  # of such a list; characters of each

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)  # gets what is complained of


class ExitCode(IntEnum):
    """How a verb ends, for scripts. Python's own code of a crash is 1: cli/main.py makes it BUG."""

    DONE = 0
    FINDING = 1
    USER_ERROR = 2
    BUG = 3
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def meaning(self) -> str:
        """What it says, in a few words."""
        return {
            ExitCode.DONE: "done",
            ExitCode.FINDING: "a check found something: a leak, a submission that must not be sent",
            ExitCode.USER_ERROR: "a mistake that you can correct: data, config, a full disk",
            ExitCode.BUG: "an unexpected error in foldline: please report its traceback",
            ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
            ExitCode.TERMINATED: "ended by SIGTERM",
        }[self]


class Error(Exception):
    """What ends a verb on purpose: `except foldline.Error` catches all of it. Its text is one for readers."""


class UserError(Error):
    """A mistake that the user can correct: bad data, a bad config, a full disk. Exit code 2, no traceback.

    The message says the rule, what was given, where, and how to correct it. It is one line, whatever it quotes.
    """

    def __init__(self, message: str, *more: str) -> None:
        super().__init__(message.replace("\r", "\\r").replace("\n", "\\n"), *more)


class Finding(Error):
    """What a check has found, such as a submission that the gate refuses. Exit code 1, no traceback."""


class TryAgain(UserError):
    """A UserError that no config has caused: the same command goes on once the cause is gone.

    It ends a search, an ablation or a study, where any other error of a cell ends only the trial or the variant.
    """


def unknown(kind: str, name: str, known: Iterable[str], where: str) -> UserError:
    """Make the error for a name that is not in a registry or a table.

    Args:
        kind: what is named: "model", "key", "verb", ...; core/renamed.py uses the same words.
        where: the file and the place in it.

    Returns:
        one that gives the new name of a renamed thing, else the nearest match and the sorted list, or its nearest
        entries and their number where the list is long: a table may have a thousand columns.
    """
    choices = sorted(known)
    new = renamed_names.new_name(kind, name, choices)
    if new is not None:
        return UserError(f"{where}: unknown {kind} {name!r}: it is called {new!r} now (CHANGELOG.md).")
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"{where}: unknown {kind} {name!r}.{hint} {_known(name, choices)}.")


def _known(name: str, choices: list[str]) -> str:
    """List the known names, or those of a long list that are nearest to `name`."""
    whole = f"Known: {', '.join(choices) or 'none'}"
    if len(whole) <= LONGEST_LIST:
        return whole
    nearest = difflib.get_close_matches(name, choices, n=SHOWN_NAMES, cutoff=0.0)
    return f"Known, the nearest first: {shortened([*nearest, *(other for other in choices if other not in nearest)])}"


def complain(text: str) -> None:
    """Print a line on standard error, unless somebody listens (`complaints_to`)."""
    (_listener.get() or print_complaint)(as_started(text))


def print_complaint(text: str) -> None:
    """Print a line on standard error. One that is full or gone ends nothing: the exit code and the results stand."""
    if sys.stderr is not None:  # closed before Python began; print would take standard output then
        with contextlib.suppress(OSError, ValueError):  # a full disk behind it; closed since
            print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def complaints_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Give lines to `listener` inside the block, and in this thread, that would be printed on standard error."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def shortened(names: Sequence[str]) -> str:
    """List names in a message: all of a short list, else the first SHOWN_NAMES and how many more there are."""
    whole = ", ".join(names) or "nothing"
    if len(whole) <= LONGEST_LIST:
        return whole
    shown = [each if len(each) <= LONGEST_NAME else f"{each[:LONGEST_NAME]}…" for each in names[:SHOWN_NAMES]]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"{', '.join(shown)}{more}"


def from_worker(error: BaseException) -> Exception:
    """Return what a worker hands to its parent instead of an error that it met.

    What the user can correct goes as it is, and the command line prints it. Any other one becomes a RuntimeError with
    the traceback: a library's own class may not come whole out of a pipe, and its panic is no Exception.
    """
    if isinstance(error, UserError | PermissionError) or (isinstance(error, Exception) and disk_full(error)):
        return error
    return RuntimeError(f"A worker failed:\n{''.join(traceback.format_exception(error))}")


def foreseen(error: Exception) -> UserError | None:
    """Make the sentence for an error that the machine, or who owns a file, has caused; None: it is something else."""
    where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
    if isinstance(error, PermissionError):
        what = error.filename or "A file"
        return UserError(f"{what} can't be read or written: {error.strerror or error}. Check its owner.")
    if isinstance(error, NotADirectoryError):
        return UserError(f"A part of the path{where} is a file, not a folder. Name another path.")
    if isinstance(error, FileExistsError) and error.filename and not Path(error.filename).is_dir():
        return UserError(f"{error.filename} must be a folder, but is a file, or a link to nothing. Move it away.")
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        return UserError(f"The file system{where} is read-only. Name another folder, or have it mounted for writing.")
    if disk_full(error):
        way_out = "Free some and run the same command again: finished cells are kept."
        return UserError(f"No space is left on the disk{where}, or no more is allowed (quota, `ulimit -f`). {way_out}")
    if path_too_long(error):
        return UserError(too_long(getattr(error, "filename", "")))
    if too_many_files(error):
        return UserError(
            f"Too many files are open{where}. Allow more (`ulimit -n 1024`) and run the same command again."
        )
    return None


def disk_full(error: BaseException) -> bool:
    """Return whether an error means a full disk, or the end of what a user may write: a quota, `ulimit -f`."""
    return _means(error, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def too_many_files(error: BaseException) -> bool:
    """Return whether an error means that no more files may be open: `ulimit -n`."""
    return _means(error, errno.EMFILE, errno.ENFILE)


def path_too_long(error: BaseException) -> bool:
    """Return whether an error means that a path, or a name in it, is longer than the file system takes."""
    return isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG


def too_long(path: object) -> str:
    """Say that a path is longer than the file system takes."""
    text = str(path)
    shown = text if len(text) <= LONGEST_PATH else f"{text[:LONGEST_PATH]}…"
    return f"The path {shown!r} is too long for the file system: {len(text):,} characters. Give another."


def _means(error: BaseException, *numbers: int) -> bool:
    """Return whether an error is the system's with one of some numbers.

    polars and safetensors raise errors of their own, and a worker's error may arrive as text: hence the message, too.
    """
    known = isinstance(error, OSError) and error.errno in numbers
    return known or any(os.strerror(number) in str(error) for number in numbers)

"""The two errors that end a run on purpose, and their exit codes. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

from foldline.core import renamed_names

LONGEST = 400  # characters of a list of names in a message


class UserError(Exception):
    """A mistake that the user can correct: bad data, a bad config, a full disk. Exit code 2, no traceback.

    The message says the rule, what was given, where, and how to correct it.
    """


class Finding(Exception):
    """What a check has found, such as a submission that the gate refuses. Exit code 1, no traceback."""


def unknown(kind: str, name: str, known: Iterable[str], where: str) -> UserError:
    """Make the error for a name that is not in a registry or a table.

    Args:
        kind: what is named: "model", "key", "verb", ...; core/renamed.py uses the same words.
        where: the file and the place in it.

    Returns:
        one that gives the new name of a renamed thing, else the nearest match and the sorted list.
    """
    choices = sorted(known)
    new = renamed_names.new_name(kind, name, choices)
    if new is not None:
        return UserError(f"{where}: unknown {kind} {name!r}: it is called {new!r} now (CHANGELOG.md).")
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"{where}: unknown {kind} {name!r}.{hint} Known: {_listed(choices)}.")


def _listed(choices: list[str]) -> str:
    """Join names; of a list that would fill lines, such as a table's hundred columns, the end is counted only."""
    shown = ", ".join(choices)
    if len(shown) <= LONGEST:
        return shown
    kept = shown[:LONGEST].rpartition(", ")[0]
    return f"{kept} and {len(choices) - kept.count(', ') - 1} more" if kept else f"{len(choices)} of them"


def disk_full(error: BaseException) -> bool:
    """Return whether an error means a full disk.

    polars and safetensors raise errors of their own, and a worker's error may arrive as text: hence the message, too.
    """
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return full or "No space left on device" in str(error)

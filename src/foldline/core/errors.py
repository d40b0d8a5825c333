"""The two ways a run ends early on purpose. Everything else is a bug and keeps its traceback."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable


class UserError(Exception):
    """The user can mend it: bad data, a bad config, a full disk. Exit code 2, one message, no traceback.

    The message says the rule, what came, where, and the way out.
    """


class Finding(Exception):
    """A check did its work and found something: a submission refused at the gate. Exit code 1."""


def unknown(kind: str, name: str, known: Iterable[str], where: str) -> UserError:
    """The error for a name that is not in a registry or a table: nearest match first, then the sorted list."""
    choices = sorted(known)
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UserError(f"{where}: unknown {kind} {name!r}.{hint} Known: {', '.join(choices)}.")


def disk_full(error: Exception) -> bool:
    """Also as libraries say it: polars and safetensors have errors of their own, a worker's may come as text."""
    full = isinstance(error, OSError) and error.errno == errno.ENOSPC
    return full or "No space left on device" in str(error)

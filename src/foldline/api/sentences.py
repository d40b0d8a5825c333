"""Errors of a call from Python: one type, in the words that the command line prints. Imports no library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from foldline.core import errors
from foldline.core.command_name import as_started
from foldline.core.errors import Error


@contextmanager
def sentences() -> Iterator[None]:
    """Raise what is foreseen as foldline's own error, in the words that the command line prints."""
    if os.name == "nt":
        raise errors.UserError("foldline runs on Linux, macOS and WSL, not on Windows itself: start Python inside WSL.")
    try:
        yield
    except Error as error:
        error.args = tuple(as_started(each) if isinstance(each, str) else each for each in error.args)
        raise
    except Exception as error:
        sentence = errors.foreseen(error)
        if sentence is None:
            raise
        raise sentence from error

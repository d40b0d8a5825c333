"""Paths as a call from Python gives them. Imports no library."""

from __future__ import annotations

import os
from pathlib import Path

from foldline.core.errors import UserError


def path_of(value: str | os.PathLike[str], what: str) -> Path:
    """Return the path that somebody gave. what: names it in messages.

    Raises:
        UserError: it is neither a text nor a path.
    """
    try:
        return Path(value)
    except TypeError:
        given = "None" if value is None else f"of type {type(value).__name__}"
        raise UserError(f"{what} must be a path, as a text or a pathlib.Path, but is {given}.") from None

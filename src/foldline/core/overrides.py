"""Overrides from the command line, `table.key=value` with a TOML value, applied to the tables of a config."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Sequence
from typing import Any

from foldline.core.errors import UserError


def parse_override(text: str) -> tuple[list[str], Any]:
    """Split `a.b.c=value` into its path and its value, read as TOML; where it is no TOML, the value is the raw text.

    Raises:
        UserError: there is no `=`, or nothing before it.
    """
    path, equals, raw = text.partition("=")
    if not equals or not path.strip():
        raise UserError(f"An override has the form table.key=value, but is {text!r}.")
    try:
        found = tomllib.loads(f"value = {raw}")
    except tomllib.TOMLDecodeError:
        found = {}
    # A value of several lines may be TOML that goes on with other keys, of which nobody would hear again.
    return path.strip().split("."), found["value"] if len(found) == 1 else raw


def split_overrides(texts: Sequence[str], table: str) -> tuple[dict[str, Any], list[str]]:
    """Split the overrides of a file that names a base config into its own and the base's.

    Returns:
        those of `base` and [table], as tables; the texts of all others.

    Raises:
        UserError: one goes deeper into [table] than it has keys.
    """
    mine: dict[str, Any] = {}
    others = []
    for text in texts:
        names, value = parse_override(text)
        if names == ["base"]:
            mine["base"] = value
        elif names[0] != table:
            others.append(text)
        elif len(names) == 2:
            mine.setdefault(table, {})[names[1]] = value
        else:
            raise UserError(f"Override {text!r} must have the form {table}.key=value.")
    return mine, others


def with_overrides(tables: dict[str, Any], texts: list[str]) -> dict[str, Any]:
    """Return a copy of the tables with overrides applied.

    Raises:
        UserError: an override has no such place in the tables.
    """
    copied = copy.deepcopy(tables)
    for text in texts:
        _apply(copied, text)
    return copied


def _apply(tables: dict[str, Any], text: str) -> None:
    """Apply one override in place; a number in its path is a position in a list (model.0.width=32)."""
    names, value = parse_override(text)
    if names[0] == "extends":
        raise UserError(f"Override {text!r}: extends can only stand in a config file. Write one that extends it.")
    if names[0] == "model" and len(names) > 1 and "model" not in tables:
        raise UserError(
            f"Override {text!r}: the config has no [[model]] that it could change; the default's are filled in behind "
            "overrides. Write them into the config first: `./run.sh init FOLDER` does so, and of a config that was "
            "trained they stand in runs/NAME/latest/config.toml."
        )
    *parents, last = names
    place: Any = tables
    for name in parents:
        place = _step(place, name, text)
    if isinstance(place, list):
        place[_position(place, last, text)] = value
    else:
        place[last] = value


def _step(place: Any, name: str, text: str) -> Any:
    if isinstance(place, list):
        return place[_position(place, name, text)]
    inner = place.setdefault(name, {})
    if not isinstance(inner, dict | list):
        raise UserError(f"Override {text!r}: {name!r} is a value, not a table.")
    return inner


def _position(items: list[Any], name: str, text: str) -> int:
    if not name.isdigit() or int(name) >= len(items):
        raise UserError(
            f"Override {text!r}: {name!r} must be a position from 0 to {len(items) - 1}, as in model.0.train.epochs=5."
        )
    return int(name)

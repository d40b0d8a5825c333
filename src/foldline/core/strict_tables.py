"""Strict conversion of TOML tables to frozen dataclasses; an error names the file and the key.

A config table is a frozen keyword-only dataclass beside its owner; its annotations are the schema. Understood:
bool, int, float, str, Literal, tuple[X, ...], dict[str, X], X | Y, X | None, nested dataclasses.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from foldline.core.errors import UserError, unknown

T = TypeVar("T")


def build(kind: type[T], table: Any, where: str) -> T:
    """Make the dataclass `kind` from a TOML table.

    Args:
        kind: a dataclass; fields without default must be given.
        table: what TOML gave.
        where: file and key path, for the message.

    Raises:
        UserError: unknown key, missing key, wrong type, or a value the dataclass itself refuses.
    """
    if not isinstance(table, dict):
        raise UserError(f"{where} must be a table, but is {_shown(table)}.")
    hints = field_types(kind)  # type: ignore[arg-type]
    for key in table:
        if key not in hints:
            raise unknown("key", key, hints, where)
    missing = [f.name for f in dataclasses.fields(kind) if f.init and _required(f) and f.name not in table]  # type: ignore[arg-type]
    if missing:
        raise UserError(f"{where}: {', '.join(missing)} must be given.")
    values = {key: convert(hints[key], value, f"{where}.{key}") for key, value in table.items()}
    try:
        return kind(**values)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


@functools.cache
def field_types(kind: type) -> dict[str, Any]:
    """Return field name -> resolved annotation, for the fields a table may give."""
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in dataclasses.fields(kind) if f.init}


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def convert(kind: Any, value: Any, where: str) -> Any:
    """Convert one value to its annotated type, strictly: "3" and inf are no numbers, 1 is no bool, 2.0 is no int.

    Raises:
        UserError: naming `where`.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _convert_optional(kind, value, where)
    if origin is Literal:
        if value not in get_args(kind):
            raise UserError(f"{where} must be one of {', '.join(map(repr, get_args(kind)))}, but is {_shown(value)}.")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            how = """ On a command line a list is written 'KEY=["a", "b"]', quotes around all of it."""
            raise UserError(f"{where} must be a list, but is {_shown(value)}.{how if isinstance(value, str) else ''}")
        inner = get_args(kind)[0]
        return tuple(convert(inner, item, f"{where}[{n}]") for n, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise UserError(f"{where} must be a table, but is {_shown(value)}.")
        return {name: convert(get_args(kind)[1], item, f"{where}.{name}") for name, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else build(kind, value, where)  # type: ignore[arg-type]
    return value if kind is Any else _convert_scalar(kind, value, where)


def _convert_optional(kind: Any, value: Any, where: str) -> Any:
    choices = [choice for choice in get_args(kind) if choice is not types.NoneType]
    if value is None and types.NoneType in get_args(kind):
        return None
    if len(choices) == 1:
        return convert(choices[0], value, where)
    container = dict if isinstance(value, dict) else tuple if isinstance(value, list | tuple) else type(value)
    exact = [choice for choice in choices if (get_origin(choice) or choice) is container]
    return convert(exact[0] if exact else choices[-1], value, where)


def _convert_scalar(kind: type, value: Any, where: str) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if kind is float and type(value) is float and not math.isfinite(value):
        raise UserError(f"{where} must be a finite number, but is {value}.")
    if type(value) is not kind:  # not isinstance: a bool is an int to that
        names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise UserError(f"{where} must be {names.get(kind, kind.__name__)}, but is {_shown(value)}.")
    return value


def _shown(value: Any) -> str:
    return f"{value!r} ({type(value).__name__})"


def changed(value: T, table: dict[str, Any], where: str) -> T:
    """Return a copy of a dataclass with the fields that a table gives; nested tables change only what they name.

    Raises:
        UserError: as `build` does.
    """
    return build(type(value), merged(plain(value), table), where)


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge two tables key by key; other values, lists of tables included, are replaced by those of `above`."""
    both = dict(below)
    for name, value in above.items():
        nested = isinstance(value, dict) and isinstance(both.get(name), dict)
        both[name] = merged(both[name], value) if nested else value
    return both


def plain(value: Any) -> Any:
    """Convert back what `build` made: dataclasses to tables, tuples to lists; None, which TOML lacks, is left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init)
        return {name: plain(item) for name, item in pairs if item is not None}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value

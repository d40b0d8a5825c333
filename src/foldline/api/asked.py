"""What a call asks for: the config that it names, and the keys that it changes, as the command line has them."""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w

from foldline.api.paths import path_of
from foldline.core.command_name import started_as
from foldline.core.errors import UserError
from foldline.experiment import config_files

ConfigLike = str | os.PathLike[str] | Mapping[str, Any]
"""A config: its path, its name in configs/, or its tables with a name: {"name": "rides", "data": {...}, ...}."""

PLAIN = re.compile(r"[A-Za-z0-9_-]+")  # a key that can stand in a dotted path
GIVEN = "the given tables"  # what messages call a config that has no file


def overrides(tables: Mapping[str, Any]) -> list[str]:
    """Write nested tables as the texts of the command line: {"train": {"epochs": 5}} is train.epochs=5.

    None changes nothing. A whole number as a key is a place in a list: {"model": {0: {"width": 32}}}.

    Raises:
        UserError: a value that TOML does not have.
    """
    return [text for name, value in tables.items() for text in _texts(str(name), value)]


def _texts(path: str, value: Any) -> Iterator[str]:
    if value is None:
        return
    if isinstance(value, Mapping) and value and all(PLAIN.fullmatch(str(name)) for name in value):
        for name, inner in value.items():
            yield from _texts(f"{path}.{name}", inner)
    else:
        yield f"{path}={_toml(value, path)}"


def _toml(value: Any, where: str) -> str:
    """Write a value as TOML, in one line."""
    if hasattr(value, "item") and not getattr(value, "shape", ()):  # a number of numpy's
        value = value.item()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str | os.PathLike):
        return json.dumps(os.fspath(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        pairs = (f"{_toml(str(name), where)} = {_toml(inner, where)}" for name, inner in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple | range):
        return f"[{', '.join(_toml(each, where) for each in value)}]"
    raise UserError(
        f"{where} must be a text, a number, true or false, or a list or table of these, but is {value!r} "
        f"({type(value).__name__})."
    )


def command(verb: str, configs: Sequence[ConfigLike], texts: Sequence[str]) -> str:
    """Write the command that makes the same result: of a config without a file, the call in words."""
    tables = [each for each in configs if isinstance(each, Mapping)]
    if tables:
        return f"foldline.{verb}(...) in Python, of tables called {', '.join(str(each.get('name')) for each in tables)}"
    return shlex.join([started_as(), verb, *(os.fspath(each) for each in configs), *texts])  # type: ignore[arg-type]


@contextmanager
def as_file(config: ConfigLike) -> Iterator[Path]:
    """Have a config in a file while it is read: its own, or one that is written for tables.

    Raises:
        UserError: tables without a name.
    """
    if not isinstance(config, Mapping):
        yield path_of(config, "A config that is no table")
        return
    with tempfile.TemporaryDirectory(prefix="foldline-") as scratch:
        path = _written(config, Path(scratch))
        try:
            yield path
        except UserError as error:
            raise UserError(str(error).replace(str(path), GIVEN)) from error


def _written(tables: Mapping[str, Any], folder: Path) -> Path:
    """Write tables as a config file; what they name beside them lies in the working folder."""
    name = tables.get("name")
    if not isinstance(name, str) or not PLAIN.fullmatch(name):
        raise UserError(
            "A config given as tables needs a name, letters, digits, - and _: {'name': 'rides', 'data': {...}, ...}; "
            f"its runs lie in the folder runs/NAME. It is {name!r}."
        )
    found = {key: value for key, value in tables.items() if key != "name"}
    if "extends" in found:
        found["extends"] = str(config_files.locate(Path(str(found["extends"]))).absolute())
    if isinstance(found.get("data"), Mapping):
        found["data"] = {key: _absolute(key, value) for key, value in found["data"].items()}
    path = folder / f"{name}.toml"
    try:
        path.write_text(tomli_w.dumps(found), encoding="utf-8")
    except (TypeError, ValueError) as error:
        raise UserError(f"{GIVEN}: a config holds what TOML can: {error}.") from error
    return path


def _absolute(key: str, value: Any) -> Any:
    """Find a Python file of [data] in the working folder."""
    is_file = key in ("code", "metric") and isinstance(value, str) and value.endswith(".py") and Path(value).is_file()
    return str(Path(value).absolute()) if is_file else value

"""Which files a table is made of, where [data] names more than one: patterns, and folders of Parquet parts.

In a pattern `*` stands for any text inside a name, `?` for one character, `**` for any number of folders, and `{name}`
for a text that becomes the column `name`: train/{series}.csv. Everything else is taken literally, brackets too. The
folder of data.source is never a pattern.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from foldline.core import unchanged
from foldline.core.errors import UserError, shortened
from foldline.data.packed_files import guarded, members
from foldline.data.readers import ENDINGS

SPECIAL = re.compile(r"(\*\*/|\*|\?|\{[^{}/]+\})")  # what is no literal text in a pattern
MEANING = {"**/": "(?:.*/)?", "*": "[^/]*", "?": "[^/]"}  # as a regular expression; of {column} it is a group
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"  # how partitioned data sets write a missing value
LONGEST_PATH, LONGEST_NAME = 4095, 255  # bytes, on Linux; names are no longer elsewhere
SHOWN = 80  # characters of a longer one that a message shows


@dataclass(frozen=True)
class FoundFile:
    """One file of a table."""

    path: Path  # ARCHIVE/MEMBER in an archive
    columns: dict[str, str | None] = field(default_factory=dict)  # those that its path gives, with their value


def is_pattern(text: str) -> bool:
    """Return whether a key of [data] is a pattern, not the name of one file or folder."""
    return SPECIAL.search(text) is not None


def columns_of(pattern: str) -> list[str]:
    """Name the columns that a pattern takes from paths, in order."""
    return [part[1:-1] for part in SPECIAL.findall(pattern) if part.startswith("{")]


def check(pattern: str) -> None:
    """Refuse a pattern that reads two ways, or is longer than a path can be.

    Raises:
        ValueError
    """
    check_length(pattern)
    names = columns_of(pattern)
    if len(set(names)) < len(names):
        raise ValueError(f"{pattern!r} must name each {{column}} once")
    if "}{" in pattern:
        raise ValueError(f"{pattern!r} must have text between one {{column}} and the next, to tell them apart")


def check_length(path: str) -> None:
    """Refuse a path, or a name in it, that is longer than file systems take.

    Raises:
        ValueError
    """
    if len(path.encode()) > LONGEST_PATH or any(len(name.encode()) > LONGEST_NAME for name in path.split("/")):
        shown = f"{path[:SHOWN]}…" if len(path) > SHOWN else path
        raise ValueError(f"{shown!r} is too long for a path: {len(path):,} characters")


def matching(source: Path, pattern: str, key: str) -> list[FoundFile]:
    """Find the files of a pattern, sorted by path; hidden ones are no tables.

    Args:
        source: a folder or archive. pattern: relative to it. key: of [data], for messages.

    Raises:
        UserError: no file matches, one is no table, or a name can be split into columns in two ways.
    """
    names = members(source) if source.is_file() else _in_folder(source, pattern)
    greedy, lazy = _expression(pattern, "+"), _expression(pattern, "+?")
    found = []
    for name in sorted(names):
        match, other = greedy.fullmatch(name), lazy.fullmatch(name)
        if match is None or other is None or PurePosixPath(name).name.startswith("."):
            continue
        if match.groups() != other.groups():
            raise UserError(
                f"{source / name}: {key} = {pattern!r} must split a path into columns in one way, but this one gives "
                f"{', '.join(match.groups())} or {', '.join(other.groups())}. Take one {{column}} for the whole name, "
                "and split it in competition.py."
            )
        found.append(FoundFile(source / name, dict(zip(columns_of(pattern), match.groups(), strict=True))))
    _check_found(source, pattern, key, found, names)
    return found


def _in_folder(source: Path, pattern: str) -> list[str]:
    """List the files of a folder that a pattern may match."""
    # Brackets mean nothing in a pattern, but would to glob.
    parts = [glob.escape(part) if literal else part for literal, part in _pieces(pattern)]
    wide = "".join("*" if SPECIAL.fullmatch(part) and part[0] == "{" else part for part in parts)
    with guarded(source, rule="can't be listed", way_out="Name another data.source."):
        for end in (place + 1 for place, sign in enumerate(wide) if sign == "/"):
            for folder in _glob(wide[:end], source):
                unchanged.reads(source / folder)  # glob lists none for a name that is written out
        names = _glob(wide, source)
        return [name for name in names if not (source / name).is_dir()]


def _glob(wide: str, source: Path) -> list[str]:
    return glob.glob(wide, root_dir=source, recursive=True)  # noqa: PTH207 (pathlib's has no escaped root)


def _pieces(pattern: str) -> Iterator[tuple[bool, str]]:
    """Cut a pattern into literal texts (True) and what stands between them."""
    for place, part in enumerate(SPECIAL.split(pattern)):
        yield place % 2 == 0, part


def _expression(pattern: str, repeated: str) -> re.Pattern[str]:
    """Return a pattern as a regular expression. repeated: + or +?, of the characters of a column's text."""
    parts = [
        re.escape(part) if literal else MEANING.get(part, f"([^/]{repeated})") for literal, part in _pieces(pattern)
    ]
    return re.compile("".join(parts), re.DOTALL)


def _check_found(source: Path, pattern: str, key: str, found: Sequence[FoundFile], names: Sequence[str]) -> None:
    if not found:
        there = "" if source.is_file() else f"; it holds {shortened(sorted(entry.name for entry in source.iterdir()))}"
        raise UserError(
            f"{source}: no file matches {key} = {pattern!r}{there}. In a pattern * stands for a part of a name, ** for "
            "folders, and {name} for a column."
        )
    odd = [file.path for file in found if not file.path.name.endswith(ENDINGS)]
    if odd:
        raise UserError(
            f"{odd[0]}: {key} = {pattern!r} must match tables only ({', '.join(ENDINGS)}), but this is none; "
            f"{len(odd)} of {len(found)} files are not. Let the pattern end in the tables' ending."
        )


def partitions(folder: Path, key: str) -> list[FoundFile]:
    """Find the Parquet files below a folder, sorted by path; folders called name=value give columns.

    Names that start with _ or . are no data, as for the programs that write such folders.
    Format: https://arrow.apache.org/docs/python/dataset.html#reading-partitioned-data

    Raises:
        UserError: there are none, or some lie in folders of other names than the rest.
    """
    with guarded(folder, rule="can't be listed", way_out="Name another data.source."):
        paths = sorted(path for path in folder.rglob("*.parquet") if path.is_file())
    relative = [path.relative_to(folder) for path in paths]
    kept = [path for path in relative if not any(name.startswith(("_", ".")) for name in path.parts)]
    if not kept:
        raise UserError(
            f"{folder} is a directory without Parquet files. Name the files in it by a pattern: "
            f'{key} = "{folder.name}/*.csv".'
        )
    found = [FoundFile(folder / path, _hive_columns(path)) for path in kept]
    uneven = next((file for file in found if list(file.columns) != list(found[0].columns)), None)
    if uneven is not None:
        raise UserError(
            f"{uneven.path} must lie in folders of the columns {shortened(list(found[0].columns))}, as {found[0].path} "
            f"does, but lies in {shortened(list(uneven.columns))}. Name the files that belong together by a pattern in "
            f"{key}."
        )
    return found


def _hive_columns(path: Path) -> dict[str, str | None]:
    pairs = [part.split("=", 1) for part in path.parts[:-1] if "=" in part]
    return {unquote(name): None if value == NULL_PARTITION else unquote(value) for name, value in pairs}

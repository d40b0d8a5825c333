"""Which files of a folder are train, test, sample and tables to join: what `init` finds before it looks at columns.

train.csv, test.csv                    one file each, of any name that has train where the other has test
train/tr0001.csv, ..., test/te01.csv   a file a series; the column that its name becomes is called as another table
                                       calls it, which lists these names
speakers.csv, train_people.csv, ...    joined, if they have a key once that rows of train have, too
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import assemble, file_patterns, identity, join_tables, readers
from foldline.data.file_table import FileTable
from foldline.data.join_tables import PART, JoinConfig

SAMPLE, LABELS = assemble.SAMPLE, "train_labels"  # a file of the second name holds targets of the training series
FOLDER = "folder"  # column for the names of folders with files in them
NAMELESS = "series"  # column for the names of files, where no table lists them
FOUND = "__found__"  # helper column of a joined table


@dataclass
class Tables:
    """The tables of a competition, and what a config says of their files."""

    train: pl.DataFrame
    test: pl.DataFrame
    sample: pl.DataFrame | None
    labels: tuple[str, pl.DataFrame] | None  # name and content of the file with the targets of the training series
    named: dict[str, str] = field(default_factory=dict)  # keys of [data] that name files, where it must say so
    joins: list[JoinConfig] = field(default_factory=list)
    evidence: dict[str, str] = field(default_factory=dict)  # key of the config -> why
    unclear: list[str] = field(default_factory=list)  # sentences


def find(folder: Path) -> Tables:
    """Find and read the tables of a folder or zip archive.

    Raises:
        UserError: nothing looks like train and test, or one of them is damaged or has no rows.
    """
    others = _tables_beside(folder)
    names = _train_and_test(folder, others)
    if names is None:
        lacking = next(stem for stem in ("train", "test") if readers.find(folder, stem) is None)
        raise UserError(
            f"{folder}: no {lacking} with one of the endings {', '.join(readers.ENDINGS)}, and nothing else that says "
            f"train and test; it holds {shortened(readers.names_in(folder))}. Write the config by hand: "
            "docs/how-to/layouts.md shows how, also for JSON and other forms."
        )
    frames = {part: _read(folder, name, f"data.{part}") for part, name in names.items()}
    for part, frame in frames.items():
        if not frame.height:
            raise UserError(f"{folder}: {names[part]} has a header but no rows.")
    taken = {name.partition("/")[0] for name in names.values()}
    others = [path for path in others if _stem(path) not in taken]
    sample = _sample(folder, others)
    labels = readers.find(folder, LABELS)
    found = Tables(
        frames["train"],
        frames["test"],
        None if sample is None else readers.look(sample),
        None if labels is None else (LABELS, readers.look(labels)),
    )
    for part, name in names.items():
        if name != part:
            found.named[part] = name
            found.evidence[part] = f"{frames[part].height:,} rows{_pattern_says(folder, name)}"
    if sample is not None and _stem(sample) != SAMPLE:
        found.named["sample"] = sample.name
        found.evidence["sample"] = "the only other file with submission in its name"
    _find_joins(found, folder, [path for path in others if path != sample and _stem(path) != LABELS])
    return found


# ---------------------------------------------------------------- train, test, sample


def _tables_beside(folder: Path) -> list[Path]:
    """List the files of a folder that are tables; of an archive, where names decide, none."""
    if not folder.is_dir():
        return []
    entries = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return [path for path in entries if path.name.endswith(readers.ENDINGS)]


def _train_and_test(folder: Path, tables: Sequence[Path]) -> dict[str, str] | None:
    """Return what data.train and data.test say: names without their endings, or patterns; None: nothing fits."""
    if all(readers.find(folder, stem) is not None for stem in ("train", "test")):
        return {"train": "train", "test": "test"}
    if not folder.is_dir():
        return None
    folders = {path.name for path in folder.iterdir() if path.is_dir()}
    stems = [*sorted(folders), *map(_stem, tables)]
    pairs = [(name, name.replace("train", "test")) for name in stems if "train" in name]
    pairs = [(train, test) for train, test in pairs if test in stems]
    if not pairs:  # train_data beside test_sequences
        pairs = [(train, test) for train in _only(stems, "train") for test in _only(stems, "test")]
    if not pairs:
        return None
    # a folder holds more than a table beside it, and "train" is plainer than "train_demographics"
    train, test = min(pairs, key=lambda pair: (pair[0] not in folders, len(pair[0])))
    column = _column_of_names(folder, [name for name in (train, test) if name in folders], tables)
    pair = {"train": train, "test": test}
    return {part: _pattern(folder / name, column) if name in folders else name for part, name in pair.items()}


def _only(stems: Sequence[str], word: str) -> list[str]:
    """Return the name that begins with a word, if there is just one that may be a table of rows."""
    found = [stem for stem in stems if stem.startswith(word) and stem != LABELS]
    return found if len(found) == 1 else []


def _tables_in(folder: Path) -> list[Path]:
    """List the tables in a folder, or where it has none, in its folders."""
    return _tables_beside(folder) or [
        path
        for inner in sorted(folder.iterdir())
        if inner.is_dir() and "=" not in inner.name and not inner.name.startswith(".")
        for path in _tables_beside(inner)
    ]


def _pattern(folder: Path, column: str) -> str:
    """Return the pattern of the tables in a folder, or in its folders; its name where these are Parquet's parts."""
    files = _tables_in(folder)
    if not files:
        return folder.name
    inside = column in readers.columns(files[0])
    between = "" if files[0].parent == folder else f"{{{FOLDER}}}/"
    return f"{folder.name}/{between}{'*' if inside else f'{{{column}}}'}{_ending(files[0])}"


def _column_of_names(folder: Path, folders: Sequence[str], tables: Iterable[Path]) -> str:
    """Return what a table calls the names of the files in some folders: its column that holds all of one folder's."""
    stems = [pl.Series(sorted({_stem(path) for path in _tables_in(folder / name)})) for name in folders]
    stems = [identity.texts(each) for each in stems if len(each)]
    for table in tables:
        with contextlib.suppress(UserError):  # of one that can't be read a join says so
            frame = readers.look(table)
            for name in frame.columns:
                if frame[name].dtype.is_integer() or frame[name].dtype == pl.String:
                    there = identity.texts(frame[name]).implode()
                    if any(each.is_in(there).all() for each in stems):
                        return name
    return NAMELESS


def _sample(folder: Path, tables: Sequence[Path]) -> Path | None:
    usual = readers.find(folder, SAMPLE)
    like = [path for path in tables if "submission" in path.name]
    return like[0] if usual is None and len(like) == 1 else usual


def _read(folder: Path, name: str, key: str) -> pl.DataFrame:
    """Read a table with all its columns, of one file or of many."""
    table = assemble.located(folder, name, key)
    if len(table.found) == 1 and not table.found[0].columns:
        return readers.look(table.found[0].path)
    given = [file.columns for file in table.found]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(lambda file: readers.look(file.path), table.found))
    named = [
        part.with_columns(pl.lit(text, pl.String).alias(column) for column, text in columns.items())
        for part, columns in zip(parts, given, strict=True)
    ]
    frame = pl.concat([part for part in named if part.height] or named[:1], how="diagonal_relaxed")
    return frame.with_columns(identity.normal(frame[name]) for name in given[0])


def _pattern_says(folder: Path, name: str) -> str:
    if not file_patterns.is_pattern(name):
        return ""
    columns = file_patterns.columns_of(name)
    return f" in a file a series, whose name is its {columns[-1]}" if columns else " in several files"


# ---------------------------------------------------------------- joins


def _find_joins(found: Tables, folder: Path, tables: Sequence[Path]) -> None:
    """Join to train and test what other tables say of their rows."""
    names = [path.name for path in tables]
    for path in tables:
        twin = path.name.replace("train", "test")
        if "test" in path.name and path.name.replace("test", "train") in names:
            continue  # comes with its twin
        both = twin != path.name and twin in names
        _join(found, folder, path.name.replace("train", PART) if both else path.name)


def _join(found: Tables, folder: Path, file: str) -> None:
    try:
        frame = readers.look(folder / file.replace(PART, "train"))
    except UserError as error:
        found.unclear.append(f"{file} is not used: {error}")
        return
    keys = _keys_of(frame, found.train)
    new = [name for name in frame.columns if name not in keys and name not in found.train.columns]
    if not keys or not new:
        found.unclear.append(
            f"{file} is not used: "
            + ("it says nothing that train lacks." if keys else "no column of train stands there, each value once.")
            + " docs/how-to/layouts.md has joins and competition.py, for tables of events for instance."
        )
        return
    overlap = any(name not in keys and name in found.train.columns for name in frame.columns)
    join = JoinConfig(file=file, on=keys, columns=tuple(new) if overlap else ())
    path = folder / join.name("test")
    try:
        theirs = readers.look(path) if PART in file else frame
        train, share = _joined(found.train, folder / join.name("train"), frame, join, new)
        if PART in file or _has_some(theirs, found.test, keys):
            given = [name for name in new if name in theirs.columns]
            found.test, _ = _joined(found.test, path, theirs, join, given)
    except UserError as error:
        found.unclear.append(f"{file} is not used: {error}")
        return
    found.train, join = train, replace(join, required=share == 1)
    found.joins.append(join)
    lacking = "" if share == 1 else f"; it lacks {1 - share:.0%} of them"
    found.evidence[f"join {file}"] = f"has each {' and '.join(keys)} of train once, and {shortened(new)}{lacking}"


def _keys_of(frame: pl.DataFrame, train: pl.DataFrame) -> tuple[str, ...]:
    """Return the columns by which a table is joined to train: those of both, of which it has each value once."""
    shared = [name for name in frame.columns if name in train.columns]
    shared = [name for name in shared if not frame[name].dtype.is_temporal()]
    single = [name for name in shared if not (frame[name].dtype.is_float() or frame[name].is_duplicated().any())]
    if single:
        return (single[0],)
    several = len(shared) > 1 and not frame.select(shared).is_duplicated().any()
    return tuple(shared) if several else ()


def _has_some(frame: pl.DataFrame, table: pl.DataFrame, keys: tuple[str, ...]) -> bool:
    """Return whether a table has any of a frame's keys: one of labels has none of test's."""
    names = [name for name in keys if name in table.columns]
    return all(identity.texts(table[name]).is_in(identity.texts(frame[name]).implode()).any() for name in names)


def _joined(
    table: pl.DataFrame, path: Path, frame: pl.DataFrame, join: JoinConfig, new: Sequence[str]
) -> tuple[pl.DataFrame, float]:
    """Return a table with the new columns, and the share of its rows that the joined frame, of `path`, has."""
    step = join_tables.Step(replace(join, required=False), FileTable(path, ()), (*new, FOUND))
    whole = join_tables.joined(table, path.parent, frame.with_columns(pl.lit(True).alias(FOUND)), step)
    return whole.drop(FOUND), 1 - whole[FOUND].null_count() / max(whole.height, 1)


def _stem(path: Path) -> str:
    return path.name.removesuffix(_ending(path))


def _ending(path: Path) -> str:
    return next(ending for ending in readers.ENDINGS if path.name.endswith(ending))

"""Mutated tables: what foldline reads is what an independent reader reads, bit by bit; the rest is refused.

A fault changes one of the three files of the small competition in one to three ways. A child loads twenty such
competitions; table_oracle.py says what they hold.
"""

from __future__ import annotations

import gzip
import io
import shutil
import traceback
import zipfile
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import tiny

from benchmarks.fault_injection import batches, parquet_tables, sheets, table_oracle
from benchmarks.fault_injection.children import Ended
from benchmarks.fault_injection.fault import Fault, Kind, Outcome
from benchmarks.fault_injection.table_oracle import Refused
from foldline.core.errors import UserError
from foldline.data import loading
from foldline.data.roles import DataConfig

BATCH = 20  # competitions that one child loads
STEMS = ("train", "test", "sample_submission")
SHARE_SPOILED = 0.25  # of the files, some bytes of which are changed too
LONGEST_MESSAGE = 1500  # characters of a refusal; a longer one is no sentence


@dataclass(frozen=True)
class Mutated:
    """A competition with one mutated file."""

    folder: Path
    file: Path
    what: str
    harmless: bool  # it must be read


def config(folder: Path) -> DataConfig:
    """Return the [data] of the small competition."""
    return DataConfig(**tiny.ROLES, scored="coasting == 0", source=str(folder))


def _frames() -> dict[str, Any]:
    import polars as pl

    frames = tiny.frames(train_series=6, test_series=3, steps=sheets.STEPS)
    notes = pl.Series("note", ['fast, "up"', "", "é"])
    for stem in ("train", "test"):
        frames[stem] = frames[stem].with_columns(notes.gather([row % 3 for row in range(frames[stem].height)]))
    return frames


def _sheet(frame: Any) -> sheets.Sheet:
    """Print a frame; floats as Python prints them."""
    return [list(frame.columns), *([str(value) for value in row] for row in frame.rows())]


def of_csv(number: int, seed: int, scratch: Path) -> Mutated:
    """Make one competition of CSV files, and mutate one of them."""
    draw, folder = Random(f"csv {seed} {number}"), scratch / f"{number}"
    tables = {stem: _sheet(frame) for stem, frame in _frames().items()}
    stem = draw.choices(STEMS, [6, 3, 1])[0]
    changes = [sheets.changed(tables[stem], draw) for _ in range(draw.choice([1, 1, 2, 3]))]
    folder.mkdir()
    for other in STEMS:
        if other != stem:
            (folder / f"{other}.csv").write_bytes(sheets.plain(tables[other]))
    raw, how = sheets.written(tables[stem], draw)
    raw, texts = _maybe_spoiled(raw, draw, "bytes")
    ending = draw.choice([".csv", ".csv", ".csv", ".csv.gz", ".csv.zip"])
    packed, more = _maybe_spoiled(_packed(raw, ending, draw), draw, "packed bytes") if ending != ".csv" else (raw, [])
    file = folder / f"{stem}{ending}"
    file.write_bytes(packed)
    parts = [*changes, how, *((text, False) for text in (*texts, *more))]
    what = "; ".join(text for text, _ in parts)
    return Mutated(folder, file, f"seed {seed}, number {number}: {file.name}: {what}", all(mild for _, mild in parts))


def _maybe_spoiled(raw: bytes, draw: Random, name: str) -> tuple[bytes, list[str]]:
    if draw.random() > SHARE_SPOILED:
        return raw, []
    raw, what = sheets.spoiled(raw, draw)
    return raw, [f"{name}: {what}"]


def _packed(raw: bytes, ending: str, draw: Random) -> bytes:
    if ending == ".csv.gz":
        half = draw.choice([0, len(raw) // 2])  # two members, one behind the other, are one file to gzip
        return b"".join(gzip.compress(part, draw.randrange(10), mtime=0) for part in (raw[:half], raw[half:]) if part)
    stream = io.BytesIO()
    method = draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo("table.csv"), raw, method)
    return stream.getvalue()


def of_parquet(number: int, seed: int, scratch: Path) -> Mutated:
    """Make one competition of Parquet files, and mutate one of them."""
    draw, folder = Random(f"parquet {seed} {number}"), scratch / f"{number}"
    folder.mkdir()
    frames, stem = _frames(), draw.choices(STEMS, [6, 3, 1])[0]
    for other in STEMS:
        if other != stem:
            frames[other].write_parquet(folder / f"{other}.parquet")
    table, parts = frames[stem].to_arrow(), list[sheets.Change]()
    for _ in range(draw.choice([0, 1, 1, 2, 3])):
        table, change = parquet_tables.changed(table, draw)
        parts.append(change)
    raw, how = parquet_tables.written(table, draw)
    raw, texts = _maybe_spoiled(raw, draw, "bytes")
    file = folder / f"{stem}.parquet"
    file.write_bytes(raw)
    parts += [how, *((text, False) for text in texts)]
    what = "; ".join(text for text, _ in parts)
    return Mutated(folder, file, f"seed {seed}, number {number}: {file.name}: {what}", all(mild for _, mild in parts))


def loaded(folder: Path) -> tuple[str, Any]:
    """Load a competition in the child: ("read", its tables), ("refused", the sentence) or ("traceback", the text)."""
    try:
        found = loading.load(config(folder))
    except UserError as error:
        return "refused", str(error)
    except BaseException:
        return "traceback", traceback.format_exc()
    tables: dict[str, dict[str, Any]] = {}
    for stem, table in (("train", found.train), ("test", found.test)):
        rows = None if table.file_rows is None else table.file_rows.tolist()
        tables[stem] = table.frame.to_dict(as_series=False) | {"scored": table.scored.tolist(), "file_rows": rows}
    if found.sample is not None:
        tables["sample_submission"] = found.sample.to_dict(as_series=False)
    return "read", tables


Make = Callable[[int, int, Path], Mutated]


def _faults(make: Make, seed: int, scratch: Path) -> Generator[Fault, None, None]:
    number = 0
    while True:
        made = [make(number + place, seed, scratch) for place in range(BATCH)]
        number += BATCH
        answers = batches.answers(loaded, [one.folder for one in made], scratch)
        held = _held(made, scratch)
        for one, answer in zip(made, answers, strict=True):
            outcome, detail = _judged(one, answer, held[one.file])
            yield Fault(one.what, outcome, detail)
            shutil.rmtree(one.folder)


def _held(made: list[Mutated], scratch: Path) -> dict[Path, Any]:
    """Read each mutated file by the independent reader: columns, or why it refuses."""
    wanted = {one.file: _wanted(one) for one in made}
    parquet = [file for file in wanted if file.suffix == ".parquet"]
    answers = batches.answers(
        table_oracle.parquet_answer, [(file, wanted[file], _numbered(file)) for file in parquet], scratch
    )
    found: dict[Path, Any] = dict(zip(parquet, answers, strict=True))
    for file, names in wanted.items():
        if file not in found:
            try:
                found[file] = table_oracle.of_csv(file, names, _numbered(file))
            except Refused as error:
                found[file] = str(error)
    return found


def _numbered(file: Path) -> str:
    """Return the column that a file may lack: nobody asks for the rows of train, so that it needs no ids."""
    return "row" if file.name.split(".")[0] == "train" else ""


def _wanted(one: Mutated) -> list[str]:
    names = {
        "train": ["row", "ride", "second", "power", "coasting", "bike", "speed"],
        "sample_submission": ["row", "speed"],
    }
    return names.get(one.file.name.split(".")[0], names["train"][:-1])


def _judged(one: Mutated, answer: Any, held: Any) -> tuple[Outcome, str]:
    if isinstance(answer, Ended):
        return answer.broken or Outcome.OUTSIDE, answer.err
    how, found = answer
    if how == "traceback":
        return Outcome.TRACEBACK, found
    if how == "refused":
        return _of_refusal(one, found)
    if isinstance(held, Ended):  # the other reader was ended: nobody knows what the file holds
        return Outcome.OUTSIDE, ""
    if isinstance(held, str):
        return Outcome.SILENT, f"it was read, but should be refused: {held}"
    try:
        text = _difference(one, found, held)
    except Refused as error:
        text = f"it was read, but should be refused: {error}"
    return (Outcome.SILENT, text) if text else (Outcome.FINE, "")


def _of_refusal(one: Mutated, message: str) -> tuple[Outcome, str]:
    if one.harmless:
        return Outcome.UNCLEAR, f"it should be read, but was refused: {message}"
    named = str(one.folder) in message or "data.s" in message
    plain = "\n" not in message and len(message) < LONGEST_MESSAGE and message.endswith((".", "?", ")"))
    return (Outcome.FINE if named and plain else Outcome.UNCLEAR), message


def _difference(one: Mutated, found: dict[str, Any], held: table_oracle.Columns) -> str:
    stem, data = one.file.name.split(".")[0], config(one.folder)
    if stem != "sample_submission":
        return table_oracle.difference(found[stem], held, data, labelled=stem == "train")
    ids, rows = [str(value).strip() for value in held["row"]], [str(value) for value in found[stem]["row"]]
    if ids != rows and [table_oracle.name(value) for value in held["row"]] != [table_oracle.name(row) for row in rows]:
        return f"sample: rows {rows}, but the file holds {ids}"
    tests = [table_oracle.name(value) for value in found["test"]["row"]]
    return (
        "" if sorted(map(table_oracle.name, held["row"])) == sorted(tests) else "sample: other rows than the test table"
    )


def csv_faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Load mutated CSV files, without end."""
    yield from _faults(of_csv, seed, scratch)


def parquet_faults(seed: int, scratch: Path) -> Generator[Fault, None, None]:
    """Load mutated Parquet files, without end."""
    yield from _faults(of_parquet, seed, scratch)


CSV = Kind(
    name="csv",
    promise="A CSV file that is read, is read to the last bit, with every row, in its order; any other is refused",
    how="cells, rows, columns, quotes, line ends and bytes changed, plain, gzipped and zipped; compared with "
    "Python's own csv and float",
    share=2.0,
    faults=csv_faults,
)
PARQUET = Kind(
    name="parquet",
    promise="So is a Parquet file, whatever its types, pages and compression",
    how="types, rows, columns, layout and bytes changed; compared with pyarrow",
    share=2.0,
    faults=parquet_faults,
)

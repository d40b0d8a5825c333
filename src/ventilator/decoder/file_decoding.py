"""Decode a file of any size, chunk by chunk; a killed run can be resumed.

Finished chunks are kept as Parquet in a folder beside the output, named after the output and what they were made from:
the source's size, time of change and the decoder's version. A killed run goes on where it stopped; a changed source or
decoder starts anew. The output appears by one rename, then the folder is removed.
"""

import glob
import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import polars as pl

from ventilator.decoder.breaths import check_columns
from ventilator.decoder.decode import decode
from ventilator.decoder.kernels import CACHE

CHUNK_BREATHS: Final = 2000  # breaths between two saves: 10 to 20 s of work on 2 cores
SUFFIXES: Final = (".csv", ".parquet")
NUMBERS: Final = ("R", "C", "time_step", "u_in", "u_out")  # columns of the input
COLUMNS: Final = ["id", "pressure", "kind", "kp", "ki", "kt"]  # of the output, which is known by them


def decode_file(
    src: Path, dst: Path, *, progress: Callable[[int, int], None] | None = None, chunk_breaths: int = CHUNK_BREATHS
) -> pl.DataFrame:
    """Write the exact rows of `src` to `dst` and return them; see `decode` for the columns.

    Args:
        src: CSV or Parquet with the competition's columns; a breath's rows may lie anywhere.
        dst: .csv or .parquet; an older one is replaced, anything else is not.
        progress: called with breaths done and breaths in all.
        chunk_breaths: breaths between two saves.

    Raises:
        ValueError: a column is missing, or a file is empty, or neither CSV nor Parquet; `dst` holds something else.
        FileNotFoundError: there is no `src`.
    """
    check_suffix(dst)
    refuse_foreign(dst, COLUMNS, "output of the decoder")
    frame = read(src)
    parts = dst.parent / f".{dst.name}.{_fingerprint(src, chunk_breaths)}.parts"
    for stale in set(dst.parent.glob(f".{glob.escape(dst.name)}.*.parts")) - {parts}:
        shutil.rmtree(stale)
    parts.mkdir(parents=True, exist_ok=True)
    tables, done, total = [], 0, frame["breath_id"].n_unique()
    for number, chunk in enumerate(_chunks(frame, chunk_breaths)):
        tables.append(_decoded(chunk, parts / f"{number:06d}.parquet"))
        done = min(total, done + chunk_breaths)
        if progress is not None:
            progress(done, total)
    rows = pl.concat(tables) if tables else decode(frame)
    write_rows(rows, dst)
    shutil.rmtree(parts)
    return rows


def read(src: Path, more: Sequence[str] = ()) -> pl.DataFrame:
    """Read the file's columns that decoding needs, and `more` where there are such; u_in and time_step as they are.

    Raises:
        ValueError: a column or a value is missing, or the file is empty, or neither CSV nor Parquet.
        FileNotFoundError: there is no `src`.
    """
    if not src.exists():
        raise FileNotFoundError(f"There is no {src} to decode; give a CSV or Parquet file of the competition's shape.")
    check_suffix(src)
    table = pl.scan_csv(src, glob=False) if src.suffix == ".csv" else pl.scan_parquet(src, glob=False)
    try:
        names = table.collect_schema().names()
    except pl.exceptions.NoDataError as error:
        raise ValueError(f"{src} is empty: decoding needs a header and rows.") from error
    check_columns(names, str(src))
    columns = [name for name in ("id", "breath_id", *NUMBERS, *more) if name in names]
    frame = table.select(columns).collect()
    _refuse_gaps(src, frame)
    return frame


def _refuse_gaps(src: Path, frame: pl.DataFrame) -> None:
    """Refuse a row that lacks a value, as one does that has lost a comma: its breath would be left out unseen."""
    for name in [name for name in ("id", "breath_id", *NUMBERS) if name in frame.columns]:
        values = frame[name].cast(pl.Float64, strict=False) if name in NUMBERS else frame[name]
        if values.null_count():
            row = int(values.is_null().arg_max() or 0) + 1
            what = "a number" if name in NUMBERS else "a value"
            raise ValueError(f"{src}: every row needs {what} in {name}, but row {row} has none. Mend or complete it.")


def refuse_foreign(dst: Path, columns: Sequence[str], name: str) -> None:
    """Refuse to overwrite what is no older output, which the names of its columns say; name: what the output is."""
    if (dst.exists() or dst.is_symlink()) and not (dst.is_file() and _has_columns(dst, list(columns))):
        raise ValueError(
            f"{dst} is not overwritten, because it is there and is no {name}, whose columns are "
            f"{','.join(columns)}. Name another file, or move it away."
        )


def _has_columns(path: Path, columns: list[str]) -> bool:
    """Whether a file has these columns and no others, or is empty."""
    if path.suffix == ".csv":
        head = ",".join(columns).encode()
        with path.open("rb") as stream:
            return stream.read(len(head) + 1) in (b"", head + b"\n")
    try:
        return pl.scan_parquet(path, glob=False).collect_schema().names() == columns
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):  # no Parquet file, or a damaged one
        return path.stat().st_size == 0


def check_suffix(path: Path) -> None:
    """Raise ValueError where a path is neither CSV nor Parquet."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"Decoding reads and writes .csv and .parquet files; got {path}. Convert or rename it.")


def _fingerprint(src: Path, chunk_breaths: int) -> str:
    stat = src.stat()
    facts = f"{src.resolve()} {stat.st_size} {stat.st_mtime_ns} {chunk_breaths} {CACHE.name}"
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def _chunks(frame: pl.DataFrame, size: int) -> Iterator[pl.DataFrame]:
    """Yield whole breaths, `size` at a time, by breath_id; rows keep their order inside."""
    number = pl.col("breath_id").rank("dense").fill_null(1).cast(pl.Int64).sub(1) // size
    yield from (
        frame.with_columns(chunk=number)
        .sort("chunk", maintain_order=True)
        .partition_by("chunk", include_key=False, maintain_order=True)
    )


def _decoded(chunk: pl.DataFrame, part: Path) -> pl.DataFrame:
    if part.exists():
        return pl.read_parquet(part, glob=False)
    rows = decode(chunk)
    write_rows(rows, part)
    return rows


def write_rows(rows: pl.DataFrame, path: Path) -> None:
    """Write rows as CSV or Parquet, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    if path.suffix == ".csv":
        rows.write_csv(temporary)
    else:
        rows.write_parquet(temporary)
    temporary.replace(path)

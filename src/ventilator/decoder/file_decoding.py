"""Decode a file of any size, chunk by chunk; a killed run can be resumed.

Finished chunks are kept as Parquet in a folder beside the output, named after the output and what they were made from:
the source's size, time of change and the decoder's version. A killed run goes on where it stopped; a changed source or
decoder starts anew. The output appears by one rename, then the folder is removed. The source's rows lie there, too,
uncompressed, and are mapped into memory: that does not follow the size of the file.
"""

import glob
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from ventilator.decoder.file_reading import check_suffix, mapped
from ventilator.decoder.frame_decoding import decode
from ventilator.decoder.kernels import CACHE
from ventilator.decoder.records import Ints

CHUNK_BREATHS: Final = 1000  # breaths between two saves: 5 to 10 s of work for a core
COLUMNS: Final = ["id", "pressure", "kind", "kp", "ki", "kt"]  # of the output, which is known by them
Decoder = Callable[[Iterable[pl.DataFrame]], Iterator[tuple[int, pl.DataFrame]]]  # frames -> (place, exact rows)


def decode_file(
    src: Path,
    dst: Path,
    *,
    progress: Callable[[int, int], None] | None = None,
    chunk_breaths: int = CHUNK_BREATHS,
    begin: Callable[[int], AbstractContextManager[Decoder]] | None = None,
) -> pl.DataFrame:
    """Write the exact rows of `src` to `dst` and return them; see `decode` for the columns.

    Args:
        src: CSV or Parquet with the competition's columns; a breath's rows may lie anywhere.
        dst: .csv or .parquet; an older one is replaced, anything else is not.
        progress: called with breaths done and breaths in all.
        chunk_breaths: breaths between two saves.
        begin: called with the number of breaths; gives what decodes chunks (see `decode_parts`). None: this process.

    Raises:
        ValueError: a column is missing, or a file is empty, or neither CSV nor Parquet; `dst` holds something else.
        FileNotFoundError: there is no `src`.
    """
    check_suffix(dst)
    refuse_foreign(dst, COLUMNS, "output of the decoder")
    folder = dst.parent / f".{dst.name}.{_fingerprint(src, chunk_breaths)}.parts"
    for stale in set(dst.parent.glob(f".{glob.escape(dst.name)}.*.parts")) - {folder}:
        shutil.rmtree(stale)
    chunks = _Chunks(mapped(src, folder), chunk_breaths)

    def done(count: int) -> None:
        if progress is not None:
            progress(min(chunks.breaths, count * chunk_breaths), chunks.breaths)

    with begin(chunks.breaths) if begin else nullcontext(decode_in_turn) as decoder:
        parts = decode_parts(folder, len(chunks), chunks.read, done, decoder)
    rows = pl.read_parquet(parts, glob=False) if parts else decode(chunks.frame)
    write_rows(rows, dst)
    shutil.rmtree(folder)
    return rows


def decode_in_turn(frames: Iterable[pl.DataFrame]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Decode frames one after the other, each by threads on all cores; yield each one's place and exact rows."""
    for place, frame in enumerate(frames):
        yield place, decode(frame)


def decode_parts(
    folder: Path,
    count: int,
    read: Callable[[int], pl.DataFrame],
    progress: Callable[[int], None] = lambda done: None,
    decoder: Decoder = decode_in_turn,
) -> list[Path]:
    """Decode a frame in parts, each into a Parquet file of its own, unless a killed run has left that, whole.

    Args:
        folder: of the files, made if missing; each has the number of its part and a hash of its content as its name.
        count: number of the parts.
        read: returns the rows of a part, whole breaths.
        progress: called with the number of parts done so far.
        decoder: takes the rows of parts, and yields the places of these and their exact rows, in any order.

    Returns:
        The files, in the order of the parts.

    Raises:
        ValueError: a column is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = [_kept_part(folder, f"{number:06d}", ".parquet") for number in range(count)]
    missing = [number for number, path in enumerate(found) if path is None]
    if len(missing) < count:
        progress(count - len(missing))
    for done, (place, rows) in enumerate(decoder(map(read, missing)), count - len(missing) + 1):
        name = f"{missing[place]:06d}"
        found[missing[place]] = obtain_part(folder, name, ".parquet", partial(write_rows, rows))
        progress(done)
    whole = [path for path in found if path is not None]
    assert len(whole) == count, "a decoder answers for each part"
    return whole


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


def facts_of(path: Path) -> str:
    """Return what tells a file from another one, without reading it: where it lies, its size and time of change."""
    stat = path.stat()
    return f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns}"


def _fingerprint(src: Path, chunk_breaths: int) -> str:
    facts = f"{facts_of(src)} {chunk_breaths} {CACHE.name}"
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


class _Chunks:
    """Whole breaths of a frame, some at a time, by breath_id; rows keep their order inside."""

    def __init__(self, frame: pl.DataFrame, size: int) -> None:
        """Cut a frame into chunks of `size` breaths: chunk n has rows begins[n] .. begins[n + 1] - 1 in its order."""
        self.frame, ids = frame, frame["breath_id"]
        self.order: Ints | None = None
        if ids.is_sorted():  # as in the competition's files: rows need not be moved
            first = np.flatnonzero((ids != ids.shift()).fill_null(True).to_numpy())  # of each breath
            self.breaths, self.begins = len(first), np.append(first[::size], len(ids))
        else:
            number = ids.rank("dense").cast(pl.Int64).to_numpy() - 1
            self.breaths, chunk = int(number.max()) + 1, number // size
            self.begins = np.append(0, np.cumsum(np.bincount(chunk)))
            self.order = np.argsort(chunk, kind="stable")

    def __len__(self) -> int:
        return len(self.begins) - 1

    def read(self, number: int) -> pl.DataFrame:
        """Return the rows of a chunk."""
        rows = slice(int(self.begins[number]), int(self.begins[number + 1]))
        return self.frame[rows] if self.order is None else self.frame[self.order[rows]]


def obtain_part(folder: Path, name: str, suffix: str, write: Callable[[Path], None]) -> Path:
    """Make one of the files that a killed run goes on with, unless it is there, whole; return it.

    Args:
        folder: of the file.
        name: the first part of its name; a hash of its content is the second.
        suffix: of its name.
        write: writes it; it has its name when it has reached the disk.
    """
    if kept := _kept_part(folder, name, suffix):
        return kept
    draft = folder / f"{name}{suffix}"
    write(draft)
    with draft.open("rb") as stream:
        os.fsync(stream.fileno())
    path = folder / f"{name}-{_hash(draft)}{suffix}"
    draft.replace(path)
    return path


def _kept_part(folder: Path, name: str, suffix: str) -> Path | None:
    """Return the file of a part that a killed run has left, where it is whole."""
    there = (path for path in folder.glob(f"{name}-*{suffix}") if path.stem == f"{name}-{_hash(path)}")
    return next(there, None)


def _hash(path: Path) -> str:
    """Hash a file's content, 16 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def write_rows(rows: pl.DataFrame, path: Path) -> None:
    """Write rows as CSV or Parquet, complete or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    if path.suffix == ".csv":
        rows.write_csv(temporary)
    else:
        rows.write_parquet(temporary)
    temporary.replace(path)

"""Read the columns of a file that decoding needs, into memory or mapped, and refuse a file that lacks some."""

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final, cast

import polars as pl

from ventilator.decoder.breaths import check_columns
from ventilator.decoder.records import Floats

LOOKED_AT: Final = 10_000  # rows that are enough to judge how u_in was printed
DISK_FULL: Final = "os error 28"  # in the message of a reader or writer
SUFFIXES: Final = (".csv", ".parquet")
NUMBERS: Final = ("R", "C", "time_step", "u_in", "u_out")  # columns of the input


def read(src: Path, more: Sequence[str] = ()) -> pl.DataFrame:
    """Read the file's columns that decoding needs, and `more` where there are such; u_in and time_step as they are.

    Raises:
        ValueError: a column or a value is missing, or the file is empty, or neither CSV nor Parquet.
        FileNotFoundError: there is no `src`.
    """
    frame = _columns(src, more).collect()
    _refuse_gaps(src, frame)
    return frame


def _columns(src: Path, more: Sequence[str] = ()) -> pl.LazyFrame:
    """Scan the columns of a file that decoding needs, and `more`; errors are those of `read`, but for its values."""
    if not src.exists():
        raise FileNotFoundError(f"There is no {src} to decode; give a CSV or Parquet file of the competition's shape.")
    check_suffix(src)
    table = pl.scan_csv(src, glob=False) if src.suffix == ".csv" else pl.scan_parquet(src, glob=False)
    try:
        names = table.collect_schema().names()
    except pl.exceptions.NoDataError as error:
        raise ValueError(f"{src} is empty: decoding needs a header and rows.") from error
    check_columns(names, str(src))
    return table.select([name for name in ("id", "breath_id", *NUMBERS, *more) if name in names])


def mapped(src: Path, folder: Path) -> pl.DataFrame:
    """Return what `read` does without `more`, mapped from a file that it writes into a folder.

    The folder goes where the file is refused, unless it was there.

    polars reads such a file, where pyarrow, which maps it, is not there.
    """
    columns, begun = _columns(src), folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "rows.arrow"
    try:
        _write_rows(columns, src, path)
        if importlib.util.find_spec("pyarrow") is None:
            frame = pl.read_ipc(path)
        else:
            import pyarrow

            table = pyarrow.ipc.open_file(pyarrow.memory_map(str(path))).read_all()
            frame = cast(pl.DataFrame, pl.from_arrow(table, rechunk=False))  # else it would be copied into memory
        _refuse_gaps(src, frame)
    except Exception:
        if not begun:
            shutil.rmtree(folder)
        raise
    finally:
        path.unlink(missing_ok=True)  # the map stays as long as it is used; half of a file helps nobody
    return frame


def _write_rows(columns: pl.LazyFrame, src: Path, path: Path) -> None:
    """Write the columns of a file uncompressed.

    Raises:
        ValueError: it is damaged.
    """
    try:
        columns.sink_ipc(path, compression="uncompressed")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if DISK_FULL in str(error):
            raise
        why = str(error).strip().partition("\n")[0][:200]
        raise ValueError(f"{src} is damaged or cut short ({why}). Download or write it again.") from error


def first_inputs(src: Path) -> Floats:
    """Read the first values of u_in that are numbers; errors are those of `read`, but for values."""
    some = _columns(src).select("u_in").head(LOOKED_AT).collect()["u_in"]
    return some.cast(pl.Float64, strict=False).drop_nulls().to_numpy()


def _refuse_gaps(src: Path, frame: pl.DataFrame) -> None:
    """Refuse a row that lacks a value, as one does that has lost a comma: its breath would be left out unseen."""
    for name in [name for name in ("id", "breath_id", *NUMBERS) if name in frame.columns]:
        values = frame[name].cast(pl.Float64, strict=False) if name in NUMBERS else frame[name]
        if values.null_count():
            row = int(values.is_null().arg_max() or 0) + 1
            what = "a number" if name in NUMBERS else "a value"
            raise ValueError(f"{src}: every row needs {what} in {name}, but row {row} has none. Mend or complete it.")


def check_suffix(path: Path) -> None:
    """Raise ValueError where a path is neither CSV nor Parquet."""
    if path.suffix not in SUFFIXES:
        raise ValueError(f"Decoding reads and writes .csv and .parquet files; got {path}. Convert or rename it.")

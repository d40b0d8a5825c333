"""`decode`: read pressures of the ventilator competition back exactly from a file's inputs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from foldline.api.paths import path_of
from foldline.api.session import session
from foldline.core import own_files
from foldline.core.console import Terminal
from foldline.core.errors import UserError
from foldline.data import decoders
from foldline.data.packed_files import guarded


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """What `decode` returns."""

    rows: pl.DataFrame  # id, pressure, kind, kp, ki, kt: of the rows that can be proven
    kinds: pl.DataFrame  # kind, rows: most first
    path: Path  # the file that was written
    warnings: tuple[str, ...] = ()  # sentences, printed or not


def decode(source: str | os.PathLike[str], out: str | os.PathLike[str], *, quiet: bool = False) -> Decoded:
    """Write the rows of a file whose pressure can be proven from its inputs.

    Args:
        source: a CSV or Parquet file of the ventilator competition's shape, with or without pressures.
        out: the CSV file to write: id, pressure, kind, kp, ki, kt.
        quiet: print nothing.

    Raises:
        foldline.Error: the file is not of that shape, or `out` holds something else, or another call is writing it.
    """
    with session("decode", quiet=quiet) as notes:
        target = path_of(out, "out")
        rows, kinds = carry_out(path_of(source, "source"), target, notes)
        return Decoded(rows=rows, kinds=kinds, path=target, warnings=notes.warnings)


def carry_out(source: Path, out: Path, terminal: Terminal) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decode a file, write and return the rows, and how many there are of each kind."""
    from ventilator.decoder.digits import lost_digits
    from ventilator.decoder.file_decoding import decode_file
    from ventilator.decoder.file_reading import first_inputs

    with terminal.bar("decoding (the first run on a machine compiles for 10 to 20 s)", "breaths") as update:
        try:
            if lost := lost_digits(_guarded(first_inputs, source)):
                terminal.warn(f"{source}: {lost}; exact decoding needs the printed digits, so less can be proven.")
            with own_files.being_written(out):
                rows = decode_file(source, out, progress=update, begin=decoders.for_file)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error
    # Most rows first; by name among equals, whose order value_counts leaves to chance.
    kinds = rows["kind"].value_counts(name="rows").sort("rows", "kind", descending=[True, False])
    terminal.table("", ["kind", "rows"], [[kind, str(count)] for kind, count in kinds.iter_rows()])
    return rows, kinds


def inputs(source: Path) -> np.ndarray:
    """Read u_in, where it is a number.

    Raises:
        UserError: the file is damaged, or not of the competition's shape.
    """
    from ventilator.decoder.file_reading import read

    def read_inputs(path: Path) -> np.ndarray:
        return read(path)["u_in"].cast(pl.Float64, strict=False).drop_nulls().to_numpy()

    return _guarded(read_inputs, source)


def _guarded(reader: Callable[[Path], np.ndarray], source: Path) -> np.ndarray:
    """Read a file; errors are those of `inputs`."""
    with guarded(source):
        try:
            return reader(source)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error

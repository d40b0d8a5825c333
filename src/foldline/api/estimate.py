"""`estimate`: exact pressures of the ventilator competition where provable, estimates with their sd elsewhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from foldline.api.decode import inputs
from foldline.api.paths import path_of
from foldline.api.session import session
from foldline.core import own_files
from foldline.core.console import Terminal
from foldline.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """What `estimate` returns."""

    rows: pl.DataFrame  # id, pressure, sd (cmH2O), kind: of all rows of inspiration, in the file's order
    kinds: pl.DataFrame  # kind, rows: most first
    path: Path  # the file that was written
    warnings: tuple[str, ...] = ()  # sentences, printed or not


def estimate(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | None = None,
    quiet: bool = False,
) -> Estimated:
    """Write exact pressures where they can be proven from a file's inputs, and estimates with their sd elsewhere.

    Args:
        source: a CSV or Parquet file of the ventilator competition's shape, with or without pressures.
        out: the CSV or Parquet file to write: id, pressure, sd, kind. A call that was killed is gone on with.
        labels: a file with pressures, to which lungs are fitted; None: those that come with foldline.
        quiet: print nothing.

    Raises:
        foldline.Error: a file is not of that shape, or `out` holds something else, or another call is writing it.
    """
    with session("estimate", quiet=quiet) as notes:
        target, fitted = path_of(out, "out"), None if labels is None else path_of(labels, "labels")
        rows, kinds = carry_out(path_of(source, "source"), target, fitted, notes)
        return Estimated(rows=rows, kinds=kinds, path=target, warnings=notes.warnings)


def carry_out(source: Path, out: Path, labels: Path | None, terminal: Terminal) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Estimate a file, write and return the rows, and how many there are of each kind."""
    from ventilator.decoder.digits import lost_digits
    from ventilator.estimation import file_estimation

    if lost := lost_digits(inputs(source)):
        terminal.warn(f"{source}: {lost}; exact decoding needs the printed digits, so less can be proven.")
    if labels is not None:
        if not labels.exists():
            raise UserError(f"labels: there is no {labels}. Give a file with pressures, or leave it out: labels=FILE")
        inputs(labels)
    with terminal.bar("estimating (the first run on a machine compiles for 10 to 20 s)", "breaths") as update:
        try:
            with own_files.being_written(out):
                rows = file_estimation.estimate_file(source, out, labels=labels, progress=update)
        except (ValueError, FileNotFoundError) as error:
            raise UserError(str(error)) from error
    # Most rows first; by name among equals, whose order a group leaves to chance.
    kinds = rows["kind"].value_counts(name="rows").sort("rows", "kind", descending=[True, False])
    terminal.table("", ["kind", "rows"], [[kind, str(count)] for kind, count in kinds.iter_rows()])
    return rows, kinds

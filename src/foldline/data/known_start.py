"""The known start: with data.observed = n the targets of each series' first n steps are given, in test tables too.

With data.observed = "column" n is that column's value, for each series its own; so it is in the windows of a forecast
(forecast.py). Then a step of the start may lack its target.

Whether a target is given is a boolean for each (row, target), the mask `known`: of the store (data/store.py), of
labelled series and of batches. A known start is one way to fill it in a test table; pseudo-labels are another
(fit/pseudo_labels.py). In a training table all targets are known. Networks get the known start as input features
(models/ops/known_target.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data.roles import DataConfig
from foldline.data.table import Table


def check(path: Path, columns: Sequence[str], data: DataConfig) -> None:
    """Refuse a test table without the target's columns.

    path: for messages. columns: of the table.

    Raises:
        UserError
    """
    missing = [name for name in data.target if name not in columns]
    if missing:
        raise UserError(
            f"{path}: data.observed = {data.observed!r} says that the target is known at the first steps "
            f"of test series too, but there is no column {missing[0]!r}. Add it, empty after these steps, or set "
            "data.observed = 0."
        )


def read_from(table: Table) -> Table:
    """Turn the target columns of a test table into its known start; values behind that start are dropped.

    Raises:
        UserError: a value of the start is missing.
    """
    data, frame = table.data, table.frame
    target = frame.select(data.target).to_numpy()
    odd = np.isinf(target) if data.known_column else ~np.isfinite(target)
    bad = table.observed & odd.any(axis=1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"{table.path}: with data.observed = {data.observed!r} the target must be a finite value at the first "
            f"{table.known_steps.max()} steps of each series, but is not at {data.id} {frame[data.id][row]}; "
            f"{int(bad.sum())} such rows. Fill them, or set data.observed to the steps that are known."
        )
    return replace(table, frame=frame.drop(data.target), start=np.where(table.observed[:, None], target, 0.0))


def check_counts(table: Table) -> None:
    """Refuse numbers of known steps that are no whole numbers from 0 on, or change inside a series.

    Raises:
        UserError
    """
    name = table.data.known_column
    if not name or name not in table.frame.columns:
        return
    counts = table.frame[name].to_numpy()
    bad = (counts < 0) | (counts != np.floor(counts)) | (counts != np.repeat(table.known_steps, table.lengths))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"{table.path}: {name!r}, which data.observed names, must be a whole number of steps, from 0 on and the "
            f"same in all rows of a series, but is {counts[row]:g} in {table.data.key} "
            f"{table.frame[table.data.key][row]}; {int(bad.sum())} such rows. Mend it."
        )


def shown(frame: pl.DataFrame, data: DataConfig, start: np.ndarray) -> pl.DataFrame:
    """Return a test table's frame with its target columns, as the file had them: null behind the known start.

    start: (rows, K), of `Table.start`.
    """
    known = pl.int_range(pl.len()).over(data.key) < (pl.col(data.known_column) if data.known_column else data.observed)
    targets = [pl.Series(name, values) for name, values in zip(data.target, start.T, strict=True)]
    return frame.with_columns(pl.when(known).then(target).alias(target.name) for target in targets)


def reveal(folder: Path, data: DataConfig) -> None:
    """Write the known start into a simulated test.csv, and remove the files with the other targets."""
    # Read as text: every number keeps its digits.
    test, truth = (pl.read_csv(folder / f"{stem}.csv", infer_schema=False, glob=False) for stem in ("test", "truth"))
    start = pl.int_range(pl.len()).over(data.key) < data.observed
    whole = test.join(truth, on=data.id, how="left", maintain_order="left")
    whole.with_columns(pl.when(start).then(pl.col(name)) for name in data.target).write_csv(folder / "test.csv")
    for stem in ("truth", "hidden"):
        (folder / f"{stem}.csv").unlink()

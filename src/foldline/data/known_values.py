"""Known values: with data.known the target is given at some steps of test series, anywhere, and wanted elsewhere.

A sensor that is read now and then, a well log up to some depth: test has a column with the target where it is known and
nothing elsewhere. Such steps are not scored, and models see them (fit/network_values.py, fit/boosting_cell.py). Where
the training table has that column, too, it says what passes for known there. Else each training series gets the mask of
a test series, drawn once: out-of-fold scores then count what test leaves open. While a network learns, masks are drawn
anew in each epoch (fit/known_masks.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError
from foldline.data.known_masks import KnownMasks
from foldline.data.roles import DataConfig
from foldline.data.table import Table

SEED = 0  # of the masks that stay: scores of two configs count the same steps


def check(path: Path, columns: Sequence[str], data: DataConfig) -> None:
    """Refuse a test table without the columns of data.known.

    path: for messages. columns: of the table.

    Raises:
        UserError
    """
    missing = [name for name in data.known if name not in columns]
    if missing:
        raise UserError(
            f"{path}: data.known = {list(data.known)} says where the target is known, but there is no column "
            f"{missing[0]!r}. Add it, empty where the target is wanted, or leave data.known out."
        )


def read_from(table: Table, labelled: bool) -> Table:
    """Take the columns of data.known out of a table: which rows are known, and of a test table their values.

    labelled: whether it is a training table.

    Raises:
        UserError: a value is infinite; a row has some of several targets; no row is left to be predicted.
    """
    data, frame = table.data, table.frame
    values = frame.select(pl.col(name).cast(pl.Float64).fill_null(float("nan")) for name in data.known).to_numpy()
    given = ~np.isnan(values)
    for bad, rule in (
        (np.isinf(values).any(axis=1), "hold finite numbers"),
        (given.any(axis=1) & ~given.all(axis=1), "have a value for all targets, or for none, in each row"),
    ):
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise UserError(
                f"{table.path}: {', '.join(data.known)}, which data.known names, must {rule}, but not so in "
                f"{table.named(row)}; {int(bad.sum())} such rows. Mend them, or empty them: the target is then wanted."
            )
    rows = given.all(axis=1)
    frame = frame.drop(data.known)
    if labelled:
        return replace(table, frame=frame, given=rows & ~np.isnan(table.y).any(axis=1))
    return replace(table, frame=frame, given=rows, start=np.where(rows[:, None], values, 0.0))


def of_training(table: Table, test: Table) -> Table:
    """Give a training table its known rows, drawn like those of test series unless its own file says them.

    Raises:
        UserError: nothing is known in the test table.
    """
    data = table.data
    if not data.known:
        return table
    assert test.given is not None, "a test table of this [data] has known rows"
    if not test.given.any():
        raise UserError(
            f"{test.path}: data.known names {', '.join(data.known)}, but no row has a value there, so that nothing "
            "says how much of a series is known. Take a test table with some, or leave data.known out."
        )
    masks = KnownMasks(test.given, test.lengths)
    drawn = table.given
    if drawn is None:
        drawn = masks.drawn(table.lengths, np.random.default_rng(SEED)) & ~np.isnan(table.y).any(axis=1)
    return replace(table, given=drawn, masks=masks)


def written(frame: pl.DataFrame, data: DataConfig, given: np.ndarray, values: np.ndarray) -> pl.DataFrame:
    """Return a table's frame with the columns of data.known, as a file has them.

    Args:
        given: (rows,) bool.
        values: (rows, K) targets.
    """
    rows = pl.lit(pl.Series(given))
    columns = [pl.Series(name, column) for name, column in zip(data.known, values.T, strict=True)]
    return frame.with_columns(pl.when(rows).then(column).alias(column.name) for column in columns)

"""The rows of a fold file, (key, fold), checked against a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import identity, window_cuts
from foldline.data.fold_assignment import FoldsConfig
from foldline.data.table import Table


def plain(path: Path, config: FoldsConfig, table: Table, way_out: str) -> pl.DataFrame:
    """Read a CSV of key and fold that is not foldline's: (key, fold) texts in their normal form.

    Where series are cut into windows it may have a row for each whole series: its windows are in that fold.

    Raises:
        UserError: it is none, or its folds are not those of folds.k.
    """
    key = table.data.key
    try:
        saved = pl.read_csv(path, infer_schema=False, glob=False)
    except pl.exceptions.PolarsError as error:
        raise UserError(f"{path} is no fold file: {str(error).splitlines()[0]}. {way_out}") from error
    if sorted(saved.columns) != sorted([key, "fold"]):
        raise UserError(f"{path} must have the columns {key},fold, but has {shortened(saved.columns)}. {way_out}")
    saved = saved.select(identity.texts(saved[key]).alias(key), identity.texts(saved["fold"]).alias("fold"))
    found, wanted = set(saved["fold"].to_list()), {str(number) for number in range(config.k)}
    if found - {"-1"} != wanted:
        odd = shortened(sorted(map(str, found)))
        raise UserError(
            f"{path} must have the folds 0 to {config.k - 1}, because folds.k is {config.k}, but has {odd}. Set "
            "folds.k to the number of its folds, and count them from 0; -1 is for what none holds out."
        )
    return _of_windows(saved, table) if table.data.level == "window" else saved


def _of_windows(saved: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Return a row for each window where a file has one for each series; such without a window may be there, too."""
    key, names = table.data.key, texts(table.keys)
    series = window_cuts.series_of(names).alias(key)
    if not series.is_in(saved[key].implode()).all():
        return saved
    folds = pl.DataFrame([series]).join(saved, on=key, how="left", maintain_order="left")["fold"]
    return pl.DataFrame([names.alias(key), folds])


def unit_column(table: Table) -> str:
    """Name the column of what folds hold together, which a file has where folds.similar found any; never the key's."""
    return f"unit of {table.data.key}"


def without_units(saved: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, np.ndarray | None]:
    """Return the rows without that column, and its numbers in the table's order, (N,) int64; None: it is not there."""
    key, name = table.data.key, unit_column(table)
    if name not in saved.columns or key not in saved.columns:
        return saved, None
    keys = pl.DataFrame({key: texts(table.keys)})
    units = keys.join(saved, on=key, how="left", maintain_order="left")[name].cast(pl.Int64, strict=False)
    return saved.drop(name), units.fill_null(-1).to_numpy()


def check_series(path: Path, saved: pl.DataFrame, table: Table, way_out: str) -> None:
    """Refuse rows that are not those of just the table's series, once each.

    Raises:
        UserError
    """
    key = table.data.key
    if saved.columns != [key, "fold"]:
        raise UserError(f"{path} must have the columns {key},fold, but has {shortened(saved.columns)}. {way_out}")
    there, here = set(saved[key].to_list()), set(texts(table.keys))
    if there != here:
        odd = min(there ^ here, key=str)  # None: an empty cell
        raise UserError(
            f"{path} was made for other data: {len(here - there)} series of {table.path} are not in it, and "
            f"{len(there - here)} of its series are not there (first: {key} {odd}). {way_out}"
        )
    twice = saved.filter(pl.col(key).is_duplicated())
    if twice.height:
        raise UserError(
            f"{path}: {key} {twice[key][0]} is in folds {twice['fold'][0]} and {twice['fold'][1]}. {way_out}"
        )


def refuse_split_groups(path: Path, assignment: np.ndarray, table: Table, way_out: str) -> None:
    """Refuse folds that hold series of one group, or windows of one series, in several folds.

    Raises:
        UserError
    """
    column = table.data.group_column
    if not column:
        return
    pairs = pl.DataFrame({"group": table.groups, "fold": assignment}).unique(maintain_order=True)
    twice = pairs.filter(pl.col("group").is_duplicated())
    if twice.height:
        name = table.frame[column][int(table.starts[np.flatnonzero(table.groups == twice["group"][0])[0]])]
        raise UserError(
            f"{path}: {table.data.group or table.data.key} {name} is in folds {twice['fold'][0]} and "
            f"{twice['fold'][1]}. {way_out}"
        )


def texts(keys: pl.Series) -> pl.Series:
    """Return keys as texts, as a fold file has them: 1 and '1' are the same there."""
    return keys.cast(pl.String)

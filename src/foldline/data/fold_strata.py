"""Strata: what folds get the same share of, a text for each series."""

from __future__ import annotations

import numpy as np
import polars as pl

from foldline.core.errors import UserError, shortened
from foldline.data import group_means
from foldline.data.table import Table
from foldline.data.task import WITH_LABELS

BINS = 10  # strata of a target that is a number
NUMBERS = ("regression", "distribution")  # kinds whose target columns hold numbers


def strata_of(names: tuple[str, ...], table: Table) -> list[str]:
    """Join the values of the strata's columns to one text per series.

    names: static columns and targets; none: the label of a series where that is the target, else all static columns.

    Raises:
        UserError: one of them is neither a static column nor a target.
    """
    if table.task.on_series and table.data.kind in WITH_LABELS and not names:
        return table.answers[table.data.target[0]].cast(pl.String).fill_null("").to_list()
    names = names or table.categories
    for name in names:
        if name not in (*table.data.static, *table.data.target):
            raise UserError(
                f"folds.strata must name static columns or targets, but has {name!r}; "
                f"static columns: {shortened(table.data.static) or 'none'}."
            )
    if not names:
        return [""] * len(table.keys)
    first = table.frame[table.starts]
    columns = [_of_target(table, name) if name in table.data.target else _of_static(first[name]) for name in names]
    return pl.DataFrame(columns).select(pl.concat_str(pl.all(), separator="|")).to_series().to_list()


def _of_static(column: pl.Series) -> pl.Series:
    """Return each series' value; a missing one is a value of its own."""
    return column.cast(pl.String).fill_null("") if column.null_count() else column


def _of_target(table: Table, name: str) -> pl.Series:
    """Return each series' most frequent label, or the tenth that its mean lies in, (N,); of scored answers alone."""
    series = np.repeat(np.arange(len(table.lengths)), table.answers_of_series)
    answers = pl.DataFrame({"series": series, "answer": table.answers[name]}).filter(table.scored).drop_nulls()
    if table.data.kind in NUMBERS:
        place = (BINS * (pl.col("answer").rank("min") - 1) / pl.len()).floor().cast(pl.Int64)
        found = group_means.of(answers, "series").with_columns(answer=place)
    else:  # of equally frequent ones the first by name
        counted = answers.group_by("series", "answer", maintain_order=True).len()
        ordered = counted.sort("series", "len", "answer", descending=[False, True, False])
        found = ordered.unique("series", keep="first", maintain_order=True).select("series", "answer")
    every = pl.DataFrame({"series": np.arange(len(table.lengths))})
    texts = every.join(found, on="series", how="left", maintain_order="left")["answer"].cast(pl.String)
    return texts.fill_null("").alias(name)

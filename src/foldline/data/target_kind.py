"""What kind of target some columns hold, by their values and the sample submission's columns (see inspection.py)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

FEW_CLASSES = 30  # different whole numbers at most that may be classes
SHOWN = 6  # values that a sentence lists
SUM_SLACK = 1e-3  # by which printed shares may differ from sum one


@dataclass(frozen=True)
class TargetKind:
    """A kind of data.kind, the evidence for it, and what is left open."""

    kind: str
    why: str
    classes: tuple[str, ...] = ()  # for data.classes, where the order of the labels matters
    unclear: tuple[str, ...] = ()  # sentences


def of(targets: pl.DataFrame, sample: pl.DataFrame | None) -> TargetKind:
    """Find the kind of one target column, or of several together. sample: the sample submission, if there is one."""
    if targets.width > 1:
        return _of_several(targets)
    column = targets.to_series().drop_nulls()
    if column.dtype == pl.Boolean or column.n_unique() == 2:
        return _of_two(column)
    if sample is not None and names_classes(column, sample):
        return TargetKind("multiclass", "the sample submission has a column for each label")
    return _of_texts(column) if column.dtype in (pl.String, pl.Categorical) else _of_numbers(column)


def names_classes(column: pl.Series, sample: pl.DataFrame) -> bool:
    """Return whether a sample submission has a column for each value of a column, called like it, or Status_C of C."""
    values = column.unique().sort().drop_nulls().cast(pl.String).to_list()
    if not 2 <= len(values) <= len(sample.columns):
        return False
    return all(any(name == value or name.endswith(f"_{value}") for name in sample.columns) for value in values)


def values_of(column: pl.Series) -> str:
    """List a column's first few values, in order."""
    values = column.unique().sort().to_list()
    return ", ".join(map(str, values[:SHOWN])) + (", ..." if len(values) > SHOWN else "")


def _of_two(column: pl.Series) -> TargetKind:
    if column.dtype != pl.String:
        return TargetKind("binary", values_of(column))
    classes = tuple(column.unique().sort().to_list())
    question = f"A prediction is taken as the probability of {classes[1]!r}: swap data.classes if it is the other's."
    return TargetKind("binary", values_of(column), classes, (question,))


def _of_texts(column: pl.Series) -> TargetKind:
    question = f"Are the labels of {column.name} in an order (kind = ordinal, with data.classes from low to high)?"
    return TargetKind("multiclass", f"{column.n_unique():,} texts: {values_of(column)}", (), (question,))


def _of_numbers(column: pl.Series) -> TargetKind:
    if not column.dtype.is_integer() or column.n_unique() > FEW_CLASSES:
        return TargetKind("regression", f"numbers from {column.min()!s} to {column.max()!s}")
    question = (
        f"{column.name} holds few whole numbers: classes, as written here, or grades (kind = ordinal), or numbers "
        "(kind = regression)?"
    )
    return TargetKind("multiclass", f"{column.n_unique():,} whole numbers: {values_of(column)}", (), (question,))


def _of_several(frame: pl.DataFrame) -> TargetKind:
    numbers = all(column.dtype.is_numeric() or column.dtype == pl.Boolean for column in frame)
    values = frame.cast(pl.Float64).to_numpy() if numbers else np.empty((0, 1))
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return TargetKind("regression", "nothing that says more")
    if np.isin(values, (0.0, 1.0)).all():
        return TargetKind("multilabel", f"{frame.width} columns of 0 and 1")
    if (values >= 0).all() and np.allclose(values.sum(axis=1), 1.0, atol=SUM_SLACK):
        return TargetKind("distribution", f"{frame.width} columns of shares that sum to one")
    why, questions = f"{frame.width} columns of numbers", tuple[str, ...]()
    if all(column.dtype.is_integer() for column in frame) and (values >= 0).all():
        questions = (
            f"{', '.join(frame.columns)} hold whole numbers, none below 0: numbers, as written here, or votes for one "
            "of them (kind = distribution)?",
        )
    return TargetKind("regression", why, (), questions)

"""The base class of families that say one thing about a whole series, on each of its rows.

A subclass lists statistics: a name, the columns it reads, and a numpy function that maps their rows to one number a
series. `SeriesFamily` makes polars expressions of them, one for each statistic and window: `mean(x)@all` is over the
whole series, `mean(x)@last10` over its last 10 steps, or all of them where it has fewer.

A statistic is 0.0 where it is not defined (the slope of one step, the correlation of a constant): for finite inputs
every value is finite. Steps at which one of its columns is missing (NaN) are left out, as if the series had been
shorter; where none is left, it is NaN. A series' value has the same bits whatever other series are in the frame,
because sums are taken series by series (`np.add.reduceat`, or along the rows of a block), and never by a matrix
product.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from foldline.features.family import STEP, Columns, Family, check_names

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """The rows of S series in one window, one series after the other: R rows in all. A series has one row at least."""

    lengths: Counts  # (S,) rows of each

    @cached_property
    def starts(self) -> Counts:
        """Return the place of each series' first row (S,)."""
        return np.asarray(np.cumsum(self.lengths) - self.lengths)

    @cached_property
    def step(self) -> Counts:
        """Return each row's place in its series' window (R,), from 0."""
        return np.asarray(np.arange(int(self.lengths.sum())) - self.spread(self.starts))

    @property
    def inner(self) -> Flags:
        """Return which rows have a row before them in their series (R,)."""
        return self.step > 0

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """Repeat a value of each series (S,) on its rows (R,)."""
        return np.asarray(np.repeat(values, self.lengths))

    def first(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the value at each series' first row: (R,) to (S,)."""
        return values[self.starts]

    def last(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the value at each series' last row: (R,) to (S,)."""
        return np.asarray(values[self.starts + self.lengths - 1])

    def sum(self, values: NDArray[Any]) -> Array:
        """Sum the values of each series: (R,) to (S,)."""
        return np.add.reduceat(values, self.starts, dtype=np.float64)

    def min(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the smallest value of each series: (R,) to (S,)."""
        return np.minimum.reduceat(values, self.starts)

    def max(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return the largest value of each series: (R,) to (S,)."""
        return np.maximum.reduceat(values, self.starts)

    def mean(self, values: Array) -> Array:
        """Return the mean of each series: (R,) to (S,); of a constant series exactly its value."""
        first = self.first(values)
        return first + self.sum(values - self.spread(first)) / self.lengths

    def centred(self, values: Array) -> Array:
        """Subtract each series' mean (R,); of a constant series every value is exactly 0."""
        return np.asarray(values - self.spread(self.mean(values)))

    def changes(self, values: Array) -> Array:
        """Return the difference to the row before (R,); 0.0 at the first row of a series."""
        return np.where(self.inner, np.diff(values, prepend=0.0), 0.0)

    def blocks(self, values: Array) -> Iterator[tuple[Flags, Array]]:
        """Yield series of one length at a time: which they are (S,), and their values (n, length), row by row."""
        for length in np.unique(self.lengths):
            chosen = self.lengths == length
            yield chosen, values[self.starts[chosen, None] + np.arange(length)]


class Statistic(NamedTuple):
    """A number about a series: `of` maps rows and the columns' values (R,), as Float64, to a value a series (S,)."""

    name: str
    columns: tuple[str, ...]
    of: Callable[..., NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class SeriesFamily(Family):
    """A family of statistics, each over the windows in `last`."""

    inputs: tuple[str, ...] = ()  # empty: all inputs
    last: tuple[int, ...] = ()  # windows: the last so many steps; 0 is the whole series; empty: the whole series alone

    def __post_init__(self) -> None:
        kind = type(self).__name__.lower()
        check_names(f"{kind}.inputs", self.inputs)
        whole = isinstance(self.last, tuple) and all(type(steps) is int and steps >= 0 for steps in self.last)
        if not (whole and len(set(self.last)) == len(self.last)):
            raise ValueError(
                f"{kind}.last must be a list of different whole numbers of steps >= 0 (0: the whole series), "
                f"but got {self.last!r}."
            )

    @property
    def lookahead(self) -> bool:
        return True

    @abstractmethod
    def statistics(self, columns: Columns) -> list[Statistic]:
        """List the statistics, in the order of the features."""

    def expressions(self, columns: Columns) -> list[pl.Expr]:
        return [
            over_series(statistic, steps).alias(f"{statistic.name}@{f'last{steps}' if steps else 'all'}")
            for steps in self.last or (0,)
            for statistic in self.statistics(columns)
        ]

    def chosen(self, columns: Columns) -> tuple[str, ...]:
        """Return the inputs of the family, each checked to be one; all of them where none is named."""
        return columns.chosen(self.inputs or columns.inputs)


def over_series(statistic: Statistic, last: int = 0) -> pl.Expr:
    """Return a statistic over the last so many steps of the series (0: all of them), on each of its rows."""

    def of(arrived: Sequence[pl.Series]) -> pl.Series:
        *values, step = (series.to_numpy() for series in arrived)
        if not len(step):
            return pl.Series(dtype=pl.Float64)
        lengths = np.diff(np.flatnonzero(step == 0), append=len(step))
        rows = Rows(lengths)
        if last:
            inside = rows.step >= rows.spread(lengths - last)
            values, rows = [column[inside] for column in values], Rows(np.minimum(lengths, last))
        return pl.Series(np.repeat(_of_known(statistic, rows, values), lengths))

    columns = [pl.col(name).cast(pl.Float64) for name in statistic.columns]
    return pl.map_batches([*columns, pl.col(STEP)], of, return_dtype=pl.Float64)


def _of_known(statistic: Statistic, rows: Rows, values: list[Array]) -> Array:
    """Return a statistic of each series' steps at which all columns are known, (S,); NaN where there are none."""
    found = np.full(len(rows.lengths), np.nan)
    known = ~np.any([np.isnan(column) for column in values], axis=0)
    some = np.ones(len(found), dtype=bool)
    if not known.all():
        counts = rows.sum(known).astype(np.int64)
        some = counts > 0
        values, rows = [column[known] for column in values], Rows(counts[some])
    if some.any():
        with np.errstate(over="ignore", invalid="ignore"):  # infinite inputs: the store refuses what comes of them
            found[some] = statistic.of(rows, *values)
    return found


def ratio(top: Array, bottom: Array) -> Array:
    """Divide element by element; 0.0 where the divisor is 0."""
    return np.divide(top, bottom, out=np.zeros(len(top)), where=bottom != 0.0)

"""What the training table says of its columns, and every other table follows: kept in the record for `infer`.

Which inputs have missing values (a network then gets a channel that says where), and what is subtracted before float32,
in which features are stored: it keeps 24 bits, so that times in epoch milliseconds, or an input of 1e9 that moves by 1,
would come out constant. Times then count from the start of their own series; of an input a round number is subtracted,
so coarse that it says nothing about single series. Columns that float32 holds stay as they are.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from foldline.core.distinct import distinct
from foldline.data.roles import DataConfig

SAMPLE = 1 << 20  # rows that are looked at, at most
GOLDEN = (5**0.5 - 1) / 2  # multiples of it, less their whole part, fill 0 to 1 evenly and in no period
MOST_CODES = 20  # different numbers of a static column that are taken for the codes of categories
ROUNDED = 1e-3  # share of a column's usual change by which float32 may round its values
BETTER = 0.25  # of that rounding must be left at most, else nothing is subtracted
COARSE = 100  # an offset is rounded to so many times the range of the column, or more


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """Facts of a training table; those of a complete one of small numbers are the defaults."""

    missing: tuple[str, ...] = ()  # inputs, and static columns of numbers, with a missing value; all of data.channels
    offsets: dict[str, float] = field(default_factory=dict)  # input -> what is subtracted before its features
    numbers: tuple[str, ...] = ()  # static columns that are numbers, not categories
    from_start: bool = False  # whether features see times since the start of their series
    most_known: int = 0  # steps at the start of a series whose target is known, where that differs by series

    @staticmethod
    def of(data: DataConfig, frame: pl.DataFrame, lengths: np.ndarray) -> ColumnFacts:
        """Look at a training table. frame: its series one after the other, of `lengths` (N,) rows."""
        inner = np.ones(frame.height, dtype=bool)  # rows with one before them in their series
        inner[np.cumsum(lengths) - lengths] = False
        numbers = tuple(name for name in data.static if _is_number(frame[name], name, data))
        columns = {name: frame[name].to_numpy() for name in data.numeric_inputs}
        offsets = {name: _offset(values, inner) for name, values in columns.items()}
        starts = np.flatnonzero(~inner)  # a static column has one value a series
        columns |= {name: frame[name].cast(pl.Float64).gather(starts).to_numpy() for name in numbers}
        offsets |= {name: _offset(columns[name], np.zeros(len(starts), dtype=bool)) for name in numbers}
        may_lack = {name for of_channel in data.channels.values() for name in of_channel}
        return ColumnFacts(
            missing=tuple(name for name, values in columns.items() if name in may_lack or np.isnan(values).any()),
            numbers=numbers,
            offsets={name: offset for name, offset in offsets.items() if offset},
            from_start=_is_better_from_start(frame[data.order].to_numpy(), lengths, inner),
        )

    def for_features(self, frame: pl.DataFrame, data: DataConfig, lengths: np.ndarray) -> pl.DataFrame:
        """Return a table's frame as features see it. lengths: (N,) rows of each series."""
        columns = [frame[name] - offset for name, offset in self.offsets.items()]
        if self.from_start:
            columns.append(pl.Series(data.order, _since_start(frame[data.order].to_numpy(), lengths)))
        return frame.with_columns(columns) if columns else frame

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads; empty for the defaults, so that older records and keys stay as they are."""
        found = {} if self == COMPLETE else asdict(self)
        return found if self.most_known else {name: value for name, value in found.items() if name != "most_known"}

    @staticmethod
    def from_json(value: dict[str, Any]) -> ColumnFacts:
        """Read what `to_json` returned."""
        fields: dict[str, Any] = {n: tuple(each) if isinstance(each, list) else each for n, each in value.items()}
        return ColumnFacts(**fields)


COMPLETE = ColumnFacts()  # of a complete table of small numbers


def _is_number(column: pl.Series, name: str, data: DataConfig) -> bool:
    """Return whether a static column is a number: by [data], else where it has more than MOST_CODES numeric values."""
    if name in data.static_numeric or name in data.categorical:
        return name in data.static_numeric
    return column.dtype.is_numeric() and column.n_unique() > MOST_CODES


def _offset(values: np.ndarray, inner: np.ndarray) -> float:
    """Return a round number to subtract from an input, (rows,) float64; 0.0 where float32 holds it, or none helps."""
    rows = _sample(len(values))
    known = values[rows][np.isfinite(values[rows])]
    if not len(known):
        return 0.0
    low, center, high = np.quantile(known, [0.1, 0.5, 0.9])
    spread = high - low if high > low else known.std()
    change = _usual_change(values, rows[inner[rows]]) or spread
    lost = _rounding(known)
    if not lost > ROUNDED * change > 0:
        return 0.0
    unit = 10.0 ** np.ceil(np.log10(COARSE * max(spread, change)))
    offset = float(np.round(center / unit) * unit)
    return offset if np.isfinite(offset) and _rounding(known - offset) <= BETTER * lost else 0.0


@functools.lru_cache(maxsize=1)  # of one table: each column asks for the same
def _sample(count: int) -> np.ndarray:
    """Return at most SAMPLE of `count` rows, (rows,) int64, spread evenly.

    Not every n-th: series of n rows would show their first steps only.
    """
    if count <= SAMPLE:
        return np.arange(count)
    return distinct((np.arange(SAMPLE) * GOLDEN % 1.0 * count).astype(np.int64))


def _is_better_from_start(times: np.ndarray, lengths: np.ndarray, inner: np.ndarray) -> bool:
    """Return whether float32 loses the steps of times, (rows,) float64, and does not from the series' starts on."""
    rows = _sample(len(times))
    lost, change = _rounding(times[rows]), _usual_change(times, rows[inner[rows]])
    return bool(lost > ROUNDED * change > 0 and _rounding(_since_start(times, lengths)[rows]) <= BETTER * lost)


def _since_start(times: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.asarray(times - np.repeat(times[np.cumsum(lengths) - lengths], lengths))


def _usual_change(values: np.ndarray, rows: np.ndarray) -> float:
    """Return the median absolute difference of rows to those before them, of those that differ; 0.0 where none do."""
    change = np.abs(values[rows] - values[rows - 1])
    change = change[np.isfinite(change) & (change > 0)]
    return float(np.median(change)) if len(change) else 0.0


def _rounding(values: np.ndarray) -> float:
    """Return the median of what float32 rounds values by; infinite where it can't hold them."""
    with np.errstate(over="ignore"):
        return float(np.median(np.abs(values - values.astype(np.float32))))

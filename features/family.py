"""The base class of feature families, the roles of columns, and expressions that stay inside a series.

A *series* is one group of rows in time order (a breath, a patient, a ride). A *family* is a frozen dataclass, whose
fields are its config table; it returns polars expressions over a frame of whole series. `compute` (compute.py) adds
three helper columns to that frame, so that an expression can stay inside its series at full speed:

    SERIES  0-based number of the series, sorted; `.over(SERIES)` then takes polars' path for sorted groups
    STEP    0-based step inside the series
    LENGTH  number of steps of the series

Where the target is known at the first steps of a series, three kinds of columns say what is known, and nothing more:

    target_column(y)  the target y at these steps, NaN behind them and where it is missing
    KNOWN_STEPS       how many they are
    MOMENT            the date of each row, Datetime, where the order is dates (without a zone, or in UTC)

Null policy: outside a series every value is FILL = 0.0; a feature is never null, and never NaN for finite inputs
(but for families of past targets, which say so by `has_gaps`). A
missing value of an input arrives as NaN. A feature of one step is then NaN too (raw, lags, differences); a running sum
adds nothing there; what is said of a whole series is said of the steps that are there, and is NaN where there are none.
To add a family: copy the smallest file here (time.py; correlation.py where it says one thing about a series), register
it in __init__.py, and add a slow version of it to REFERENCES in tests/features/test_contract.py.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np
import polars as pl

SERIES, STEP, LENGTH = "__series__", "__step__", "__length__"
KNOWN_STEPS, MOMENT = "__known_steps__", "__moment__"
FILL = 0.0  # value of every shifted column outside its series


def unknown_name(kind: str, name: str, known: Sequence[str]) -> str:
    """Write the message for an unknown name: what came, the nearest match if there is one, the sorted list."""
    near = get_close_matches(str(name), known, n=1, cutoff=0.5)  # below 0.5 the match resembles nothing typed
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"There is no {kind} {name!r}: {hint}choose from {', '.join(sorted(known)) or '(none)'}."


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The roles of a frame's columns.

    `levels` holds the known values of each static column, sorted; a value outside them gets an all-zero one-hot.

    Raises:
        ValueError: where a static column has no levels.
    """

    key: str  # which series a row belongs to
    order: str  # what orders the rows of a series, in the data's own unit (ventilator: s)
    inputs: tuple[str, ...]  # known at every step
    static: tuple[str, ...] = ()  # constant within a series
    levels: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    static_numbers: tuple[str, ...] = ()  # constant within a series, and numbers, not categories
    categories: tuple[str, ...] = ()  # inputs that are no numbers; `levels` holds their known values, too
    targets: tuple[str, ...] = ()  # whose values are known at the first steps of a series
    gap: int = 0  # steps of time that the frame lacks behind the known ones
    has_moments: bool = False  # whether the frame says the date of each row

    def __post_init__(self) -> None:
        for name in (*self.static, *self.categories):
            if not self.levels.get(name):
                raise ValueError(
                    f"Every static column needs its known values, but levels has none for {name!r}: "
                    f"pass levels={{{name!r}: (...)}}."
                )

    def chosen(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return `names`, each checked to be an input; the first input where `names` is empty."""
        for name in names:
            if name not in self.inputs:
                raise ValueError(unknown_name("input column", name, self.inputs))
        if not self.inputs:
            raise ValueError("A feature family needs an input column, but the roles name none: add it to data.inputs.")
        return names or self.inputs[:1]


class Family(ABC):
    """One kind of feature. Subclasses are frozen keyword-only dataclasses: their fields are the config table."""

    @property
    @abstractmethod
    def lookahead(self) -> bool:
        """Return whether a value at step t may depend on later steps of the same series."""

    @property
    def has_gaps(self) -> bool:
        """Return whether a feature may be NaN though no input is."""
        return False

    @abstractmethod
    def expressions(self, columns: Columns) -> list[pl.Expr]:
        """Return one expression per feature, Float64 (UInt8 for a 0/1 flag), under a stable name; rows stay."""

    def names(self, columns: Columns) -> list[str]:
        """Return the features' names, in the order of the expressions."""
        return [expression.meta.output_name() for expression in self.expressions(columns)]


def target_column(name: str) -> str:
    """Return the column that holds what is known of a target."""
    return f"__target__{name}"


def number(name: str) -> pl.Expr:
    """Return column `name` as Float64 (flags and counts arrive as integers)."""
    return pl.col(name).cast(pl.Float64)


def shifted(values: pl.Expr, steps: int) -> pl.Expr:
    """Return `values` of `steps` rows earlier in the same series (later where negative), FILL outside it.

    A shift over the whole frame, masked by the step, is many times faster than a shift within groups.
    """
    inside = pl.col(STEP) >= steps if steps > 0 else pl.col(STEP) < pl.col(LENGTH) + steps
    return pl.when(inside).then(values.shift(steps, fill_value=FILL)).otherwise(FILL)


def place_among(name: str, levels: tuple[object, ...]) -> pl.Expr:
    """Return the place of a column's values among the known ones, from 1 on, as `place(name)`; 0.0 for others."""
    places = list(range(1, len(levels) + 1))
    found = pl.col(name).replace_strict(list(levels), places, default=0, return_dtype=pl.Float64)
    return found.alias(f"place({name})")


def duration(order: str) -> pl.Expr:
    """Return the difference of `order` to the step before, in its own unit; 0.0 at the first step of a series."""
    values = number(order)
    return pl.when(pl.col(STEP) >= 1).then(values - values.shift(1, fill_value=FILL)).otherwise(0.0)


def cumulated(values: pl.Expr) -> pl.Expr:
    """Return the running sum of `values` from the first step of the series, this step included; a NaN adds nothing.

    Summed series by series: one sum over the frame, less its value at each start, would lose digits on every row.
    numpy adds up all series of one length at once: four times as fast as `cum_sum().over(...)`.
    """
    return pl.map_batches([values, pl.col(STEP)], _running_sums, return_dtype=pl.Float64)


def _running_sums(columns: Sequence[pl.Series]) -> pl.Series:
    values, step = columns[0].to_numpy(), columns[1].to_numpy()
    missing = np.isnan(values)
    values = np.where(missing, 0.0, values) if missing.any() else values
    starts = np.flatnonzero(step == 0)
    lengths = np.diff(starts, append=len(step))
    if len(set(lengths.tolist())) == 1:
        return pl.Series(values.reshape(len(starts), -1).cumsum(axis=1).ravel())
    sums = np.empty(len(values))
    for length in np.unique(lengths):
        rows = starts[lengths == length, None] + np.arange(length)  # (series of this length, length)
        sums[rows] = values[rows].cumsum(axis=1)
    return pl.Series(sums)


def known_mean(values: pl.Expr) -> pl.Expr:
    """Return the mean of `values` over the steps of the series at which they are not NaN; NaN where there are none."""
    # Summed step by step: the last bits of polars' own mean depend on where in the frame a series lies.
    return at_end(cumulated(values)) / values.is_not_nan().sum().over(SERIES)


def at_end(values: pl.Expr) -> pl.Expr:
    """Return the value at the last step of the series, on each of its rows."""
    last = pl.int_range(pl.len(), dtype=pl.Int64) - pl.col(STEP) + pl.col(LENGTH) - 1
    return values.gather(last)


def check_names(parameter: str, value: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is a tuple of different, non-empty column names."""
    named = isinstance(value, tuple) and all(isinstance(name, str) and name for name in value)
    if not (named and len(set(value)) == len(value)):
        raise ValueError(f"{parameter} must be a list of different column names, but got {value!r}.")


def check_steps(parameter: str, value: tuple[int, ...]) -> None:
    """Raise ValueError unless `value` is a tuple of different whole numbers of steps, each at least 1."""
    whole = isinstance(value, tuple) and all(type(step) is int and step >= 1 for step in value)
    if not (whole and len(set(value)) == len(value)):
        raise ValueError(f"{parameter} must be a list of different whole numbers of steps >= 1, but got {value!r}.")

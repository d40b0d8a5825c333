"""[data]: which column plays which role; and a table of series whose columns have theirs.

A *series* is one group of rows in time order (a breath, a ride). series.py reads tables and checks them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from foldline import files


@dataclass(frozen=True, kw_only=True)
class SimulateConfig:
    """[data.simulate]: the size of the simulated competition that stands in when there is no data."""

    breaths: int = 1500  # labelled series
    test_breaths: int = 300  # series of the test file
    seed: int = 0

    def __post_init__(self) -> None:
        if self.breaths < 1 or self.test_breaths < 1:
            raise ValueError(
                f"breaths and test_breaths must be at least 1, but are {self.breaths}, {self.test_breaths}"
            )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """[data]: which column plays which role, and where the files are."""

    id: str  # names a row in the submission
    key: str  # names the series a row belongs to; never split across folds
    order: str  # time inside the series, strictly increasing (s for the ventilator)
    target: tuple[str, ...]  # wanted at every scored step; one submission column each
    inputs: tuple[str, ...]  # known at every step, of test series too
    static: tuple[str, ...] = ()  # constant inside a series, categorical
    scored: str = ""  # SQL condition on the columns above that says which rows count; empty: all
    metric: str = "mae"  # "mae", "mse", "rmse"; over all targets alike, and the default loss of models follows it
    observed: int = 0  # leading steps of every series, of test series too, at which the target is known; not scored
    source: str = "simulate"  # "simulate", a folder, or a zip with train, test and sample_submission in it
    simulate: SimulateConfig = field(default_factory=SimulateConfig)

    def __post_init__(self) -> None:
        names = [self.id, self.key, self.order, *self.target, *self.inputs, *self.static]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"a column has one role, but {', '.join(twice)} is named more than once")
        if not self.target or not self.inputs:
            raise ValueError("target and inputs must each name at least one column")
        if self.observed < 0:
            raise ValueError(f"observed must be a number of steps, not below 0, but is {self.observed}")

    @property
    def simulated(self) -> bool:
        return self.source == "simulate"

    def roles(self) -> dict[str, object]:
        """What a model's weights depend on: never where the files lie."""
        names = ("key", "order", "target", "inputs", "static", "scored")
        values = {name: getattr(self, name) for name in (*names, *(["observed"] if self.observed else []))}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class Table:
    """Checked series of one file: rows of a series stand together, in time order."""

    path: Path  # for messages
    data: DataConfig
    frame: pl.DataFrame  # role columns; target columns only where they are known
    lengths: np.ndarray  # (N,) int64, rows per series
    file_rows: np.ndarray | None = None  # (rows,) where each row stands in the file; None: they are in its order
    start: np.ndarray | None = None  # (rows, K) known target of a test table, 0 where it is not known

    @property
    def keys(self) -> pl.Series:
        """(N,) the series' names, in the order of the frame."""
        return self.frame[self.data.key].gather(self.starts)

    @property
    def starts(self) -> np.ndarray:
        """(N,) row where each series starts."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

    @property
    def labelled(self) -> bool:
        return all(name in self.frame.columns for name in self.data.target)

    @cached_property
    def observed(self) -> np.ndarray:
        """(rows,) bool: rows whose target is known in a test table too."""
        step = np.arange(self.frame.height) - np.repeat(self.starts, self.lengths)
        return np.asarray(step < self.data.observed)

    @property
    def known(self) -> np.ndarray:
        """(rows, K) float64: the target where it is known in a test table too, 0 at all other rows."""
        if self.start is not None:
            return self.start
        return np.where(self.observed[:, None], self.frame.select(self.data.target).to_numpy(), 0.0)

    @cached_property
    def scored(self) -> np.ndarray:
        """(rows,) bool: which rows the metric counts."""
        if not self.data.scored:
            return ~self.observed
        condition = self.frame.select(pl.sql_expr(self.data.scored)).to_series()
        return np.asarray(condition.to_numpy() & ~self.observed) if self.data.observed else condition.to_numpy()

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every value that a feature, a fold or a weight can depend on; row ids are left out."""
        columns = [name for name in self.frame.columns if name != self.data.id]
        values = [_bytes_of(self.frame[name]) for name in columns]
        return files.digest_arrays(self.lengths, *values, *([] if self.start is None else [self.start]))


def _bytes_of(column: pl.Series) -> np.ndarray:
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        return column.to_numpy()
    return np.frombuffer("\x00".join(column.cast(pl.String).to_list()).encode(), dtype=np.uint8)

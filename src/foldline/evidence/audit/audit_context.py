"""What the checks of an audit work on: one config and its data, and what several checks share, made on first use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import files
from foldline.data import featurize, folds, loading
from foldline.data.folds import Folds
from foldline.data.loading import Competition
from foldline.data.store import Store
from foldline.data.table import Table
from foldline.data.time_spans import TimeSpans
from foldline.evidence.audit import small_run
from foldline.evidence.audit.small_run import SmallRun
from foldline.experiment.config import Config

SMALL = 48  # training series of a small run, 16 for each of its 3 folds
SMALL_TEST = 12  # test series of a small run
SAMPLE = 1500  # series of either table for checks that only compute features


@dataclass(frozen=True)
class AuditContext:
    """A config, its competition, its folds, and a scratch folder that is deleted afterwards."""

    config: Config
    competition: Competition
    folds: Folds
    scratch: Path

    @staticmethod
    def of(config: Config, scratch: Path) -> AuditContext:
        """Read and check the data, and the folds as training would use them.

        Raises:
            UserError: whatever is wrong with config, data or fold file.
        """
        competition = loading.load(config.data)
        assigned, _ = folds.obtain(config.folds, config.name, competition.train, save=False)
        return AuditContext(config, competition, assigned, scratch)

    @cached_property
    def small(self) -> tuple[Table, Table]:
        """Training and test series of the small runs, evenly spaced over the files; over time where folds go by it."""
        return some(self.train, SMALL), some(self.competition.test, SMALL_TEST)

    @cached_property
    def train(self) -> Table:
        """The training table; where folds go by time in its order, and with the column that small runs go by."""
        table, time = self.competition.train, self.folds.time
        if time is None:
            return table
        times = _times(table, time.spans).alias(small_run.TIME_COLUMN)
        table = replace(table, frame=table.frame.with_columns(times), rows_read=None)
        return taken(table, np.argsort(time.spans.first, kind="stable"))

    @cached_property
    def small_config(self) -> Config:
        """The config of the small runs."""
        return small_run.small(self.config, len(np.unique(self.small[0].groups)))

    @cached_property
    def baseline(self) -> SmallRun:
        """The small run with unchanged tables: all cells."""
        return self._run("baseline")

    def variant(
        self, name: str, fold: int, train: pl.DataFrame | None = None, test: pl.DataFrame | None = None
    ) -> SmallRun:
        """Run the cells of one fold with a changed training or test table; None: the table is unchanged."""
        return self._run(name, fold, train, test)

    def _run(
        self, name: str, fold: int | None = None, train: pl.DataFrame | None = None, test: pl.DataFrame | None = None
    ) -> SmallRun:
        pairs = zip(self.small, (train, test), strict=True)
        frames = [small_run.as_written(table, table.frame if frame is None else frame) for table, frame in pairs]
        return small_run.run(self.small_config, frames[0], frames[1], self.scratch / name, fold, self.small[1].start)

    @cached_property
    def sample(self) -> tuple[Table, Table]:
        """Training and test series for checks that only compute features."""
        return some(self.competition.train, SAMPLE), some(self.competition.test, SAMPLE)

    @cached_property
    def sample_features(self) -> tuple[Store, Store]:
        """The features of the sample."""
        return self.features(self.sample[0]), self.features(self.sample[1])

    def features(self, table: Table) -> Store:
        """Make the store of a table in the scratch folder."""
        with files.at_home_everywhere(self.scratch / "features"):
            return featurize.obtain(table, self.config.features, self.competition.levels)


def _times(table: Table, spans: TimeSpans) -> pl.Series:
    """Return a column of all rows with the span of their series: its end in the last row, its beginning before."""
    times = np.repeat(spans.first, table.lengths)
    times[table.starts + table.lengths - 1] = spans.last
    single = table.lengths == 1
    times[table.starts[single]] = spans.first[single]
    return pl.Series(times).cast(pl.Datetime("us")) if spans.of_dates else pl.Series(times)


def some(table: Table, count: int) -> Table:
    """Take at most `count` series, evenly spaced over the table."""
    total = len(table.lengths)
    return table if total <= count else taken(table, np.arange(count) * total // count)


def taken(table: Table, places: np.ndarray) -> Table:
    """Take the series at some places, in that order. places: (n,)."""
    lengths = table.lengths[places]
    first = np.repeat(table.starts[places] - np.cumsum(lengths) + lengths, lengths)
    rows = first + np.arange(lengths.sum())
    start = None if table.start is None else table.start[rows]
    moments = None if table.moments is None else table.moments.gather(rows)
    given = None if table.given is None else table.given[rows]
    table = replace(table, frame=table.frame[rows], lengths=lengths, start=start, given=given, moments=moments)
    return replace(table, file_rows=None, rows_read=None)

"""A table of series: one file, read and checked (loading.py), and the roles of its columns (roles.py).

A *series* is one group of rows in time order (a breath, a ride). Its *answers* are what is asked of it (task.py): one
for each of its rows, or one for all of them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from foldline.core import files
from foldline.core.chunks import chunks
from foldline.core.errors import UserError
from foldline.data import on_disk, scored_rows
from foldline.data.assemble import Source
from foldline.data.column_facts import COMPLETE, ColumnFacts
from foldline.data.known_masks import KnownMasks
from foldline.data.roles import DataConfig
from foldline.data.task import Task
from foldline.data.times import Clock
from foldline.features.family import KNOWN_STEPS, MOMENT, target_column

TEXTS = 1 << 18  # that are hashed together


@dataclass(frozen=True)
class Table:
    """Checked series of one file: rows of a series stand together, in time order."""

    path: Path  # for messages
    data: DataConfig
    frame: pl.DataFrame  # columns with a role; targets only in a training table; a missing input is NaN
    lengths: np.ndarray  # (N,) int64, rows per series
    file_rows: np.ndarray | None = None  # (rows_in_file.sum(),) places in the file; None: rows are in its order
    # (rows, K) known start of a test table (known_start.py), 0 behind it; NaN where a step of it has no target.
    # Likewise its known values (known_values.py), 0 elsewhere.
    start: np.ndarray | None = None
    given: np.ndarray | None = None  # (rows,) bool, whether a row's target is known (data.known); None: nothing says so
    masks: KnownMasks | None = None  # of a training table: which rows are known in the series of test
    classes: tuple[object, ...] = ()  # labels of the training table, where the target has any
    facts: ColumnFacts = COMPLETE  # of the training table
    source: Source | None = None  # what it was read from, where other columns can be found
    since_start: bool = False  # whether its order counts from the start of each series: dates do (times.py)
    of_dates: bool = False  # whether its order was dates or times, seconds now
    moments: pl.Series | None = None  # (rows,) these dates, where series are known at their start; None: there are none
    empty: Sequence[Path] = ()  # files of it that have a header but no rows
    rows_read: np.ndarray | None = None  # (N,) int64, rows of each series in the file; None: as many as its steps
    cut: str = ""  # how many windows it was cut into, a sentence; empty: none were cut
    numbered: bool = False  # whether the ids of its rows are their numbers in the file, from 0, as it has none
    naming: pl.DataFrame | None = None  # columns of its rows that only ids are made of (submission_ids.py)
    notes: tuple[str, ...] = ()  # what is no mistake in it, but good to know, sentences (forecast.py)
    counted: np.ndarray | None = None  # (A,) bool, answers that would count, where that is known; None: [data] says
    id_file: pl.DataFrame | None = None  # which id stands for which name that they make; None: the names are ids

    def of_rows(self, rows: np.ndarray, lengths: np.ndarray) -> Table:
        """Return some rows of each series of a table without a known start; times stay those of the whole series.

        rows: (r,) int64, series after series. lengths: (N,) how many of each.
        """
        assert self.start is None and not self.task.on_series, "a stream has neither"
        moments = None if self.moments is None else self.moments.gather(rows)
        return replace(
            self, frame=self.frame[rows], lengths=lengths, moments=moments, file_rows=None, counted=self.asked[rows]
        )

    @property
    def clock(self) -> Clock:
        """What the order of its files was."""
        return Clock(self.since_start, self.of_dates)

    @property
    def keys(self) -> pl.Series:
        """Names of the series, (N,), in the order of the frame."""
        return self.frame[self.data.key].gather(self.starts)

    @property
    def starts(self) -> np.ndarray:
        """Row with which each series starts, (N,) int64."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

    @property
    def since_first(self) -> np.ndarray:
        """By how much a row is later than the first one of its series, (rows,) float64; of dates in seconds."""
        order = self.frame[self.data.order].to_numpy()
        return np.asarray(order - np.repeat(order[self.starts], self.lengths))

    @property
    def rows_in_file(self) -> np.ndarray:
        """Rows of each series in the file, (N,) int64: more than its steps where resample.py has made these."""
        return self.lengths if self.rows_read is None else self.rows_read

    def named(self, row: int) -> str:
        """Name a row of the frame in a message: by its id, or by its number in the file, as messages count them."""
        value = self.frame[self.data.id][row]
        return f"row {value + 1}" if self.numbered else f"{self.data.id} {value}"

    @property
    def labelled(self) -> bool:
        """Whether it has all targets: a training table."""
        return all(name in self.frame.columns for name in self.data.target)

    @cached_property
    def task(self) -> Task:
        """What an answer of it is."""
        return Task(self.data, self.classes)

    @cached_property
    def missing(self) -> dict[str, int]:
        """Number of rows in which an input is missing, of each that has any."""
        there = [name for name in self.data.numeric_inputs if name in self.frame.columns]
        counts = {name: int(np.isnan(self.frame[name].to_numpy()).sum()) for name in there}
        return {name: count for name, count in counts.items() if count}

    @property
    def categories(self) -> tuple[str, ...]:
        """Static columns that are categories."""
        return tuple(name for name in self.data.static if name not in self.facts.numbers)

    @cached_property
    def has_gaps(self) -> bool:
        """Whether an input, or a static column that is a number, is missing somewhere."""
        return bool(self.missing) or any(self.frame[name].null_count() for name in self.facts.numbers)

    @cached_property
    def for_features(self) -> pl.DataFrame:
        """The frame as features see it: less what float32 would lose (column_facts.py), and with what is known."""
        frame = self.facts.for_features(self.frame, self.data, self.lengths)
        new = [*self.facts.offsets, *([self.data.order] if self.facts.from_start else [])]
        frame = frame.with_columns(on_disk.kept(frame[name]) for name in new)
        return frame.with_columns(map(on_disk.kept, self._known_columns())) if self.data.has_start else frame

    def _known_columns(self) -> list[pl.Series]:
        """Return what features see of the target: its known start, NaN behind that, and where it ends; and dates."""
        given = self.frame.select(self.data.target).to_numpy() if self.labelled else self.start
        assert given is not None, "a table with a known start has one"
        shown = np.where(self.observed[:, None], given, np.nan)
        found = [pl.Series(target_column(name), shown[:, n]) for n, name in enumerate(self.data.target)]
        found.append(pl.Series(KNOWN_STEPS, np.repeat(self.known_steps, self.lengths)))
        if self.moments is None:
            return found
        moments = self.moments.dt.convert_time_zone("UTC") if self._other_zone else self.moments  # as CSV files have it
        return [*found, moments.alias(MOMENT)]

    @property
    def _other_zone(self) -> str:
        """The zone of the moments, where they have one that is not UTC: Parquet files may."""
        zone = self.moments.dtype.time_zone if self.moments is not None and self.of_dates else None  # type: ignore[attr-defined]
        return "" if zone in (None, "UTC") else str(zone)

    @cached_property
    def groups(self) -> np.ndarray:
        """The number of each series' group, (N,) int64: what folds hold together; of its own where there are none."""
        name = self.data.group_column
        if not name or name not in self.frame.columns:
            return np.arange(len(self.lengths))
        return self.frame[name].gather(self.starts).rank("dense").to_numpy().astype(np.int64) - 1

    @cached_property
    def weight(self) -> np.ndarray | None:
        """How much each answer counts, (A,) float64; None: all scored ones count the same."""
        if not self.data.weight or not self.labelled:
            return None
        weight = self.answers[self.data.weight].cast(pl.Float64).to_numpy()
        scored = weight[self.scored]
        return None if (scored == scored[0]).all() else weight

    @cached_property
    def answers(self) -> pl.DataFrame:
        """The row of each answer, (A, columns): all rows, or the last one of each series."""
        return self.of_answers(self.frame)

    def of_answers(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the row of each answer, (A, columns). rows: (rows, columns)."""
        return rows[self.row_of_answer] if self.task.on_series else rows

    @property
    def row_of_answer(self) -> np.ndarray:
        """The row of each answer, (A,) int64: each row, or the last one of each series."""
        return self.starts + self.lengths - 1 if self.task.on_series else np.arange(self.frame.height)

    @property
    def step(self) -> np.ndarray:
        """The number of each row in its series, from 0, (rows,) int64."""
        return np.asarray(np.arange(self.frame.height) - np.repeat(self.starts, self.lengths))

    @property
    def answers_of_series(self) -> np.ndarray:
        """Number of answers of each series, (N,) int64."""
        return np.ones_like(self.lengths) if self.task.on_series else self.lengths

    @cached_property
    def y(self) -> np.ndarray:
        """The truth of each answer of a training table, (A, K) float64; NaN where a target is missing."""
        return self.task.encode(self.answers, self.path)

    @cached_property
    def auxiliary(self) -> tuple[tuple[Task, np.ndarray], ...]:
        """Auxiliary targets of a training table: task and truth of each, (A, columns) float64; NaN where missing.

        Raises:
            UserError: a label or a number that its kind does not have.
        """
        found = []
        for each in self.data.auxiliary if self.labelled else ():
            try:
                task = Task.of(self.data.of_auxiliary(each), self.frame, self.path)
                found.append((task, task.encode(self.answers, self.path)))
            except UserError as error:
                raise UserError(f"auxiliary target {each.name!r}: {error}") from error
        return tuple(found)

    @cached_property
    def known_steps(self) -> np.ndarray:
        """Number of leading steps of each series at which the target is given, in test tables too, (N,) int64."""
        name = self.data.known_column
        if name and name in self.frame.columns:
            return self.frame[name].gather(self.starts).to_numpy().astype(np.int64)
        return np.full(len(self.lengths), 0 if name else self.data.observed, dtype=np.int64)

    @property
    def most_known(self) -> int:
        """The most such steps that a series of the training table has; 1 where known steps lie anywhere."""
        if self.data.known:
            return 1
        return self.facts.most_known if self.data.known_column else int(self.data.observed)

    @cached_property
    def observed(self) -> np.ndarray:
        """Rows in the known start of their series, or whose target is given elsewhere (data.known), (rows,) bool."""
        if self.given is not None:
            return self.given
        return np.asarray(self.step < np.repeat(self.known_steps, self.lengths))

    @property
    def of_train(self) -> np.ndarray | None:
        """Rows of a test table that the training file gave, (rows,) bool: nobody submits them; None: there are none."""
        return self.observed if self.data.forecast.on and not self.labelled else None

    @cached_property
    def scored(self) -> np.ndarray:
        """Answers that the metric counts, (A,) bool: never those whose target is given, nor unlabelled ones."""
        return self.asked & ~np.isnan(self.y).any(axis=1) if self.labelled else self.asked

    @cached_property
    def asked(self) -> np.ndarray:
        """Answers that the metric would count if all had a label, (A,) bool."""
        if self.counted is not None:
            return self.counted
        knows = self.data.has_start or self.given is not None
        return np.asarray(self.eligible & ~self.observed) if knows else self.eligible

    @cached_property
    def eligible(self) -> np.ndarray:
        """Answers that the metric would count if none were given, and all had a label, (A,) bool."""
        if self.task.on_series:
            return np.ones(len(self.lengths), dtype=bool)
        if not self.data.scored:
            return np.ones(self.frame.height, dtype=bool)
        # Null, not NaN, which SQL takes for a large number: the condition must say what a missing value means.
        frame = self.frame.with_columns(pl.col(name).fill_nan(None) for name in self.missing)
        return scored_rows.fulfilled(self.data, frame, self.path)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of every value that a feature, a fold or a weight can depend on; row ids are left out, keys are not."""
        state = files.ArrayDigest()
        state.add(self.lengths)
        for name in self.frame.columns:
            if name != self.data.id or name == self.data.key:
                _add_values(state, self.frame[name])
        if self.start is not None:
            state.add(self.start)
        if self.given is not None:
            state.add(self.given)
        if self.masks is not None:
            state.add(self.masks.known)
            state.add(self.masks.lengths)
        if self.moments is not None:
            state.add(self.moments.to_physical().to_numpy())
        if self._other_zone:  # older stores of them have a calendar of that zone
            state.add_bytes(len(self._other_zone.encode()), [self._other_zone.encode()])
        return state.digits()


def _add_values(state: files.ArrayDigest, column: pl.Series) -> None:
    """Hash a column: numbers, or texts."""
    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        state.add(column.to_numpy())
        return
    # Joined by a character that no text holds, so that ["a", "bc"] and ["ab", "c"] differ.
    texts = column.cast(pl.String).fill_null("\x01")  # a missing label
    size = int(texts.str.len_bytes().sum()) + max(len(texts) - 1, 0)
    pieces = ("\x00" * (part.start > 0) + str(texts[part].str.join("\x00")[0]) for part in chunks(len(texts), TEXTS))
    state.add_bytes(size, (piece.encode() for piece in pieces))

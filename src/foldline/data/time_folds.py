"""Time folds: an origin is held out, not a series. Fitted on what lies before it, scored on what lies after it.

    time -->  | first block |  block 0  |  block 1  |  block 2  |        o: an origin; each block begins with one
    fold 0    trained . . .[gap]o held out
    fold 1    trained . . . . . . . .[gap]o held out
    fold 2    trained . . . . . . . . . . . . . .[gap]o held out          window = "expanding"
    fold 2                  [trained . . . . . .][gap]o held out          window = "sliding": train_length

A series lies at the span of `folds.by` over its rows. It is held out by the fold in whose block it begins, and
trained on by folds whose origin comes more than the gap after its end; one that lies across an origin or in the gap is
on neither side of that fold. With data.group, groups of the held-out block are not trained on either. The first block
is never held out. Source of the gap (purging): Lopez de Prado 2018, Advances in Financial Machine Learning, chapter 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from foldline.core.errors import UserError
from foldline.data.fold_assignment import FoldsConfig, has_scored_rows
from foldline.data.table import Table
from foldline.data.time_spans import TimeSpans


@dataclass(frozen=True)
class TimeSplit:
    """Origins, and where each series lies. N series, k folds."""

    spans: TimeSpans  # of all series
    origins: np.ndarray  # (k,) increasing
    train_length: float | None = None  # window "sliding": in the unit of the spans
    groups: np.ndarray | None = None  # (N,) number of each series' group, which is never on both sides

    @property
    def limits(self) -> np.ndarray:
        """Time before which a series must end to be known in each fold, (k,): its origin less the gap."""
        return np.asarray(self.origins - self.spans.gap)

    @cached_property
    def known_from(self) -> np.ndarray:
        """First fold that may know each series, (N,) int64: it ends before that fold's gap; k where there is none."""
        return np.searchsorted(self.limits, self.spans.last, side="right")

    def inside(self, fold: int, held_out: np.ndarray) -> np.ndarray:
        """Say which series a fold's cells are fitted on, (N,) bool. held_out: (n,) places of those it holds out."""
        found = self.known_from <= fold
        if self.train_length is not None:
            found &= self.spans.last >= self.limits[fold] - self.train_length
        return found if self.groups is None else found & ~np.isin(self.groups, self.groups[held_out])


def assign(config: FoldsConfig, table: Table, spans: TimeSpans) -> np.ndarray:
    """Choose origins such that blocks have about as many scored rows, and assign series: (N,) int64, -1 of the first.

    Raises:
        UserError: there are too few different times.
    """
    counted = np.bincount(np.repeat(np.arange(len(table.lengths)), table.answers_of_series), table.scored)
    has_scored = has_scored_rows(table)
    times, place = np.unique(spans.first[has_scored], return_inverse=True)
    if len(times) <= config.k:
        raise UserError(
            f"folds.k = {config.k} origins need series with scored rows at {config.k + 1} different times at least, "
            f"but those of {table.path} begin at {len(times)} by {config.by or table.data.order!r}. Take fewer folds, "
            "or name another column with folds.by."
        )
    origins = times[_origins(np.bincount(place, counted[has_scored]), config.k)]
    return np.searchsorted(origins, spans.first, side="right") - 1


def _origins(rows: np.ndarray, k: int) -> np.ndarray:
    """Choose k of the times, none of them the first: (k,) increasing places. rows: of each time.

    Each in turn begins where the rows before it come nearest to an even share of all that were not yet given away.
    """
    before = np.concatenate([[0.0], np.cumsum(rows)])[:-1]  # rows that begin before each time
    chosen: list[int] = []
    given = 0.0
    for number in range(k):
        first, end = chosen[-1] + 1 if chosen else 1, len(rows) - (k - number - 1)
        wanted = given + (rows.sum() - given) / (k - number + 1)
        chosen.append(first + int(np.abs(before[first:end] - wanted).argmin()))
        given = before[chosen[-1]]
    return np.array(chosen)


def split(config: FoldsConfig, table: Table, spans: TimeSpans, assignment: np.ndarray, where: str) -> TimeSplit:
    """Make the split of an assignment, whose origins are the times at which its blocks begin.

    where: the fold file, for messages.

    Raises:
        UserError: blocks are not one after the other, or there is nothing to train on before one.
    """
    starts, by = spans.first, config.by or table.data.order
    origins = np.array([starts[assignment == fold].min() for fold in range(config.k)])
    for fold in range(1, config.k):
        late = (assignment == fold - 1) & (starts >= origins[fold])
        if late.any():
            raise UserError(
                f"{where}: time folds lie one after the other, but {table.data.key} {table.keys[int(late.argmax())]} "
                f"of fold {fold - 1} begins at {spans.shown(starts[late][0])} by {by!r}, and fold {fold} at "
                f"{spans.shown(origins[fold])}. Number them by time, or leave folds.file out."
            )
    length = None if config.train_length is None else spans.in_unit(config.train_length)
    made = TimeSplit(spans, origins, length, table.groups if table.data.named_group else None)
    _refuse_nothing_before(made, config, table, assignment)
    return made


def _refuse_nothing_before(made: TimeSplit, config: FoldsConfig, table: Table, assignment: np.ndarray) -> None:
    """Refuse folds whose cells would have nothing to be fitted on."""
    has_scored = has_scored_rows(table)
    for fold in range(config.k):
        if (made.inside(fold, np.flatnonzero(assignment == fold)) & has_scored).any():
            continue
        window = "" if config.train_length is None else f" and train_length = {config.train_length:g}"
        name = table.data.named_group
        groups = f", which share no {name} with those held out" if name else ""
        raise UserError(
            f"folds.gap = {config.gap:g}{window} must leave each fold series with scored rows to train on{groups}, but "
            f"leave none to fold {fold} of {table.path}, which begins at {made.spans.shown(made.origins[fold])}. "
            "Take a shorter gap, a longer train_length, or fewer folds (the first block is larger then)."
        )

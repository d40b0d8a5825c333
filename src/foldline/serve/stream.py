"""A stream: steps are revealed one by one, and each is answered before the next one is known.

The rows of each series are kept, and the features of its rows. Of new rows features are computed on as many rows before
them as a family looks back at (MEMORY), so that they have the values of the whole series. Trees then see the new rows
alone; networks, which are told nothing of a step before, go through the series so far. What looks ahead is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import numpy as np
import polars as pl

from foldline.core.errors import complain
from foldline.data.held_features import ReadyFamily, Recipe, features_of, store_of
from foldline.data.ragged import consecutive
from foldline.data.table import Table
from foldline.experiment import lookahead
from foldline.features import Family
from foldline.features.calendar import Calendar
from foldline.features.categories import Categories
from foldline.features.differences import Differences
from foldline.features.lags import Lags
from foldline.features.missing import Missing
from foldline.features.raw import Raw
from foldline.features.static import Static
from foldline.features.time import Time
from foldline.fit.boosting_cell import BoostingCell
from foldline.fit.network_cell import NetworkCell
from foldline.run.predictions import Estimator
from foldline.serve import border, frames
from foldline.serve.border import Arrived
from foldline.serve.loaded import Loaded
from foldline.serve.loaded_model import Model

# How many steps before t a value at step t depends on. Families that are not here depend on all of them, as sums do.
MEMORY: Mapping[type[Family], Callable[[Any], int]] = {
    Raw: lambda family: 0,
    Static: lambda family: 0,
    Missing: lambda family: 0,
    Categories: lambda family: 0,
    Calendar: lambda family: 0,
    Time: lambda family: 1,
    Lags: lambda family: max(family.lags, default=0),
    Differences: lambda family: max(family.steps),
}
KEPT_STEPS = 10_000  # a series that has not come for so many calls is forgotten: memory must not follow all of a season


@dataclass
class History:
    """What is kept of a series."""

    rows: pl.DataFrame  # (T, columns) with the types of training
    x: list[np.ndarray]  # (T, F) float32 features, one array for each config
    call: int  # the last one that it came in


@dataclass
class _Step:
    """A call: the series that came in it, from their first rows on, and which of their rows are new."""

    keys: list[Any]
    rows: list[pl.DataFrame]  # of each series, the new ones behind the known
    table: Table  # of these rows
    fresh: np.ndarray  # (R,) bool, the new ones
    recent: Table  # of the new ones alone
    counts: np.ndarray  # (N,) int64, new rows of each series
    x: list[np.ndarray] = field(default_factory=list)  # (R, F) of each config


class Stream:
    """Answers steps as they come. It has a state: one thread uses it, and each run of a competition has its own."""

    def __init__(self, loaded: Loaded) -> None:
        """Begin without any series.

        Raises:
            UserError: a feature, the pooling or a network looks ahead.
        """
        for model in loaded.models:
            refuse_lookahead(model)
        self._loaded = loaded
        self._streams = [_ModelStream(model) for model in loaded.models]
        self._lags: list[pl.DataFrame | None] = []  # by place
        self.begun_anew = 0  # series that came again after they had been forgotten

    def step(self, frame: Any, lags: Any = None, static: Any = None) -> pl.DataFrame:
        """Answer the rows of one step, or of several, of any number of series.

        A row that is refused leaves the stream as it was.

        Args:
            frame: (rows, columns) as for Predictor.predict; of each series rows behind those that came before.
            lags: what is only known now of before, a frame or several; joined to these rows and to all later ones,
                until others come in its place, by the columns that both have. None, or without rows: that of before
                stays.
            static: columns that are joined to these rows alone.

        Returns:
            (rows, ids and answers), as Predictor.predict does.

        Raises:
            UserError: as there; rows that lie before others of their series.
        """
        rows, given = frames.frame_of(frame), list(lags) if isinstance(lags, list | tuple) else [lags]
        fresh = [None if each is None else frames.frame_of(each, "The lags") for each in given]
        places = zip_longest(fresh, self._lags)
        known = [new if new is not None and new.height else old for new, old in places]
        beside = None if static is None else frames.frame_of(static, "The static columns")
        rows = border.with_columns_of(rows, beside, self._loaded.wanted, "The static columns", self._loaded.order)
        for each in known:
            rows = border.with_columns_of(rows, each, self._loaded.wanted, "The lags")
        if not rows.height:
            self._lags = known
            return self._loaded.empty(rows)
        found = [stream.step(rows) for stream in self._streams]
        self._lags = known
        for stream, (step, _, _) in zip(self._streams, found, strict=True):
            stream.keep(step)
        self._count_returned()
        answers = [column for _, _, columns in found for column in columns]
        return self._loaded.laid_out(rows, found[0][1], answers)

    def _count_returned(self) -> None:
        """Count the series that were answered without the history that they had; say so the first time."""
        returned = self._streams[0].returned
        if returned and not self.begun_anew:
            key = self._streams[0].model.border.data.key
            complain(
                f"warning: {key} {returned[0]} has not come for {KEPT_STEPS:,} steps. "
                "Its rows are no longer known: it is answered as a new series. Others like it are counted, not named."
            )
        self.begun_anew += len(returned)


class _ModelStream:
    """The stream of one target."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.series: dict[Any, History] = {}
        self.gone: set[Any] = set()  # forgotten, and not come again
        self.returned: list[Any] = []  # of these, the series that came in the last step
        self.calls = 0

    def step(self, frame: pl.DataFrame) -> tuple[_Step, Arrived, list[pl.Series]]:
        """Answer rows; nothing is kept yet. Returns the step, the rows as they arrived, and the answers' columns."""
        step, places = self._begun(frame)
        whole, recent = [], []
        for number, loaded in enumerate(self.model.plans):
            recipe = self.model.recipe(number, step.table)
            new = self._new_features(step, recipe)
            step.x.append(self._all_features(step, number, new))
            recent.append(store_of(step.recent, recipe, new))
            networks = any(isinstance(each, NetworkCell) for each in loaded.estimators.values())
            whole.append(store_of(step.table, recipe, step.x[-1]) if networks else None)

        def apply(number: int, estimator: Estimator) -> tuple[np.ndarray, np.ndarray | None]:
            store, every = recent[number], whole[number]
            if isinstance(estimator, BoostingCell):
                return estimator.apply(store, np.arange(len(store.lengths)))
            assert every is not None, "there are networks"
            values, spread = estimator.apply(every, np.arange(len(every.lengths)))
            return values[step.fresh], None if spread is None else spread[step.fresh]

        values = self.model.finished(step.recent, recent[0], *self.model.of_members(apply))
        return step, Arrived(step.recent, places), self.model.named(values)

    def _begun(self, frame: pl.DataFrame) -> tuple[_Step, np.ndarray]:
        """Put new rows behind the known ones of their series."""
        data = self.model.border.data
        typed, places, counts = border.in_order(self.model.border.typed(frame), data)
        ends = np.cumsum(counts)
        keys = typed[data.key].gather(ends - counts).cast(pl.String).to_list()
        rows = []
        for key, end, count in zip(keys, ends.tolist(), counts.tolist(), strict=True):
            new, history = typed[end - count : end], self.series.get(key)
            rows.append(new if history is None else pl.concat([history.rows, _as_before(new, history.rows)]))
        lengths = np.array([each.height for each in rows], dtype=np.int64)
        table = self.model.border.table(pl.concat(rows, how="vertical_relaxed"), lengths)
        fresh = np.zeros(int(lengths.sum()), dtype=bool)
        fresh[_last(lengths, counts)] = True
        return _Step(keys, rows, table, fresh, table.of_rows(np.flatnonzero(fresh), counts), counts), places

    def _new_features(self, step: _Step, recipe: Recipe) -> np.ndarray:
        """Compute the features of the new rows, (r, F) float32, from as few rows before them as they need."""
        table, found = step.table, np.empty((int(step.counts.sum()), len(recipe.names)), dtype=np.float32)
        for back, families in _by_memory(recipe).items():
            lengths = table.lengths if back is None else np.minimum(table.lengths, step.counts + back)
            names = [name for family in families for name in family.names(recipe.columns)]
            part = replace(recipe, families=families, names=names, roots=[])
            values = features_of(table, part, None if back is None else _last(table.lengths, lengths), lengths)
            found[:, [recipe.names.index(name) for name in names]] = values[_last(lengths, step.counts)]
        return found

    def _all_features(self, step: _Step, number: int, new: np.ndarray) -> np.ndarray:
        """Put the features of the new rows behind those of the known ones, series after series: (R, F)."""
        parts = []
        for key, added in zip(step.keys, np.split(new, np.cumsum(step.counts)[:-1]), strict=True):
            parts += [self.series[key].x[number], added] if key in self.series else [added]
        return np.concatenate(parts)

    def keep(self, step: _Step) -> None:
        """Keep what a step has brought, and forget series that have not come for long."""
        self.calls += 1
        self.returned = [key for key in step.keys if key in self.gone]
        self.gone.difference_update(self.returned)
        ends = np.cumsum(step.table.lengths)[:-1]
        of_each = [np.split(x, ends) for x in step.x]
        for place, key in enumerate(step.keys):
            self.series[key] = History(step.rows[place], [parts[place].copy() for parts in of_each], self.calls)
        for key in [key for key, history in self.series.items() if self.calls - history.call >= KEPT_STEPS]:
            del self.series[key]
            self.gone.add(key)


def refuse_lookahead(model: Model) -> None:
    """Refuse a loaded experiment with parts that look ahead.

    Raises:
        UserError: all of them are named.
    """
    for loaded in model.plans:
        recipe = next(iter(loaded.recipes.values()))
        networks = {
            cell.model.label: estimator.network
            for cell in loaded.plan.plan
            if isinstance(estimator := loaded.estimators.get(cell.key), NetworkCell) and estimator.network is not None
        }
        config = replace(loaded.plan.config, post=model.stored.config.post)
        families = [_inner(family) for family in recipe.families]
        lookahead.refuse(config, families, networks, loaded.first)


def _inner(family: Family) -> Family:
    return family.family if isinstance(family, ReadyFamily) else family


def _by_memory(recipe: Recipe) -> dict[int | None, list[Family]]:
    """Sort families by how many steps before a row they need: those that need few together; None: all."""
    needed = [_memory(_inner(family)) for family in recipe.families]
    few = [count for count in needed if count is not None]
    found: dict[int | None, list[Family]] = {}
    for family, count in zip(recipe.families, needed, strict=True):
        found.setdefault(None if count is None else max(few), []).append(family)
    return found


def _memory(family: Family) -> int | None:
    count = MEMORY.get(type(family))
    return None if count is None else count(family)


def _last(lengths: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the last `counts` rows of each series, (sum,) int64. lengths, counts: (N,)."""
    return consecutive(np.cumsum(lengths) - counts, counts)


def _as_before(new: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Give new rows the types of the known ones: names that are numbers in one call may be text in another."""
    changed = [name for name in known.columns if new.schema[name] != known.schema[name]]
    return new.with_columns(new[name].cast(known.schema[name]) for name in changed) if changed else new

"""[train.patches]: networks see several rows as one step, and what they predict goes up again to each row.

A patch is some rows (`rows`), or those of some time (`every`): series of any rate, with rows that come irregularly,
are then seen at one rate. Inputs are averaged over the rows that have them, numbers and shares over the rows that
count; of labels the greatest counts (an event anywhere in the patch), of one class among several the most frequent. All
that is scored, blended and submitted stays at the rows: only the network and its loss know of patches. Letters: P
patches of R rows of n series; F of them have rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from foldline.core.chunks import chunks
from foldline.core.errors import UserError
from foldline.data import time_steps
from foldline.data.store import Store
from foldline.fit import patch_cuts
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.patch_cuts import Cut

LONGEST = 1 << 31  # rows: generous, so that only slips are refused
VALUES_AT_ONCE = 1 << 24  # features that are averaged at once: 128 MiB


@dataclass(frozen=True, kw_only=True)
class PatchesConfig:
    """[train.patches]: networks see the mean of some rows as one step. Trees and scores know of none."""

    rows: int = 1  # of a patch, the last one of a series may have fewer; 1: each row is a step
    # Instead of rows: the time of a patch, counted from a series' first row, in the unit of data.order, where that is
    # a date in seconds, or "100ms", "30s", "5m", "1h"; 0: patches go by rows
    every: str | float = 0.0
    gaps: Literal["missing", "left-out"] = "missing"  # a patch of time without a row: all is missing, or no such step
    up: Literal["linear", "repeat"] = "linear"  # predictions of rows: between the middles of patches, or their patch's

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= LONGEST:
            raise ValueError(f"rows must be from 1 to {LONGEST:,}, but is {self.rows:,}")
        if self.by_time:
            time_steps.check(self.every)
            if self.rows > 1:
                raise ValueError(f"rows and every both say what a patch is: leave out rows = {self.rows} or every")
        elif self.gaps != "missing":
            raise ValueError("gaps is for patches of time: give every, for instance every = 0.1")
        if not self.used and self.up != "linear":
            raise ValueError("up is for patches of several rows: give rows, for instance rows = 4, or every")

    @property
    def by_time(self) -> bool:
        """Whether patches go by the times of rows, which the store must have."""
        return self.every != 0

    @property
    def used(self) -> bool:
        """Whether a step is several rows."""
        return self.rows > 1 or self.by_time

    @property
    def text(self) -> str:
        """Say what a step is, for messages."""
        return f"of all rows in {self.every}" if self.by_time else f"of {self.rows} rows"


def check(label: str, config: PatchesConfig, observed: bool) -> None:
    """Refuse patches where rows have known targets. label: of the model, for messages.

    Raises:
        UserError
    """
    if config.used and observed:
        raise UserError(
            f"model {label!r}: train.patches makes one step {config.text}, but where targets of some rows "
            "are known (data.observed, forecast or known) each of these is a step of its own: leave patches out."
        )


def check_store(config: PatchesConfig, store: Store) -> None:
    """Refuse patches of time that make far too many steps of a store's series, because of gaps.

    Raises:
        UserError
    """
    if config.by_time:
        every, numbers = config.every, time_steps.numbers_of(_times(store), config.every)
        what, lengths = "train.patches.every", store.lengths
        time_steps.refuse_too_many(what, every, numbers, lengths, config.gaps, lambda series: _name(store, series))


def _name(store: Store, series: int) -> str:
    """Name a series in a message; a store in memory has no keys."""
    return f"series {store.keys[series]}" if store.path.exists() else f"its series {series + 1}"


def cut(store: Store, series: np.ndarray, config: PatchesConfig) -> Cut:
    """Cut the rows of some series of a store into patches. series: (n,) indices."""
    lengths = store.lengths[series]
    if not config.by_time:
        return patch_cuts.by_rows(lengths, config.rows)
    return patch_cuts.by_time(_times(store)[store.rows(series)], lengths, config.every, config.gaps)


def _times(store: Store) -> np.ndarray:
    assert store.times is not None, "a store for patches of time has the times of its rows (FeaturesConfig.times)"
    return store.times


def steps(store: Store, config: PatchesConfig) -> np.ndarray:
    """Return how many steps networks see of each series of a store, (N,) int64."""
    return cut(store, np.arange(len(store.lengths)), config).lengths if config.used else store.lengths


def steps_to_scored(store: Store, config: PatchesConfig) -> int:
    """Return how many steps there are up to the last one of any series that is scored."""
    if store.on_series:
        return int(steps(store, config).max())
    made = cut(store, np.arange(len(store.lengths)), config)
    return int(made.step[made.patch_of_row[store.scored]].max()) + 1


def pooled(part: LabelledSeries, config: PatchesConfig, beside: np.ndarray | None = None) -> LabelledSeries:
    """Return the same series of a store whose rows are patches; only these series' features are in it.

    beside: (n,) all series of the fold's training, where the part is some of them; None: the part's.
    """
    if not config.used:
        return part
    store, kind = part.store, part.store.task.kind
    coarse = _store_of_patches(part, config, part.series if beside is None else beside)
    if store.on_series:
        return replace(part, store=coarse)
    made = cut(store, part.series, config)
    y, known = _targets(part.y, part.known, part.weight, made, kind)
    weight = _mean(part.weight.astype(np.float64), made).astype(np.float32)
    return replace(part, store=coarse, y=y, known=known, weight=weight, scored=_any(part.scored, made))


def _store_of_patches(part: LabelledSeries, config: PatchesConfig, beside: np.ndarray) -> Store:
    """Return a store with a row a patch, and in it the features of the part's series.

    Series have their lengths and answers there, of patches of time only those of `beside`: the times of rows that a
    fold holds out must not say what its series are padded to. The others are one step in which nothing is known.
    """
    check_store(config, part.store)
    store, series = part.store, part.series
    shown = np.unique(beside) if config.by_time else np.arange(len(store.lengths))
    lengths = np.ones_like(store.lengths)
    lengths[shown] = cut(store, shown, config).lengths
    offsets = np.cumsum(lengths) - lengths
    x = np.zeros((int(lengths.sum()), len(store.names)), dtype=np.float32)  # pages of other series are never touched
    empty = np.array([1.0 if name.startswith("missing(") else np.nan for name in store.names])
    most = max(1, VALUES_AT_ONCE // max(1, len(store.names) * int(store.lengths[series].max(initial=1))))
    missing = store.missing
    for chunk in chunks(len(series), most):
        values, made = store.features(store.rows(series[chunk])).astype(np.float64), cut(store, series[chunk], config)
        means = made.laid_out(_means(values, ~np.isnan(values), made.begins), empty)
        missing |= len(made.begins) < made.count
        ends = np.cumsum(lengths[series[chunk]])
        for each, end in zip(series[chunk], ends, strict=True):
            x[offsets[each] : offsets[each] + lengths[each]] = means[end - lengths[each] : end]
    coarse = replace(store, x=x, lengths=lengths, missing=missing, times=None)
    return coarse if store.on_series else _with_answers(coarse, store, shown, config)


def _with_answers(coarse: Store, store: Store, shown: np.ndarray, config: PatchesConfig) -> Store:
    """Return a store of patches with the answers of some series of another one, (n,), pooled."""
    made, rows, places = cut(store, shown, config), store.rows(shown), coarse.rows(shown)
    y, known = _targets(np.asarray(store.y[rows]), store.known[rows], store.scored[rows], made, store.task.kind)

    def placed(values: np.ndarray, empty: float | bool) -> np.ndarray:
        """Lay values of their patches out among all: (P of these series, ...) -> (P, ...)."""
        found = np.full((len(coarse.x), *values.shape[1:]), empty, dtype=values.dtype)
        found[places] = values
        return found

    return replace(
        coarse,
        scored=placed(_any(store.scored[rows], made), False),
        y=placed(y, 0.0),
        known=placed(known, False),
        weight=None if store.weight is None else placed(_mean(store.weight[rows], made), 0.0),
        auxiliary_y=None if store.auxiliary_y is None else placed(_auxiliary(store, rows, made), np.nan),
    )


def _auxiliary(store: Store, rows: np.ndarray, made: Cut) -> np.ndarray:
    """Pool auxiliary targets of rows, (R,), to (P, all their columns); NaN where none of a patch's rows has one."""
    found = []
    for each in store.auxiliary:
        values = store.auxiliary_columns[each.name][rows]
        there = ~np.isnan(values)
        y, known = _targets(np.nan_to_num(values), there, there.all(axis=1), made, each.kind)
        found.append(np.where(known, y, np.nan))
    return np.concatenate(found, axis=1)


def _any(values: np.ndarray, made: Cut) -> np.ndarray:
    """Return in which patches it is true of a row, (P,) bool. values: (R,) bool."""
    return made.laid_out(np.logical_or.reduceat(values, made.begins), False)


def _mean(values: np.ndarray, made: Cut) -> np.ndarray:
    """Average weights over all rows of each patch, (P,); 0 where there is none. values: (R,)."""
    return made.laid_out(np.add.reduceat(values, made.begins) / made.rows, 0.0)


def _means(values: np.ndarray, there: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Average (R, any) values over each patch's rows where they are there: (F, any); NaN where none is."""
    totals = np.add.reduceat(np.where(there, values, 0.0), begins, axis=0)
    counts = np.add.reduceat(there, begins, axis=0, dtype=np.int64)
    return np.asarray(np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0))


def _targets(
    y: np.ndarray, known: np.ndarray, counts: np.ndarray, made: Cut, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Pool targets (R, K), known (R, K): those of rows that count, (R,) above 0, or of all where none does.

    Returns:
        (P, K) each; a patch without rows has none that is known.
    """
    begins, counted = made.begins, known & (np.asarray(counts) > 0)[:, None]
    patch = np.repeat(np.arange(len(begins)), made.rows)
    used = np.where(np.logical_or.reduceat(counted, begins, axis=0)[patch], counted, known)
    there = np.logical_or.reduceat(used, begins, axis=0)
    if kind in ("binary", "multilabel", "ordinal"):
        found = np.maximum.reduceat(np.where(used, y, -np.inf), begins, axis=0)
    else:
        found = _means(y, used, begins)
        if kind == "multiclass":
            found = np.eye(found.shape[1])[np.nan_to_num(found).argmax(axis=1)]
    return made.laid_out(np.where(there, found, 0.0), 0.0), made.laid_out(there, False)


def up(values: np.ndarray, store: Store, series: np.ndarray, config: PatchesConfig) -> np.ndarray:
    """Give each row of some series of a store what is predicted of patches: (P, K) -> (R, K). series: (n,) indices."""
    if not config.used:
        return values
    made = cut(store, series, config)
    patch = made.patch_of_row
    if config.up == "repeat":
        return np.asarray(values[patch])
    at, middle, of_series = made.at, made.middles, made.series
    low = patch - (at < middle[patch])
    high = low + 1
    inside = [np.clip(each, 0, made.count - 1) for each in (low, high)]
    low, high = (np.where(of_series[each] == of_series[patch], each, patch) for each in inside)
    apart = middle[high] - middle[low]
    share = np.divide(at - middle[low], apart, out=np.zeros(len(at)), where=apart > 0)[:, None]
    return np.asarray(values[low] * (1 - share) + values[high] * share)

"""[train.patches]: networks see several rows as one step, and what they predict goes up again to each row.

Inputs are averaged over the rows that have them, numbers and shares over the rows that count; of labels the greatest
counts (an event anywhere in the patch), of one class among several the most frequent. All that is scored, blended and
submitted stays at the rows: only the network and its loss know of patches. Letters: P patches of R rows of n series.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from foldline.core.chunks import chunks
from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit.labelled_series import LabelledSeries

LONGEST = 1 << 31  # rows: generous, so that only slips are refused
VALUES_AT_ONCE = 1 << 24  # features that are averaged at once: 128 MiB


@dataclass(frozen=True, kw_only=True)
class PatchesConfig:
    """[train.patches]: networks see the mean of some rows as one step. Trees and scores know of none."""

    rows: int = 1  # of a patch, the last one of a series may have fewer; 1: each row is a step
    up: Literal["linear", "repeat"] = "linear"  # predictions of rows: between the middles of patches, or their patch's

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= LONGEST:
            raise ValueError(f"rows must be from 1 to {LONGEST:,}, but is {self.rows:,}")
        if self.rows == 1 and self.up != "linear":
            raise ValueError("up is for patches of several rows: give rows, for instance rows = 4")

    @property
    def used(self) -> bool:
        """Whether a step is several rows."""
        return self.rows > 1

    def steps(self, rows: np.ndarray) -> np.ndarray:
        """Return how many steps so many rows are."""
        return np.asarray(-(-rows // self.rows))


def check(label: str, config: PatchesConfig, observed: bool) -> None:
    """Refuse patches where rows have known targets. label: of the model, for messages.

    Raises:
        UserError
    """
    if config.used and observed:
        raise UserError(
            f"model {label!r}: train.patches makes one step of {config.rows} rows, but where targets of some rows "
            "are known (data.observed, forecast or known) each of these is a step of its own: leave patches out."
        )


def pooled(part: LabelledSeries, config: PatchesConfig) -> LabelledSeries:
    """Return the same series of a store whose rows are patches; only these series' features are in it."""
    if not config.used:
        return part
    store, kind = part.store, part.store.task.kind
    coarse = _store_of_patches(part, config)
    if store.on_series:
        return replace(part, store=coarse)
    begins = _begins(store.lengths[part.series], config.rows)
    y, known = _targets(part.y, part.known, part.weight, begins, kind)
    counts = np.diff(begins, append=len(part.y))
    weight = (np.add.reduceat(part.weight.astype(np.float64), begins) / counts).astype(np.float32)
    scored = np.logical_or.reduceat(part.scored, begins)
    return replace(part, store=coarse, y=y, known=known, weight=weight, scored=scored)


def _store_of_patches(part: LabelledSeries, config: PatchesConfig) -> Store:
    """Return a store with a row a patch: all series have their lengths there, those of the part their features."""
    store, series, lengths = part.store, part.series, config.steps(part.store.lengths)
    offsets = np.cumsum(lengths) - lengths
    x = np.zeros((int(lengths.sum()), len(store.names)), dtype=np.float32)  # pages of other series are never touched
    most = max(1, VALUES_AT_ONCE // max(1, len(store.names) * int(store.lengths[series].max(initial=1))))
    for chunk in chunks(len(series), most):
        values = store.features(store.rows(series[chunk])).astype(np.float64)
        means = _means(values, ~np.isnan(values), _begins(store.lengths[series[chunk]], config.rows))
        ends = np.cumsum(lengths[series[chunk]])
        for each, end in zip(series[chunk], ends, strict=True):
            x[offsets[each] : offsets[each] + lengths[each]] = means[end - lengths[each] : end]
    if store.on_series:
        return replace(store, x=x, lengths=lengths)
    begins = _begins(store.lengths, config.rows)
    y, known = _targets(np.asarray(store.y), store.known, store.scored, begins, store.task.kind)
    counts = np.diff(begins, append=len(store.scored))
    return replace(
        store,
        x=x,
        lengths=lengths,
        scored=np.logical_or.reduceat(store.scored, begins),
        y=y,
        known=known,
        weight=None if store.weight is None else np.add.reduceat(store.weight, begins) / counts,
        auxiliary_y=None if store.auxiliary_y is None else _auxiliary(store, begins),
    )


def _auxiliary(store: Store, begins: np.ndarray) -> np.ndarray:
    """Pool auxiliary targets, (P, all their columns); NaN where none of a patch's rows has one."""
    found = []
    for each in store.auxiliary:
        values = store.auxiliary_columns[each.name]
        there = ~np.isnan(values)
        y, known = _targets(np.nan_to_num(values), there, there.all(axis=1), begins, each.kind)
        found.append(np.where(known, y, np.nan))
    return np.concatenate(found, axis=1)


def _begins(lengths: np.ndarray, rows: int) -> np.ndarray:
    """Return the first row of each patch of series that lie one after the other, (P,) int64. lengths: (n,)."""
    counts = -(-lengths // rows)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(np.cumsum(lengths) - lengths, counts) + number * rows)


def _means(values: np.ndarray, there: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Average (R, any) values over each patch's rows where they are there: (P, any); NaN where none is."""
    totals = np.add.reduceat(np.where(there, values, 0.0), begins, axis=0)
    counts = np.add.reduceat(there, begins, axis=0, dtype=np.int64)
    return np.asarray(np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0))


def _targets(
    y: np.ndarray, known: np.ndarray, counts: np.ndarray, begins: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Pool targets (R, K), known (R, K): those of rows that count, (R,) above 0, or of all where none does."""
    counted = known & (np.asarray(counts) > 0)[:, None]
    patch = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(y)))
    used = np.where(np.logical_or.reduceat(counted, begins, axis=0)[patch], counted, known)
    there = np.logical_or.reduceat(used, begins, axis=0)
    if kind in ("binary", "multilabel", "ordinal"):
        made = np.maximum.reduceat(np.where(used, y, -np.inf), begins, axis=0)
    else:
        made = _means(y, used, begins)
        if kind == "multiclass":
            made = np.eye(made.shape[1])[np.nan_to_num(made).argmax(axis=1)]
    return np.where(there, made, 0.0), there


def up(values: np.ndarray, lengths: np.ndarray, config: PatchesConfig) -> np.ndarray:
    """Give each row of series what is predicted of patches: (P, K) -> (R, K). lengths: (n,) rows of each series."""
    if not config.used:
        return values
    begins, rows = _begins(lengths, config.rows), int(lengths.sum())
    counts = np.diff(begins, append=rows)
    patch = np.repeat(np.arange(len(begins)), counts)
    if config.up == "repeat":
        return values[patch]
    middle, row = begins + (counts - 1) / 2, np.arange(rows)
    series = np.repeat(np.arange(len(lengths)), config.steps(lengths))  # (P,)
    low = patch - (row < middle[patch])
    high = low + 1
    inside = [np.clip(each, 0, len(begins) - 1) for each in (low, high)]
    low, high = (np.where(series[each] == series[patch], each, patch) for each in inside)
    apart = middle[high] - middle[low]
    share = np.divide(row - middle[low], apart, out=np.zeros(rows), where=apart > 0)[:, None]
    return np.asarray(values[low] * (1 - share) + values[high] * share)

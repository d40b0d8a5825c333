"""Losses of each series, by phase and by exactness: scores of folds, slices and bootstraps are sums of one array.

A *phase* is a third of a series' scored steps; a step is *exact* where the decoder reads it back from the inputs, else
*open*. Letters: N series, S seeds, k folds, K targets, P = 3 phases, E = 2 (open, exact).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from foldline.data.metrics import Metric
from foldline.data.store import Store

PHASES = ("first third", "middle third", "last third")
EXACTNESS = ("open", "exact")
COMBINATIONS = 12  # of static values that are shown: those with most series
Finish = Callable[[float], float]  # mean loss -> score, as `Metric.finish`


@dataclass(frozen=True)
class LossTable:
    """Which series, phase and exactness every scored row belongs to. R scored rows."""

    scored: np.ndarray  # (all rows,) bool
    place: np.ndarray  # (R,) index of each scored row's (series, phase, exactness) in a flat (N, P, E) array
    counts: np.ndarray  # (N, P, E) scored values: rows times targets
    weights: np.ndarray  # (N, P, E) what sums of losses are divided by: the sum of the values' weights, else `counts`
    weight: np.ndarray | None  # (R,) of each scored row; None: all alike

    @classmethod
    def of(cls, store: Store, exact: np.ndarray | None, weight: np.ndarray | None = None) -> LossTable:
        """Assign the scored rows.

        Args:
            exact: (all rows,) bool, rows that are read back exactly; None: none is decoded.
            weight: (R,) how much a scored row counts, as `TrueAnswers` has it.
        """
        assert store.labelled, "losses are those of labelled series"
        series = store.series_of_answer[store.scored]
        counted = np.bincount(series, minlength=len(store.lengths))  # scored rows of each series
        rank = np.arange(len(series)) - (np.cumsum(counted) - counted)[series]  # 0-based among its series' scored rows
        phase = len(PHASES) * rank // counted[series]
        is_exact = np.zeros(len(series), dtype=np.int64) if exact is None else exact[store.scored].astype(np.int64)
        shape = (len(store.lengths), len(PHASES), len(EXACTNESS))
        place = np.ravel_multi_index((series, phase, is_exact), shape)
        size, targets = int(np.prod(shape)), store.targets
        counts = np.bincount(place, minlength=size).reshape(shape) * targets
        weights = counts if weight is None else np.bincount(place, weight, size).reshape(shape) * targets
        return cls(store.scored, place, counts, weights, weight)

    def losses(self, truth: np.ndarray, predicted: np.ndarray, metric: Metric) -> np.ndarray:
        """Sum losses, by their weights: (N, P, E). truth, predicted: (all rows, K)."""
        if metric.loss is None:  # the nearest thing to a loss, for pictures and slices
            each = metric.row_loss(truth[self.scored], predicted[self.scored], self.weight) * truth.shape[1]
        else:
            each = metric.losses(truth[self.scored], predicted[self.scored], self.weight).sum(axis=-1)  # (R,)
        each = each if self.weight is None else each * self.weight
        return np.bincount(self.place, weights=each, minlength=self.counts.size).reshape(self.counts.shape)


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Some of the scored values: some series, phases and exactness."""

    group: str  # the kind of slice: names of static columns, "phase", "exactness"
    name: str
    series: np.ndarray  # (N,) bool
    parts: np.ndarray  # (P, E) bool

    def of(self, values: np.ndarray) -> np.ndarray:
        """Sum (..., N, P, E) losses or counts inside the slice: (..., N)."""
        inside: np.ndarray = (values * self.parts).sum(axis=(-2, -1)) * self.series
        return inside


def everything(counts: np.ndarray) -> Slice:
    """Make the slice of all scored values. counts: (N, P, E)."""
    return Slice(group="", name="all", series=np.ones(len(counts), bool), parts=np.ones(counts.shape[1:], bool))


def slices(
    store: Store, counts: np.ndarray, columns: Sequence[str], levels: dict[str, tuple[object, ...]]
) -> list[Slice]:
    """Make the slices that an ablation and a report show, none of them empty.

    Args:
        counts: (N, P, E) of the loss table; its weights, where values have any: a slice of weight 0 has no score.
        columns: static columns; their COMBINATIONS commonest combinations are slices.
        levels: the values of each in training; code 0 is an unknown value, code 1 the first of these.
    """
    whole = everything(counts)
    phases = [
        Slice(group="phase", name=name, series=whole.series, parts=whole.parts & (np.arange(3) == number)[:, None])
        for number, name in enumerate(PHASES)
    ]
    exactness = [
        Slice(group="exactness", name=name, series=whole.series, parts=whole.parts & (np.arange(2) == number))
        for number, name in enumerate(EXACTNESS)
    ]
    shown = [*_combinations(store, whole, columns, levels), *([] if store.on_series else phases)]
    if counts[:, :, 1].any():
        shown += exactness
    return [each for each in shown if each.of(counts).any()]


def _combinations(
    store: Store, whole: Slice, columns: Sequence[str], levels: dict[str, tuple[object, ...]]
) -> list[Slice]:
    if not columns:
        return []
    codes, inverse, sizes = np.unique(store.static, axis=0, return_inverse=True, return_counts=True)
    commonest = np.sort(np.argsort(-sizes, kind="stable")[:COMBINATIONS])
    group = " x ".join(columns)
    return [
        Slice(
            group=group,
            name=", ".join(shown(levels[name], code) for name, code in zip(columns, codes[row], strict=True)),
            series=inverse.ravel() == row,
            parts=whole.parts,
        )
        for row in commonest
    ]


def shown(known: tuple[object, ...], code: int) -> str:
    """Return the value of a static column that a code stands for; of one of numbers there is but one code."""
    if not code:
        return "missing" if known else "any"
    value = known[code - 1]
    return f"{value:g}" if isinstance(value, float) else str(value)


def fold_scores(sums: np.ndarray, counts: np.ndarray, fold: np.ndarray, finish: Finish) -> np.ndarray:
    """Compute (..., k, S) scores of each fold and seed. sums: (..., S, N); counts (or weights), fold: (N,)."""
    numbers = np.unique(fold[fold >= 0])  # -1: of no fold
    means = [sums[..., fold == number].sum(axis=-1) / counts[fold == number].sum() for number in numbers]
    scores: np.ndarray = np.vectorize(finish, otypes=[float])(np.stack(means, axis=-2))
    return scores

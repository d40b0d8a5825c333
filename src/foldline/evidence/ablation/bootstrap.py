"""Bootstrap intervals: series (or groups of them) are resampled inside their fold, and seeds; one draw for all configs.

The cells are not trained again, so the intervals describe these series and these trainings. They know nothing of other
training series, and decide nothing: the corrected t does (significance.py).

Sources: Davison & Hinkley 1997, https://doi.org/10.1017/CBO9780511802843 (percentile intervals, stratified resampling);
Field & Welsh 2007, https://doi.org/10.1111/j.1467-9868.2007.00593.x (clusters are drawn whole, because the rows of
a series depend on each other).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from foldline.core.chunks import chunks
from foldline.experiment.loss_table import Finish, Slice

BLOCK = 20_000_000  # weights that are held at once: 160 MB


def intervals(
    sums: np.ndarray,
    counts: np.ndarray,
    fold: np.ndarray,
    slices: Sequence[Slice],
    finish: Finish,
    draws: int,
    seed: int,
    groups: np.ndarray | None = None,
) -> np.ndarray:
    """Compute (slices, V, 2) ends of the 95 % intervals of each variant's effect in each slice; NaN for an empty slice.

    Args:
        sums: (1 + V, S, N, P, E) summed losses, the baseline's first.
        counts: (N, P, E) number of values in each sum, or the sum of their weights.
        fold: (N,) fold of each series; -1: of none, never drawn, as series without a value are not.
        slices: the first is scored as the effect is, mean over folds; the others over all their values at once.
        finish: makes a score of a mean loss (the root, for rmse).
        draws: resamples. seed: of their random numbers.
        groups: (N,) int64 from 0, the group of each series, which is drawn whole; None: series are drawn.
    """
    parts = [(each.of(sums), each.of(counts)) for each in slices]
    if groups is not None:
        parts = [(_by_group(part, groups), _by_group(count, groups)) for part, count in parts]
        of_group = np.zeros(int(groups.max()) + 1, dtype=fold.dtype)
        of_group[groups] = fold
        fold = of_group
    fold = np.where(parts[0][1] > 0, fold, -1)  # a draw of what has no value would leave fewer of the others
    found: list[list[np.ndarray]] = [[] for _ in slices]
    for weights, picks in draws_of(fold, sums.shape[1], draws, seed):
        for number, (part, count) in enumerate(parts):
            found[number].append(_effects(weights, picks, part, count, fold, finish, pooled=number > 0))
    return np.stack([np.nanpercentile(np.concatenate(each), [2.5, 97.5], axis=0).T for each in found])


def _by_group(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Sum (..., N) values of series over the series of each group: (..., G)."""
    flat = [np.bincount(groups, weights=each) for each in values.reshape(-1, values.shape[-1])]
    return np.stack(flat).reshape(*values.shape[:-1], -1)


def draws_of(fold: np.ndarray, seeds: int, draws: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of b draws: (b, N) how often each series or group is drawn, fold sizes kept; (b, S) seeds drawn."""
    rng = np.random.default_rng(seed)
    size = max(1, min(draws, BLOCK // len(fold)))
    for chunk in chunks(draws, size):
        count = chunk.stop - chunk.start
        weights = np.zeros((count, len(fold)))
        for number in np.unique(fold[fold >= 0]):
            inside = np.flatnonzero(fold == number)
            # Places of the drawn series, shifted by draw, so that one bincount counts all draws.
            chosen = rng.integers(len(inside), size=(count, len(inside))) + len(inside) * np.arange(count)[:, None]
            weights[:, inside] = np.bincount(chosen.ravel(), minlength=count * len(inside)).reshape(count, -1)
        yield weights, rng.integers(seeds, size=(count, seeds))


def _effects(
    weights: np.ndarray,
    picks: np.ndarray,
    sums: np.ndarray,
    counts: np.ndarray,
    fold: np.ndarray,
    finish: Finish,
    pooled: bool,
) -> np.ndarray:
    """Compute (b, V) effects of b draws. sums: (1 + V, S, N); counts: (N,)."""
    groups = [counts > 0] if pooled else [fold == number for number in np.unique(fold[fold >= 0])]
    flat = sums.reshape(-1, sums.shape[-1])  # (1 + V) * S rows
    total = np.zeros((len(weights), *sums.shape[:2]))
    with np.errstate(invalid="ignore"):  # 0 / 0: a draw without any series of the slice
        for group in groups:
            drawn, of = weights[:, group] @ flat[:, group].T, weights[:, group] @ counts[group]
            scores = np.vectorize(finish, otypes=[float])(drawn / of[:, None])
            total += scores.reshape(total.shape) / len(groups)
    chosen = np.take_along_axis(total, picks[:, None, :], axis=2).mean(axis=2)  # (b, 1 + V)
    effects: np.ndarray = chosen[:, 1:] - chosen[:, :1]
    return effects

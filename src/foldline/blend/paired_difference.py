"""How far one blend of the same rows is ahead of another, and the standard error of that, series drawn at random.

Where the metric is a mean of losses, each series is its sum of them (`series_losses`) and the error is linearised; for
any other metric the series are drawn again, with the metric recomputed (`resampled_costs`).
"""

from __future__ import annotations

import numpy as np

from foldline.blend.blend_rows import BlendRows

RESAMPLES = 200  # of the series, at most; the same for everything that is compared
MOST_ANSWERS = 20_000_000  # scored in all resamples together: some seconds


def evidence(rows: BlendRows, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what `difference` compares of predictions (R, K), and the rows of each series, None where resampled."""
    if rows.metric.loss is None:
        return resampled_costs(rows, values), None
    return series_losses(rows, values)


def series_losses(rows: BlendRows, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum losses over each series' rows, mean over targets: (S,), and the rows, or weights: (S,). values: (R, K)."""
    assert rows.metric.loss is not None, "a metric that is a mean of losses"
    series = np.unique(rows.series, return_inverse=True)[1]
    losses = rows.metric.loss(rows.y, values).mean(axis=1)
    if rows.weight is not None:
        return np.bincount(series, losses * rows.weight), np.bincount(series, rows.weight)
    return np.bincount(series, losses), np.bincount(series)


def resampled_costs(rows: BlendRows, values: np.ndarray) -> np.ndarray:
    """Compute the cost of the rows, and of draws of series with replacement: (1 + RESAMPLES,), NaN where undefined."""
    rng = np.random.default_rng(0)  # the same draws for everything that is compared
    order = np.argsort(rows.series, kind="stable")
    starts = np.flatnonzero(np.diff(rows.series[order], prepend=-1))
    lengths = np.diff(np.append(starts, len(order)))
    costs = [rows.metric.cost(rows.score(values))]
    for _ in range(min(RESAMPLES, max(20, MOST_ANSWERS // len(order)))):
        drawn = rng.integers(0, len(starts), len(starts))
        within = np.arange(lengths[drawn].sum()) - np.repeat(np.cumsum(lengths[drawn]) - lengths[drawn], lengths[drawn])
        chosen = order[np.repeat(starts[drawn], lengths[drawn]) + within]
        costs.append(rows.metric.cost(rows.where(chosen).score_or_nan(values[chosen])))
    return np.asarray(costs)


def difference(one: np.ndarray, other: np.ndarray, counts: np.ndarray | None) -> tuple[float, float]:
    """Compute how much higher the mean loss, or cost, of one is than that of the other, and its standard error.

    A mean over rows is a ratio of sums over series, rows and losses both being random; its error is linearised. Source:
    Cochran 1977, Sampling Techniques, section 6.3.

    Args:
        one, other: (S,) sums of losses, or (1 + B,) resampled costs.
        counts: (S,) rows; None: costs were resampled.
    """
    if counts is None:
        apart = one - other
        return float(apart[0]), float(np.nanstd(apart[1:], ddof=1))
    sums, size = one - other, len(counts)
    mean = float(sums.sum() / counts.sum())
    left = sums - mean * counts
    return mean, float(np.sqrt(size / max(1, size - 1) * (left @ left)) / counts.sum())

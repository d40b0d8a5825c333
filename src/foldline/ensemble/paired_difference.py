"""How far one blend of the same rows is ahead of another, and the standard error of that, units drawn at random.

A unit is a series, or a group of them where data.group is set. Where the metric is a mean of losses, each unit is its
sum of them (`unit_losses`) and the error is linearised; for any other metric the units are drawn again, with the metric
recomputed (`resampled_costs`).
"""

from __future__ import annotations

import numpy as np

from foldline.ensemble.blend_rows import BlendRows

RESAMPLES = 200  # of the units, at most; the same for everything that is compared
MOST_ANSWERS = 20_000_000  # scored in all resamples together: some seconds


def evidence(rows: BlendRows, values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what `difference` compares of predictions (R, K), and the rows of each unit, None where resampled."""
    if not rows.metric.is_mean_of_losses:
        return resampled_costs(rows, values), None
    return unit_losses(rows, values)


def unit_losses(rows: BlendRows, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum losses over each unit's rows, mean over targets: (U,), and the rows, or weights: (U,). values: (R, K)."""
    assert rows.metric.loss is not None, "a metric that is a mean of losses"
    units = np.unique(rows.units, return_inverse=True)[1]
    losses = rows.metric.losses(rows.y, values, rows.weight).mean(axis=1)
    if rows.weight is not None:
        return np.bincount(units, losses * rows.weight), np.bincount(units, rows.weight)
    return np.bincount(units, losses), np.bincount(units)


def resampled_costs(rows: BlendRows, values: np.ndarray) -> np.ndarray:
    """Compute the cost of the rows, and of draws of units with replacement: (1 + RESAMPLES,), NaN where undefined.

    The draws are the same for everything that is compared.
    """
    count = min(RESAMPLES, max(20, MOST_ANSWERS // rows.effort))
    scores = [rows.score(values), *rows.resampled(values, count, seed=0)]
    return np.asarray([rows.metric.cost(score) for score in scores])


def difference(one: np.ndarray, other: np.ndarray, counts: np.ndarray | None) -> tuple[float, float]:
    """Compute how much higher the mean loss, or cost, of one is than that of the other, and its standard error.

    A mean over rows is a ratio of sums over units, rows and losses both being random; its error is linearised. Source:
    Cochran 1977, Sampling Techniques, section 6.3.

    Args:
        one, other: (U,) sums of losses, or (1 + B,) resampled costs.
        counts: (U,) rows; None: costs were resampled.
    """
    if counts is None:
        apart = one - other
        return float(apart[0]), float(np.nanstd(apart[1:], ddof=1))
    sums, size = one - other, len(counts)
    mean = float(sums.sum() / counts.sum())
    left = sums - mean * counts
    return mean, float(np.sqrt(size / max(1, size - 1) * (left @ left)) / counts.sum())

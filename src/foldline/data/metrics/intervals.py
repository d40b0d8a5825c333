"""The 95 % interval of a score, the series (or groups of series) taken as a random sample.

Means of losses have a formula; all other scores are computed again on series drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from foldline.data.metrics.contract import Metric
from foldline.data.metrics.options import Array, NotScorable
from foldline.data.metrics.resampling import Draw, draws

NORMAL = 1.96  # standard errors on either side of a 95 % interval
RESAMPLES = 1000  # of a bootstrap, at most
LARGEST_COST = 20_000_000  # effort of a score (Metric.effort) times resamples; of more effort fewer are drawn
FEWEST = 40  # resamples, whatever they cost: of fewer the 2.5 % percentile would be the lowest
ENDS = (2.5, 97.5)  # percentiles


class Interval(NamedTuple):
    """The ends of a 95 % interval, NaN where there is none, and what it was made from."""

    low: float
    high: float
    resamples: int = 0  # that were drawn; 0: by formula
    undefined: int = 0  # of these, left out: the metric was not defined on them


def interval(chosen: Metric, loss: Array, series: Array, weight: Array | None = None) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a mean of losses, the lower one first; NaN for a single series.

    The mean loss is a ratio (sum over series of losses, by that of values), whose error is that of its linearisation:
    Cochran 1977, Sampling Techniques, 3rd ed., sec. 6.3.

    Args:
        chosen: a metric that has a loss.
        loss: (R, K) of each value.
        series: (R,) int64, the number of each row's series.
        weight: (R,) of each row, not below 0; None: all alike.
    """
    rows = np.bincount(series)
    if weight is None:
        sums, counts = np.bincount(series, weights=loss.sum(axis=1)), rows * loss.shape[1]
    else:
        sums, counts = (np.bincount(series, weights=each) for each in (weight * loss.mean(axis=1), weight))
    sums, counts = sums[counts > 0], counts[counts > 0]
    if len(sums) < 2:
        return float("nan"), float("nan")
    mean = sums.sum() / counts.sum()
    spread = len(sums) / (len(sums) - 1) * ((sums - mean * counts) ** 2).sum()
    half = NORMAL * np.sqrt(spread) / counts.sum()
    # A mean loss is never below 0, and the root of less would be NaN.
    ends = chosen.finish(max(mean - half, 0.0)), chosen.finish(mean + half)
    return (ends[1], ends[0]) if chosen.higher_is_better else ends


def score_interval(
    chosen: Metric,
    truth: Array,
    prediction: Array,
    series: Array,
    weight: Array | None = None,
    groups: Array | None = None,
    seed: int = 0,
) -> Interval:
    """Return the 95 % interval of any metric's score: `interval` where it is a mean of losses, else a bootstrap.

    Args:
        truth: (R, K), as `Metric.score` takes them; prediction, weight and groups too.
        series: (R,) int64, the number of what is drawn at random: each row's series, or its group.
        seed: of the bootstrap's draws.
    """
    if chosen.is_mean_of_losses:
        return Interval(*interval(chosen, chosen.losses(truth, prediction, weight), series, weight))

    def score(draw: Draw) -> float:
        rows, of_group = draw.rows, chosen.drawn_groups(groups, draw)
        return chosen.score(truth[rows], prediction[rows], None if weight is None else weight[rows], of_group)

    return bootstrap(score, series, seed, chosen.effort(len(truth), groups))


def bootstrap(score: Callable[[Draw], float], series: Array, seed: int = 0, effort: int | None = None) -> Interval:
    """Return the percentiles of a score over series drawn with replacement: Efron and Tibshirani 1993, ch. 13.

    Args:
        score: of the rows that were drawn.
        series: (R,) int64, the number of each row's series.
        seed: the same seed, series and score give the same interval.
        effort: of one score, as `Metric.effort` has it; None: that of a plain metric of R rows.
    """
    if len(np.unique(series)) < 2:
        return Interval(float("nan"), float("nan"))
    resamples, random = count_of_resamples(len(series) if effort is None else effort), np.random.default_rng(seed)
    found, undefined = list[float](), 0
    for draw in draws(series, resamples, random):
        try:
            found.append(score(draw))
        except NotScorable:
            undefined += 1
    if not found:
        return Interval(float("nan"), float("nan"), resamples, undefined)
    low, high = np.percentile(found, ENDS)
    return Interval(float(low), float(high), resamples, undefined)


def count_of_resamples(effort: int) -> int:
    """Return how many resamples a bootstrap draws. effort: of one score, in answers, as `Metric.effort` has it."""
    return min(RESAMPLES, max(FEWEST, LARGEST_COST // max(effort, 1)))

"""Metrics of numbers. Each is a function that makes it for some options.

Several columns are pooled (one score of all values) unless a metric says otherwise; `columns = "mean"` takes the mean
of the columns' scores. A CRPS of point predictions is their MAE: it comes with predictions that hold more than a point.
"""

from __future__ import annotations

import functools

import numpy as np

from foldline.core.errors import UserError
from foldline.data.metrics import averages, losses
from foldline.data.metrics.contract import Metric
from foldline.data.metrics.options import Answers, Array, Compute, Kind, Loss, MetricOptions, NotScorable


def _root(mean: float) -> float:
    return float(np.sqrt(mean))


def mae(options: MetricOptions, answers: Answers) -> Metric:
    """Mean absolute error."""
    return Metric(losses.absolute, float, "l1", kinds=("regression", "ordinal"))


def mse(options: MetricOptions, answers: Answers) -> Metric:
    """Mean squared error."""
    return Metric(losses.squared, float, "l2", kinds=("regression", "ordinal"))


def rmse(options: MetricOptions, answers: Answers) -> Metric:
    """Root of the mean squared error."""
    return _rooted(losses.squared, options, kinds=("regression", "ordinal"))


def mcrmse(options: MetricOptions, answers: Answers) -> Metric:
    """Mean over columns of each one's root mean squared error."""
    return Metric(None, float, "l2", compute=averages.over_columns(_root_mean(losses.squared), "mean", options))


def rmsle(options: MetricOptions, answers: Answers) -> Metric:
    """Root of the mean squared difference of log(1 + value); infinite where a prediction is -1 or below."""
    return _rooted(_squared_log, options)


def rmspe(options: MetricOptions, answers: Answers) -> Metric:
    """Root of the mean squared error, each divided by its truth."""
    return _rooted(_squared_share, options)


def mape(options: MetricOptions, answers: Answers) -> Metric:
    """Mean absolute error, each divided by its truth: a share, not a percentage."""
    return Metric(_absolute_share, float, "l1")


def smape(options: MetricOptions, answers: Answers) -> Metric:
    """Mean of |truth - prediction| over the mean of their absolute values; 0/0 is 0. From 0 to 2, not 200 %."""
    return Metric(_symmetric_share, float, "l1")


def pinball(options: MetricOptions, answers: Answers) -> Metric:
    """Mean loss of a quantile (Koenker and Bassett 1978, Econometrica 46); options.level says which."""
    return Metric(functools.partial(_pinball, level=options.level), float, "l1", takes=("level",))


def medae(options: MetricOptions, answers: Answers) -> Metric:
    """Median of absolute errors."""
    return Metric(None, float, "l1", compute=averages.over_columns(_median, "pooled", options), takes=("columns",))


def r2(options: MetricOptions, answers: Answers) -> Metric:
    """1 - squared error / squared deviation of the truth from its mean; the mean of the columns' ones."""
    compute = averages.over_columns(_explained, "mean", options)
    return Metric(None, float, "l2", compute=compute, higher_is_better=True, takes=("columns",))


def r2_zero_mean(options: MetricOptions, answers: Answers) -> Metric:
    """1 - weighted squared error / weighted square of the truth: no mean is subtracted."""
    compute = averages.over_columns(_explained_of_squares, "pooled", options)
    return Metric(None, float, "l2", compute=compute, higher_is_better=True, takes=("columns",))


def _rooted(loss: Loss, options: MetricOptions, kinds: tuple[Kind, ...] = ("regression",)) -> Metric:
    """Make the root of a mean loss: of all values, or the mean of the columns' roots."""
    if options.columns != "mean":
        return Metric(loss, _root, "l2", kinds=kinds, takes=("columns",))
    compute = averages.over_columns(_root_mean(loss), "mean", options)
    return Metric(None, float, "l2", kinds=kinds, compute=compute, takes=("columns",))


def _root_mean(loss: Loss) -> Compute:
    return lambda truth, prediction, weight: _root(averages.weighted_mean(loss(truth, prediction), weight))


def _squared_log(truth: Array, prediction: Array) -> Array:
    if (truth <= -1).any():
        raise UserError("rmsle takes log(1 + truth), but some truth is -1 or below: take another metric.")
    with np.errstate(divide="ignore"):
        return np.asarray((np.log1p(truth) - np.log1p(np.maximum(prediction, -1))) ** 2)


def _share(truth: Array, prediction: Array, name: str) -> Array:
    if (none := truth == 0).any():
        raise UserError(
            f"{name} divides by the truth, which is 0 at {none.sum()} of {truth.size} values: leave these out by "
            "data.scored, or take smape."
        )
    return np.asarray((truth - prediction) / truth)


def _squared_share(truth: Array, prediction: Array) -> Array:
    return _share(truth, prediction, "rmspe") ** 2


def _absolute_share(truth: Array, prediction: Array) -> Array:
    return np.asarray(np.abs(_share(truth, prediction, "mape")))


def _symmetric_share(truth: Array, prediction: Array) -> Array:
    both = np.abs(truth) + np.abs(prediction)
    return np.asarray(np.divide(2 * np.abs(truth - prediction), both, out=both, where=both != 0))  # 0/0: `both` is 0


def _pinball(truth: Array, prediction: Array, level: float) -> Array:
    above = truth - prediction
    return np.asarray(np.maximum(level * above, (level - 1) * above))


def _median(truth: Array, prediction: Array, weight: Array | None) -> float:
    from sklearn.metrics import median_absolute_error

    return float(median_absolute_error(truth, prediction, sample_weight=weight))


def _explained(truth: Array, prediction: Array, weight: Array | None) -> float:
    from sklearn.metrics import r2_score

    if (truth == truth[0]).all():
        raise NotScorable("r2 needs a truth that varies, but all values are the same")
    return float(r2_score(truth, prediction, sample_weight=weight))


def _explained_of_squares(truth: Array, prediction: Array, weight: Array | None) -> float:
    square = averages.weighted_mean(truth**2, weight)
    if square == 0:
        raise NotScorable("r2_zero_mean needs a truth that is not all 0")
    return 1 - averages.weighted_mean(losses.squared(truth, prediction), weight) / square

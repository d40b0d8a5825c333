"""Metrics for which only the order of predictions counts."""

from __future__ import annotations

from foldline.core.errors import UserError
from foldline.data.metrics import averages
from foldline.data.metrics.contract import Metric
from foldline.data.metrics.options import Answers, Array, Compute, MetricOptions, NotScorable


def auc(options: MetricOptions, answers: Answers) -> Metric:
    """Area under the ROC curve; of several classes, the average of each against the rest ("macro")."""
    return _of_classes(_auc, options)


def average_precision(options: MetricOptions, answers: Answers) -> Metric:
    """Sum over thresholds of precision times the step of recall, without interpolation; averaged as auc is."""
    return _of_classes(_average_precision, options)


def spearman(options: MetricOptions, answers: Answers) -> Metric:
    """Pearson's correlation of average ranks; the mean of the columns' ones. 0 where all predictions are the same."""
    return Metric(
        None,
        float,
        "l2",
        kinds=("regression", "ordinal"),
        needs="ranks",
        higher_is_better=True,
        compute=averages.over_columns(_spearman, "mean", options),
        weighted=False,
        takes=("columns",),
    )


def _of_classes(compute: Compute, options: MetricOptions) -> Metric:
    if options.average == "binary":
        raise UserError("A metric of ranks averages over classes by macro, micro or weighted: binary is f1's.")
    return Metric(
        None,
        float,
        "bce",
        kinds=("binary", "multilabel", "multiclass"),
        needs="ranks",
        higher_is_better=True,
        compute=averages.over_classes(compute, options),
        takes=("average",),
    )


def _auc(truth: Array, prediction: Array, weight: Array | None) -> float:
    from sklearn.metrics import roc_auc_score

    if (truth == truth[0]).all():
        raise NotScorable(f"auc needs both classes, but all {len(truth)} answers are {truth[0]:g}")
    return float(roc_auc_score(truth, prediction, sample_weight=weight))


def _average_precision(truth: Array, prediction: Array, weight: Array | None) -> float:
    from sklearn.metrics import average_precision_score

    if not truth.any():
        raise NotScorable(f"average_precision needs answers of the class, but none of {len(truth)} is")
    return float(average_precision_score(truth, prediction, sample_weight=weight))


def _spearman(truth: Array, prediction: Array, weight: Array | None) -> float:
    from scipy.stats import spearmanr

    if (truth == truth[0]).all():
        raise NotScorable("spearman needs a truth that varies, but all values are the same")
    if (prediction == prediction[0]).all():
        return 0.0
    return float(spearmanr(truth, prediction).statistic)

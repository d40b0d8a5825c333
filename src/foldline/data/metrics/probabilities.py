"""Metrics of probabilities: means of a loss of each answer (binary, multilabel: of each column)."""

from __future__ import annotations

from foldline.data.metrics import losses
from foldline.data.metrics.contract import Metric
from foldline.data.metrics.options import CLASSES, Answers, Array, MetricOptions


def log_loss(options: MetricOptions, answers: Answers) -> Metric:
    """Mean cross entropy; of several labels, the mean over labels."""

    def loss(truth: Array, prediction: Array) -> Array:
        exclusive = answers.exclusive(truth.shape[1])
        losses.refuse_no_probabilities(prediction, exclusive, "log_loss")
        return losses.cross_entropy(truth, prediction, exclusive, options.clip)

    return Metric(loss, float, "bce", kinds=CLASSES, needs="probabilities", takes=("clip",))


def brier(options: MetricOptions, answers: Answers) -> Metric:
    """Mean squared error of probabilities, summed over classes: from 0 to 1 for one column, to 2 for classes."""

    def loss(truth: Array, prediction: Array) -> Array:
        exclusive = answers.exclusive(truth.shape[1])
        losses.refuse_no_probabilities(prediction, exclusive, "brier")
        return losses.squared_distance(truth, prediction, exclusive)

    return Metric(loss, float, "bce", kinds=CLASSES, needs="probabilities")


def kl(options: MetricOptions, answers: Answers) -> Metric:
    """Mean Kullback-Leibler divergence of the predicted shares from the true ones."""

    def loss(truth: Array, prediction: Array) -> Array:
        losses.refuse_no_probabilities(prediction, True, "kl")
        return losses.divergence(truth, prediction, options.clip)

    return Metric(loss, float, "softmax", kinds=("distribution", "multiclass"), needs="probabilities", takes=("clip",))

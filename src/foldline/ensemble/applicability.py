"""Which methods can blend which answers, by the kind of the target and the metric: asked before any training, too."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

from foldline.core.errors import UserError
from foldline.data.metrics import FileMetric, Metric, scores_columns
from foldline.data.task import SHARES
from foldline.ensemble.blend_config import BlendConfig, Method

FOR_ALL_KINDS = ("best-member", "mean", "logit", "rank", "hill-climb", "simplex", "nnls", "lad", "optuna")
METHODS = tuple(name for name in get_args(Method) if name != "auto")  # from simple to complex
PER_TARGET = ("best-member", "hill-climb", "simplex", "nnls", "lad", "optuna", "ridge")  # can weigh each for itself
SQUARES = ("mse", "rmse", "brier", "r2", "r2_zero_mean", "mcrmse")  # of one column
POOLED_SQUARES = ("mse", "rmse", "brier", "r2_zero_mean")  # of several


def unfit(name: str, metric: Metric, kind: str, columns: int) -> str:
    """Say why a method is not for such answers; empty where it is. columns: K."""
    if name == "nnls" and not _is_of_squares(metric, columns):
        return f"it is the optimum of squared errors (mse, rmse, brier), and the metric is {metric.name}"
    if name == "lad" and not _is_of_absolutes(metric):
        return f"it is the optimum of absolute errors (mae), and the metric is {metric.name}"
    return impossible(name, metric, kind)


def impossible(name: str, metric: Metric, kind: str) -> str:
    """Say why a method can't be fitted to such answers at all; empty where it can."""
    if name == "logit" and kind in ("regression", "ordinal"):
        return "it averages probabilities"
    if name == "rank" and metric.needs != "ranks" and not isinstance(metric, FileMetric):  # of a file the user knows
        return f"it keeps only the order of predictions, and {metric.name} counts more than that"
    if name == "rank" and kind in SHARES:
        return "means of ranks are no shares that sum to one"
    if kind != "regression" and name not in FOR_ALL_KINDS:
        return f"it is for numbers, and the target is {kind}"
    if name == "spread" and metric.loss is None:
        return "it needs a metric that is a mean of losses"
    return ""


def _is_of_squares(metric: Metric, columns: int) -> bool:
    """Whether the weights that are best for the squared errors of all values are best for the metric."""
    if metric.options.groups != "pooled":
        return False
    if columns > 1:
        return metric.name in POOLED_SQUARES and metric.options.columns != "mean"
    return metric.name in SQUARES


def _is_of_absolutes(metric: Metric) -> bool:
    median = metric.name == "pinball" and metric.options.level == 0.5
    return metric.options.groups == "pooled" and (metric.name == "mae" or median)


def applicable(names: Collection[str], metric: Metric, kind: str, columns: int) -> list[str]:
    """List the methods among these that can blend such answers, from simple to complex.

    Nothing says of a metric file that it counts ranks alone: "rank" is for those who name it.
    """
    named = [name for name in METHODS if name in names and not (name == "rank" and isinstance(metric, FileMetric))]
    return [name for name in named if not unfit(name, metric, kind, columns)]


def refusal(name: str, why: str, metric: Metric, kind: str, columns: int) -> UserError:
    """Make the error of a method that is not for such answers. why: as `unfit` says it."""
    others = ", ".join(applicable(METHODS, metric, kind, columns))
    return UserError(f"blend.method = {name!r} does not fit: {why}. Choose one of {others}, or 'auto'.")


def check(config: BlendConfig, metric: Metric, kind: str, columns: int) -> None:
    """Refuse what [blend] asks for and these answers do not allow.

    Raises:
        UserError
    """
    name = config.method_used
    if name != "auto":
        if why := unfit(name, metric, kind, columns):
            raise refusal(name, why, metric, kind, columns)
    elif not applicable(config.candidates, metric, kind, columns):
        others = ", ".join(applicable(METHODS, metric, kind, columns))
        raise UserError(f"blend.candidates = {list(config.candidates)}: none of them fits. Add one of {others}.")
    named = config.candidates if name == "auto" else (name,)
    if config.aggregates and "lightgbm" not in applicable(named, metric, kind, columns):
        raise UserError(
            f"blend.aggregates are seen by the trees of blend.method = 'lightgbm' alone, which are for numbers, but "
            f"the method is {name!r} and the target {kind}: take that method, or 'auto' with it among "
            "blend.candidates, or leave the key out."
        )
    if not config.per_target:
        return
    if not columns_apart(metric, kind, columns):
        raise UserError(
            f"blend.per_target = true needs several targets with scores of their own, but the {kind} target has "
            f"{columns} column{'s' if columns > 1 else ''} that {metric.name} scores together. Leave the key out."
        )
    if name not in ("auto", *PER_TARGET):
        raise UserError(
            f"blend.per_target = true does nothing for blend.method = {name!r}: take one of {', '.join(PER_TARGET)}, "
            "or leave the key out."
        )


def columns_apart(metric: Metric, kind: str, columns: int) -> bool:
    """Whether answers have several columns, each with a score of its own."""
    return columns > 1 and scores_columns(metric, kind)

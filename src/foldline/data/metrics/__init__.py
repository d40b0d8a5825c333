"""The competition's metric, from a registry: one file a family, one function a metric.

    score = metric("f1", MetricOptions(average="macro"), kind="multiclass")(truth, prediction, weight)

contract.py says what truth and prediction are. A competition's own metric is a file in Kaggle's form (kaggle_file.py).
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal

from foldline.core.errors import UserError, unknown
from foldline.data.metrics import averages, chosen_file, labels, losses, probabilities, ranking, regression
from foldline.data.metrics.contract import Metric
from foldline.data.metrics.intervals import Interval, bootstrap, interval, score_interval
from foldline.data.metrics.kaggle_file import UTILITIES_FILE, FileMetric, KaggleFile, from_file, hash_of
from foldline.data.metrics.kaggle_frames import frames
from foldline.data.metrics.options import (
    DEFAULTS,
    NOT_SAID,
    Answers,
    FileChoice,
    Kind,
    MetricChoice,
    MetricOptions,
    NotScorable,
)

__all__ = [
    "METRICS",
    "UTILITIES_FILE",
    "Answers",
    "FileChoice",
    "FileMetric",
    "Interval",
    "KaggleFile",
    "Kind",
    "Metric",
    "MetricChoice",
    "MetricOptions",
    "NotScorable",
    "bootstrap",
    "frames",
    "from_file",
    "hash_of",
    "interval",
    "key_of",
    "loaded",
    "metric",
    "names_for",
    "score_interval",
    "scores_columns",
]

MAKERS: dict[str, Callable[[MetricOptions, Answers], Metric]] = {
    "mae": regression.mae,
    "mse": regression.mse,
    "rmse": regression.rmse,
    "rmsle": regression.rmsle,
    "medae": regression.medae,
    "mape": regression.mape,
    "smape": regression.smape,
    "rmspe": regression.rmspe,
    "mcrmse": regression.mcrmse,
    "r2": regression.r2,
    "r2_zero_mean": regression.r2_zero_mean,
    "pinball": regression.pinball,
    "log_loss": probabilities.log_loss,
    "brier": probabilities.brier,
    "kl": probabilities.kl,
    "auc": ranking.auc,
    "average_precision": ranking.average_precision,
    "spearman": ranking.spearman,
    "accuracy": labels.accuracy,
    "f1": labels.f1,
    "mcc": labels.mcc,
    "qwk": labels.qwk,
}
SHARED = (averages, losses)  # modules whose text is part of every metric's key
WAYS = (
    "There are two ways to add one: the competition's own file, data.metric = 'metric.py', which has "
    "score(solution, submission, row_id_column_name) as Kaggle publishes it; or a function in "
    "src/foldline/data/metrics/ and its line in MAKERS there"
)


def _made(name: str, options: MetricOptions, answers: Answers) -> Metric:
    return replace(MAKERS[name](options, answers), name=name, options=options, answers=answers)


METRICS: dict[str, Metric] = {name: _made(name, DEFAULTS, NOT_SAID) for name in MAKERS}


def metric(
    name: str,
    options: MetricOptions = DEFAULTS,
    kind: Kind | Literal[""] = "",
    classes: int = 0,
    file: FileChoice | None = None,
) -> Metric:
    """Return the metric of that name, made for some options and answers.

    Args:
        name: of the registry.
        options: how it averages, and its parameters.
        kind: of the target; "": see `Answers`.
        classes: number of ranks of an ordinal target; 0: decisions have no upper end.
        file: what is needed where the name is that of a metric file.

    Raises:
        UserError: there is none, and it lists them; it does not score this kind; it does not read an option.
    """
    if file is not None and kind:
        return chosen_file.metric_of(file, kind, classes)
    if name not in METRICS:
        raise UserError(f"{unknown('metric', name, METRICS, 'data.metric')} {WAYS}.")
    if options == DEFAULTS and not kind and not classes:
        return METRICS[name]
    made = _made(name, options, Answers(kind, classes))
    if kind and kind not in made.kinds:
        raise UserError(
            f"data.metric: {name} scores {' and '.join(made.kinds)} targets, but the target is {kind}: take one of "
            f"{', '.join(names_for(kind))}, or a metric file."
        )
    if unread := [option for option in options.changed() if option not in (*made.takes, "groups", "undefined")]:
        known = ", ".join((*made.takes, "groups", "undefined"))
        raise UserError(f"data.metric: {name} does not read the option {unread[0]}; it reads {known}.")
    return made


def loaded(choice: MetricChoice) -> KaggleFile:
    """Return the metric file of a choice that is one."""
    assert choice.file is not None, "a metric file"
    return chosen_file.loaded(choice.file)


def scores_columns(made: Metric, kind: str) -> bool:
    """Return whether columns are targets with scores of their own: not classes, nor what a file takes together."""
    return kind in ("regression", "multilabel") and not isinstance(made, FileMetric)


def names_for(kind: Kind) -> list[str]:
    """List the metrics that score targets of this kind."""
    return [name for name, known in METRICS.items() if kind in known.kinds]


def key_of(
    name: str,
    options: MetricOptions = DEFAULTS,
    kind: Kind | Literal[""] = "",
    classes: int = 0,
    file: FileChoice | None = None,
) -> dict[str, Any]:
    """Return what a cell's key holds of a metric that watches its training: what it was asked for, and its source."""
    if file is not None:
        return {"kind": kind, "classes": classes, "columns": list(file.columns), **chosen_file.loaded(file).key()}
    chosen = metric(name, options, kind, classes)
    functions = [_plain(each) for each in (chosen.loss, chosen.finish, chosen.compute, MAKERS[name])]
    sources = {Path(str(inspect.getsourcefile(each))) for each in (*functions, *SHARED) if each is not None}
    texts = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(sources)}
    return {"name": name, "options": asdict(options), "kind": kind, "classes": classes, "sources": texts}


def _plain(function: Any) -> Any:
    """Return the function that a partial one calls; None for a built-in one: Python's own do not change."""
    inner = function.func if isinstance(function, functools.partial) else function
    return inner if inspect.isfunction(inner) else None

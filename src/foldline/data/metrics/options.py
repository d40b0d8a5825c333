"""What a metric can be asked for, what the answers are, and the error of answers on which it is not defined."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from foldline.core.errors import UserError

Array = np.ndarray
Loss = Callable[[Array, Array], Array]  # (truth, prediction), both (A, K) -> (A, K)
Compute = Callable[[Array, Array, Array | None], float]  # (truth, prediction, weight (A,)) -> score

Kind = Literal["regression", "binary", "multiclass", "multilabel", "ordinal", "distribution"]
CLASSES: tuple[Kind, ...] = ("binary", "multiclass", "multilabel", "distribution")  # predicted by probabilities


class NotScorable(UserError):
    """These answers have no score: one class only, a constant truth, no answer at all, a metric file that refuses.

    A caller that scores parts (folds, resamples) catches it and pools them or leaves them out; of all answers
    together it is the user's error.
    """


class FileChoice(NamedTuple):
    """What the competition's own metric file needs besides (chosen_file.py)."""

    path: str
    higher_is_better: bool | None
    arguments: str  # keywords of score, as JSON
    row_id: str  # name of the ids' column
    columns: tuple[str, ...]  # (K,) of the submission, of labels one; empty: not known yet
    labels: tuple[object, ...]  # where these are submitted
    decided: bool  # whether labels are submitted
    solution: str  # file with further columns of the solution, one row an answer; empty: none


class MetricChoice(NamedTuple):
    """What a metric is made of, in the order of `metric`'s arguments; small enough to be sent to a worker."""

    name: str
    options: MetricOptions
    kind: Kind
    classes: int  # number of labels; 0: the target has none
    file: FileChoice | None = None  # where the metric is a file


class Answers(NamedTuple):
    """What the K columns of truth and prediction are."""

    kind: Kind | Literal[""] = ""  # "": not said; to metrics of classes one column is binary, several are multiclass
    classes: int = 0  # ordinal: number of ranks, the last of which a decision can't exceed; 0: no upper end

    def exclusive(self, columns: int) -> bool:
        """Return whether the columns are classes of which each answer has one, or shares that sum to one."""
        return self.kind in ("multiclass", "distribution") or (self.kind == "" and columns > 1)


@dataclass(frozen=True, kw_only=True)
class MetricOptions:
    """How a metric averages, and its parameters. A metric refuses those it does not read (`Metric.takes`).

    Raises ValueError where a value is none of those that are possible.
    """

    columns: Literal["", "pooled", "mean"] = ""  # of several numbers: one score of all values, or the mean of scores
    average: Literal["", "binary", "macro", "micro", "weighted"] = ""  # over classes, as scikit-learn names them
    groups: Literal["pooled", "mean", "weighted"] = "pooled"  # mean of the groups' scores, plain or by their weights
    undefined: Literal["refuse", "skip"] = "refuse"  # classes, columns, groups without a score: an error, or left out
    level: float = 0.5  # quantile of pinball, between 0 and 1
    clip: float = 1e-15  # probabilities are kept this far from 0 and 1 where their logarithm is taken

    def __post_init__(self) -> None:
        known = {
            "columns": ("", "pooled", "mean"),
            "average": ("", "binary", "macro", "micro", "weighted"),
            "groups": ("pooled", "mean", "weighted"),
            "undefined": ("refuse", "skip"),
        }
        for name, values in known.items():
            if getattr(self, name) not in values:
                choices = ", ".join(repr(value) for value in values if value)
                raise ValueError(f"{name} must be one of {choices}, but is {getattr(self, name)!r}")
        if not 0 < self.level < 1:
            raise ValueError(f"level is a quantile between 0 and 1, such as 0.9, but is {self.level}")
        if not 0 < self.clip < 0.5:
            raise ValueError(f"clip is a small probability such as 1e-15, above 0 and below 0.5, but is {self.clip}")

    def changed(self) -> list[str]:
        """List the names of options that are not the default."""
        return [name for name, value in vars(self).items() if value != getattr(DEFAULTS, name)]


DEFAULTS = MetricOptions()
NOT_SAID = Answers()

"""A metric: which way is better, which kinds of target it scores, what it needs, and its score.

Truth and prediction are float64 arrays of one shape (A, K): A answers (rows or series), K columns.

| kind | truth | prediction |
|---|---|---|
| regression | numbers | numbers |
| binary (K = 1), multilabel | each 0 or 1 | the probability of 1 |
| multiclass, distribution | the share of each class, sum 1 (multiclass: one of them 1) | their probabilities |
| ordinal (K = 1) | the rank 0 .. classes - 1 | the expected rank |

A metric of labels decides by itself: the largest of the classes, 0.5 of a probability, the nearest rank. Decisions that
are made already (one-hot rows, zeros and ones, whole ranks) decide to themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from foldline.core.errors import UserError
from foldline.data.metrics import averages, losses
from foldline.data.metrics.options import (
    CLASSES,
    DEFAULTS,
    NOT_SAID,
    Answers,
    Array,
    Compute,
    Kind,
    MetricOptions,
    NotScorable,
)
from foldline.data.metrics.resampling import Draw

CALL, LOSS_CALL = 3000, 100  # answers that take as long to score as a call: of scikit-learn's functions, of a loss
Needs = Literal["values", "probabilities", "labels", "ranks"]  # ranks: only the order of predictions counts

HEADS: dict[str, str] = {
    "binary": "bce",
    "multilabel": "bce",
    "multiclass": "softmax",
    "distribution": "softmax",
    "ordinal": "ordinal",
}
OBJECTIVES: dict[str, str] = {  # of boosted trees
    "binary": "binary",
    "multilabel": "binary",  # one booster a column
    "multiclass": "multiclass",
    "distribution": "cross_entropy",
    "ordinal": "l2",
}


@dataclass(frozen=True)
class Metric:
    """A metric, made for some options and answers.

    It has a `loss` where the score is finish(weighted mean over answers of the mean over columns of losses): then
    scores of slices, and intervals, need only sums. All others have `compute`.
    """

    loss: Any  # Loss, not below 0; None: the score is no mean of losses
    finish: Callable[[float], float]  # mean loss -> score
    trained_by: str  # the head, and the objective of trees, of numbers: the default of models that name none
    name: str = "unnamed"
    kinds: tuple[Kind, ...] = ("regression",)  # of targets that it scores
    needs: Needs = "values"
    higher_is_better: bool = False
    compute: Compute | None = None
    weighted: bool = True  # takes weights of answers
    takes: tuple[str, ...] = ()  # names of options that it reads, besides groups and undefined
    options: MetricOptions = DEFAULTS
    answers: Answers = NOT_SAID

    def __call__(
        self, truth: Array, prediction: Array, weight: Array | None = None, groups: Array | None = None
    ) -> float:
        """Score predictions; see `score`."""
        return self.score(truth, prediction, weight, groups)

    def score(self, truth: Array, prediction: Array, weight: Array | None = None, groups: Array | None = None) -> float:
        """Score predictions against the truth, in float64. NaN where a prediction is.

        Args:
            truth: (A, K).
            prediction: (A, K).
            weight: (A,) not below 0; an answer of weight 0 counts as absent.
            groups: (A,) the group of each answer; read where options.groups is not "pooled".

        Raises:
            NotScorable: not defined on these answers.
            UserError: values that it can't score, weights that it does not know.
            ValueError: shapes that do not go together, no groups where they are needed.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"{self.name}: truth is {truth.shape}, but prediction is {prediction.shape}")
        kept = self._kept(len(truth), weight)
        if kept is not None:
            truth, prediction, weight = truth[kept], prediction[kept], None if weight is None else weight[kept]
            groups = None if groups is None else groups[kept]
        if not len(truth):
            raise NotScorable(f"{self.name}: there is no answer to score.")
        truth, prediction = truth.astype(np.float64), prediction.astype(np.float64)
        return self._scored(truth, prediction, weight, groups)

    def _scored(self, truth: Array, prediction: Array, weight: Array | None, groups: Array | None) -> float:
        """Score answers that are there and whose weights are above 0."""
        if self.options.groups == "pooled":
            return self._pooled(truth, prediction, weight)
        if groups is None:
            raise ValueError(f"{self.name} averages over groups and needs the group of each answer")
        return averages.over_groups(self._pooled, self.options, groups)(truth, prediction, weight)

    def _kept(self, count: int, weight: Array | None) -> Array | None:
        """Check the weights, and return which answers have one, (A,) bool; None: all."""
        if weight is None:
            return None
        if not self.weighted:
            raise UserError(f"{self.name} has no weights of answers: drop data.weight, or take another metric.")
        if weight.shape != (count,):
            raise ValueError(f"{self.name}: weight must be ({count},), but is {weight.shape}")
        if not (np.isfinite(weight).all() and (weight >= 0).all()):
            raise UserError(f"{self.name}: weights must be finite and not below 0.")
        return None if (weight > 0).all() else weight > 0

    def _pooled(self, truth: Array, prediction: Array, weight: Array | None) -> float:
        if (self.compute is not None or self.needs == "labels") and not np.isfinite(prediction).all():
            return float("nan")
        if self.compute is not None:
            return float(self.compute(truth, prediction, weight))
        each = self.loss(truth, prediction)
        if weight is None:
            return self.finish(float(np.mean(each)))
        return self.finish(averages.weighted_mean(each.mean(axis=1), weight))

    def drawn_groups(self, groups: Array | None, draw: Draw) -> Array | None:
        """Return the groups of drawn rows, (r,): a group that is drawn twice counts as two. groups: (A,) of all."""
        if groups is None:
            return None
        return np.asarray(np.unique(groups, return_inverse=True)[1][draw.rows] * (draw.number.max() + 1) + draw.number)

    def effort(self, answers: int, groups: Array | None = None) -> int:
        """Return how long a score takes, as a number of answers; bounds resamples. groups: (A,) as `score` has them."""
        calls = 0 if self.options.groups == "pooled" or groups is None else len(np.unique(groups))
        return answers + calls * (LOSS_CALL if self.compute is None else CALL)

    def cost(self, score: float) -> float:
        """Return the score, or minus it, so that lower is better."""
        return -score if self.higher_is_better else score

    def is_better(self, score: float, other: float) -> bool:
        """Return whether a score is better than another one; equal ones are not, nor is NaN."""
        return self.cost(score) < self.cost(other)

    def gain(self, before: float, after: float) -> float:
        """Return by how much a score is better than the one before; below 0 it is worse."""
        return self.cost(before) - self.cost(after)

    @property
    def better(self) -> str:
        """Where a better score lies, in a word."""
        return "higher" if self.higher_is_better else "lower"

    @property
    def worse(self) -> str:
        """Where a worse score lies, in a word."""
        return "lower" if self.higher_is_better else "higher"

    @property
    def is_mean_of_losses(self) -> bool:
        """Whether a score is finish(mean loss), so that sums of losses are all that scores and intervals need."""
        return self.loss is not None and self.options.groups == "pooled"

    @property
    def why_resampled(self) -> str:
        """Say as the end of a sentence why a score is no mean of losses; empty where it is one."""
        if self.loss is None:
            return "is no mean of losses"
        return "" if self.options.groups == "pooled" else "is a mean over groups"

    def losses(self, truth: Array, prediction: Array, weight: Array | None = None) -> Array:
        """Return the loss of each value, (A, K); 0 of answers of weight 0: they count as absent, and may have no loss.

        weight: (A,) as `score` takes it. Only where there is a `loss`.
        """
        truth, prediction = truth.astype(np.float64), prediction.astype(np.float64)
        if weight is None or (weight > 0).all():
            return np.asarray(self.loss(truth, prediction))
        found, kept = np.zeros(truth.shape), weight > 0
        found[kept] = self.loss(truth[kept], prediction[kept])
        return found

    def row_loss(self, truth: Array, prediction: Array, weight: Array | None = None) -> Array:
        """Return a loss of each answer, (A,), for pictures: the metric's own, else that of `nearest_loss`."""
        shown = self if self.loss is not None else self.nearest_loss(truth.shape[1])
        return np.asarray(shown.losses(truth, prediction, weight).mean(axis=1))

    def nearest_loss(self, columns: int) -> Metric:
        """Return the mean of a loss for pictures: the log loss where predictions are probabilities, else the error.

        Its name says in words which one. columns: K.
        """
        name, loss = "absolute error", losses.absolute
        if self._of_classes(columns):
            exclusive, clip = self.answers.exclusive(columns), self.options.clip
            name, loss = "log loss", partial(losses.cross_entropy, exclusive=exclusive, clip=clip)
        return Metric(loss=loss, finish=float, trained_by=self.trained_by, name=name, answers=self.answers)

    def _of_classes(self, columns: int) -> bool:
        """Return whether predictions are probabilities."""
        if self.answers.kind:
            return self.answers.kind in CLASSES
        return self.kinds[0] in CLASSES or (columns > 1 and "multiclass" in self.kinds)

    def trained_by_head(self, kind: Kind) -> str:
        """Return the head, models/heads/, by which a network learns targets of this kind unless it names one."""
        return HEADS.get(kind, self.trained_by)

    def trained_by_objective(self, kind: Kind) -> str:
        """Return the objective of boosted trees for targets of this kind, unless the model names one."""
        return OBJECTIVES.get(kind, self.trained_by)

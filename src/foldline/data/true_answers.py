"""The truth of some answers with all that the competition's metric needs to know of them: where predictions are scored.

Whatever scores predictions goes through it, so that weights, groups and what a metric file's solution holds are never
left out: training's score table and the blend (ensemble/blend_rows.py), search, ablation, study, report and `score`.

Letters: A answers, K columns, of one answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from foldline.data import metrics, on_disk
from foldline.data.metrics import Interval, Metric, NotScorable
from foldline.data.metrics.resampling import Draw, draws
from foldline.data.roles import DataConfig
from foldline.data.store import Store


@dataclass(frozen=True, kw_only=True)
class TrueAnswers:
    """Answers that the metric counts."""

    metric: Metric
    y: np.ndarray  # (A, K) float64
    series: np.ndarray  # (A,) int64, which series an answer belongs to
    # (A,) int64, which series are held together: groups, or clusters of similar ones; None: each series is by itself
    subject: np.ndarray | None = None
    kind: str = "regression"  # of the target
    weight: np.ndarray | None = None  # (A,) how much an answer counts, where the metric has weights; None: all alike
    groups: np.ndarray | None = None  # (A,) what the metric needs to know of an answer besides: its group, or number

    @property
    def units(self) -> np.ndarray:
        """Number what is independent, (A,): what holds series together, else each of them; drawn and split whole."""
        return self.series if self.subject is None else self.subject

    def where(self, chosen: np.ndarray) -> Self:
        """Select answers. chosen: (A,) bool, or places."""
        return replace(
            self,
            y=self.y[chosen],
            series=self.series[chosen],
            subject=None if self.subject is None else self.subject[chosen],
            weight=None if self.weight is None else self.weight[chosen],
            groups=None if self.groups is None else self.groups[chosen],
        )

    def score(self, values: np.ndarray) -> float:
        """Score predictions of these answers, (A, K), by the competition's metric.

        Raises:
            NotScorable: it is not defined on them, as an AUC of one class.
        """
        return self.metric(self.y, values, self.weight, self.groups)

    def score_or_nan(self, values: np.ndarray) -> float:
        """Score predictions, (A, K); NaN where the metric is not defined on these answers."""
        try:
            return self.score(values)
        except NotScorable:
            return float("nan")

    def cost(self, values: np.ndarray) -> float:
        """Score predictions such that lower is better; infinite where the metric is not defined on these answers."""
        cost = self.metric.cost(self.score_or_nan(values))
        return cost if np.isfinite(cost) else np.inf

    @property
    def has_targets(self) -> bool:
        """Whether columns are targets with scores of their own."""
        return metrics.scores_columns(self.metric, self.kind)

    def by_target(self, values: np.ndarray) -> list[float]:
        """Score each target alone, (K,), NaN where one has no score; empty where columns are none. values: (A, K)."""
        if not self.has_targets:
            return []
        alone = [replace(self, y=self.y[:, [k]]) for k in range(self.y.shape[1])]
        return [each.score_or_nan(values[:, [k]]) for k, each in enumerate(alone)]

    def interval(self, values: np.ndarray) -> Interval:
        """Return the 95 % interval of the score, units drawn at random. values: (A, K)."""
        return metrics.score_interval(self.metric, self.y, values, self.units, self.weight, self.groups)

    def drawn(self, draw: Draw) -> Self:
        """Take the answers of a resample: a group that was drawn twice counts as two."""
        return replace(self.where(draw.rows), groups=self.metric.drawn_groups(self.groups, draw))

    def resampled(self, values: np.ndarray, count: int, seed: int) -> Iterator[float]:
        """Score `count` resamples of whole units; NaN where one has no score. values: (A, K).

        The draws are the same for all values of the same answers and seed.
        """
        for draw in draws(self.units, count, np.random.default_rng(seed)):
            yield self.drawn(draw).score_or_nan(values[draw.rows])

    @property
    def effort(self) -> int:
        """How long a score takes, as a number of answers: to bound resamples."""
        return self.metric.effort(len(self.y), self.groups)


def of_store(store: Store, data: DataConfig) -> TrueAnswers:
    """Take the scored answers of a training table's store."""
    scored, metric = np.flatnonzero(store.scored), metrics.metric(*store.metric_choice(data))
    weight, groups = store.beside(metric, scored)
    series = on_disk.kept_array(store.series_of_answer[scored])
    return TrueAnswers(
        metric=metric,
        y=on_disk.kept_array(np.asarray(store.y[scored])),
        series=series,
        subject=None if store.held_together is None else store.held_together[series],
        kind=store.task.kind,
        weight=weight,
        groups=groups,
    )

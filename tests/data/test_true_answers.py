"""Answers with all that their metric needs: units are drawn whole, and a group that is drawn twice counts as two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foldline.data.metrics import MetricOptions, metric, score_interval
from foldline.data.metrics.resampling import Draw, draws
from foldline.data.true_answers import TrueAnswers
from foldline.experiment.result import target_values

SERIES = np.repeat(np.arange(12), 3)
TRUTH, WRONG = np.zeros((36, 1)), np.random.default_rng(0).exponential(size=(36, 1))
PLAIN = TrueAnswers(metric=metric("mae"), y=TRUTH, series=SERIES)


@pytest.mark.parametrize("name", ["mae", "medae"])  # by formula, and by resamples
def test_an_interval_is_over_groups_where_there_are_any(name: str) -> None:
    alone = replace(PLAIN, metric=metric(name))
    grouped = replace(alone, subject=SERIES // 3)
    assert grouped.interval(WRONG) == score_interval(metric(name), TRUTH, WRONG, SERIES // 3)
    assert grouped.interval(WRONG) != alone.interval(WRONG)


def test_whole_units_are_drawn_as_many_as_there_are() -> None:
    units = np.array([5, 2, 5, 9, 2, 2])
    for draw in draws(units, 20, np.random.default_rng(0)):
        assert sorted(set(draw.number)) == [0, 1, 2]
        for number in range(3):
            rows = draw.rows[draw.number == number]
            assert rows.tolist() == np.flatnonzero(units == units[rows[0]]).tolist()


def test_a_group_that_is_drawn_twice_counts_as_two() -> None:
    """Group 0 errs by 1, group 1 by 4: their mean is 2.5, and 2 where group 0 is drawn twice and group 1 once."""
    groups = np.array([0, 0, 1])
    options = MetricOptions(groups="mean")
    answers = TrueAnswers(
        metric=metric("mae", options), y=np.zeros((3, 1)), series=groups, subject=groups, groups=groups
    )
    values = np.array([[1.0], [1.0], [4.0]])
    draw = Draw(np.array([0, 1, 0, 1, 2]), np.array([0, 0, 1, 1, 2]))
    assert answers.score(values) == 2.5
    assert answers.drawn(draw).score(values[draw.rows]) == pytest.approx(2.0)


def test_weights_and_groups_go_along_with_a_selection() -> None:
    weight = np.arange(36.0)
    answers = replace(PLAIN, weight=weight)
    some = np.flatnonzero(SERIES > 6)
    expected = np.average(WRONG[some, 0], weights=weight[some])
    assert answers.where(some).score(WRONG[some]) == pytest.approx(expected)
    assert answers.by_target(WRONG) == [pytest.approx(np.average(WRONG[:, 0], weights=weight))]


def test_a_target_without_a_score_of_its_own_is_nan() -> None:
    """As a label that all answers of a part have: the score leaves it out, and so do best and worst of many targets."""
    auc = metric("auc", MetricOptions(undefined="skip"), "multilabel")
    truth, predicted = np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[0.25, 0.5], [0.75, 0.5]])
    answers = TrueAnswers(metric=auc, y=truth, series=np.arange(2), kind="multilabel")
    assert answers.score(predicted) == 1.0
    assert answers.by_target(predicted) == [1.0, pytest.approx(np.nan, nan_ok=True)]
    assert target_values([0.5, np.nan, 0.75, *[0.625] * 4], auc) == [0.625, 0.75, 0.5]


def test_many_groups_and_metric_calls_cost_resamples() -> None:
    """Bounded: a mean over groups calls the metric for each of them."""
    pooled, mean = metric("auc", kind="binary"), metric("auc", MetricOptions(groups="mean"), kind="binary")
    assert pooled.effort(1000) == 1000 < mean.effort(1000, np.arange(1000) % 10) < mean.effort(1000, np.arange(1000))

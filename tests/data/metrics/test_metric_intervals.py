"""Intervals: the formula's bits, the bootstrap against known spreads, its cost, and resamples without a score."""

from __future__ import annotations

import numpy as np
import pytest
from targets import drawn

from foldline.data import metrics
from foldline.data.metrics import MetricOptions, bootstrap, intervals, metric, score_interval
from foldline.data.metrics.resampling import Draw


def test_the_formula_is_the_one_it_was() -> None:
    """Computed here as foldline 0.1 did, to the last bit."""
    rng = np.random.default_rng(0)
    series, truth = np.sort(rng.integers(0, 40, 500)), rng.normal(size=(500, 2))
    for name in ("mae", "rmse"):
        chosen = metric(name)
        loss = chosen.loss(truth, truth + rng.normal(size=truth.shape))
        rows, sums = np.bincount(series), np.bincount(series, weights=loss.sum(axis=1))
        sums, counts = sums[rows > 0], rows[rows > 0] * 2
        mean = sums.sum() / counts.sum()
        spread = len(sums) / (len(sums) - 1) * ((sums - mean * counts) ** 2).sum()
        half = 1.96 * np.sqrt(spread) / counts.sum()
        expected = chosen.finish(max(mean - half, 0.0)), chosen.finish(mean + half)
        assert metrics.interval(chosen, loss, series) == expected


def test_means_of_losses_take_the_formula_with_weights_too() -> None:
    (truth, prediction), series = drawn("regression", columns=2), np.arange(60) // 3
    ones, twos = np.ones(60), np.full(60, 2.0)
    plain = score_interval(metric("rmse"), truth, prediction, series)
    assert plain.resamples == 0 and plain.low < metric("rmse")(truth, prediction) < plain.high
    for weight in (ones, twos):
        found = score_interval(metric("rmse"), truth, prediction, series, weight)
        assert found[:2] == pytest.approx(plain[:2], rel=1e-12)
    hidden = np.where(series < 10, 1.0, 0.0)
    found = score_interval(metric("rmse"), truth, prediction, series, hidden)
    half = score_interval(metric("rmse"), truth[:30], prediction[:30], series[:30])
    assert found[:2] == pytest.approx(half[:2], rel=1e-12)


def test_the_lower_end_comes_first_also_where_higher_is_better() -> None:
    truth, prediction = drawn("multiclass")
    found = score_interval(metric("accuracy"), truth, prediction, np.arange(60))
    assert found.low < metric("accuracy")(truth, prediction) < found.high <= 1.0


def test_the_bootstrap_agrees_with_the_formula_where_both_apply() -> None:
    rng = np.random.default_rng(0)
    series, truth = np.repeat(np.arange(400), 5), rng.normal(size=(2000, 1))
    prediction = truth + rng.normal(size=(400, 1))[series]
    chosen = metric("rmse")
    found = bootstrap(lambda draw: chosen(truth[draw.rows], prediction[draw.rows]), series)
    assert found.resamples == 1000 and found.undefined == 0
    assert found[:2] == pytest.approx(metrics.interval(chosen, chosen.loss(truth, prediction), series), rel=0.02)


def test_series_are_drawn_whole_and_the_seed_decides() -> None:
    series, seen = np.array([7, 3, 7, 3, 9]), list[tuple[int, ...]]()

    def score(draw: Draw) -> float:
        seen.append(tuple(draw.rows))
        return float(draw.rows.sum())

    first = bootstrap(score, series, seed=1)
    of_series = {3: (1, 3), 7: (0, 2), 9: (4,)}
    for rows in seen:
        left = list(rows)
        while left:  # each draw is one series' rows, in their order
            part = of_series[series[left[0]]]
            assert tuple(left[: len(part)]) == part
            left = left[len(part) :]
    draws = len(seen)
    assert bootstrap(score, series, seed=1) == first and seen[draws:] == seen[:draws]
    bootstrap(score, series, seed=2)
    assert seen[2 * draws :] != seen[:draws]


def test_the_spread_of_an_auc_is_that_of_new_samples() -> None:
    """Width against the spread over samples drawn anew from the same distribution."""
    chosen = metric("auc")

    def sample(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        truth = (rng.random((200, 1)) < 0.5).astype(np.float64)
        return truth, truth + 1.5 * rng.normal(size=truth.shape)

    anew = np.std([chosen(*sample(seed)) for seed in range(400)])
    found = score_interval(chosen, *sample(1000), np.arange(200))
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(anew, rel=0.15)


def test_resamples_without_a_score_are_left_out_and_counted() -> None:
    truth, prediction = np.array([[1.0], [0.0], [0.0]]), np.array([[0.9], [0.2], [0.4]])
    found = score_interval(metric("auc"), truth, prediction, np.arange(3))
    share = ((2 / 3) ** 3) + (1 / 3) ** 3  # no 1 among three draws, or nothing else
    assert found.undefined == pytest.approx(share * found.resamples, rel=0.15) and found[:2] == (1.0, 1.0)
    nothing = score_interval(metric("auc"), 0 * truth, prediction, np.arange(3))
    assert np.isnan(nothing[:2]).all() and nothing.undefined == nothing.resamples
    assert np.isnan(score_interval(metric("auc"), truth, prediction, np.zeros(3, dtype=np.int64))[:2]).all()


def test_groups_weights_and_their_averages_are_drawn_along() -> None:
    truth, prediction = drawn("regression", columns=1)
    series, weight = np.arange(60) // 2, np.arange(1.0, 61.0)
    chosen = metric("mae", MetricOptions(groups="mean"))
    found = score_interval(chosen, truth, prediction, series, weight, series % 3)
    assert found.resamples == 1000 and found.low < chosen(truth, prediction, weight, series % 3) < found.high


def test_more_answers_mean_fewer_resamples() -> None:
    assert intervals.count_of_resamples(100) == intervals.RESAMPLES == 1000
    for answers in (20_001, 100_000, 499_999):
        count = intervals.count_of_resamples(answers)
        assert 40 <= count < 1000 and count * answers <= intervals.LARGEST_COST
    assert intervals.count_of_resamples(10_000_000) == intervals.FEWEST


@pytest.mark.parametrize("name", ["mape", "rmspe", "rmsle"])
def test_answers_of_weight_0_need_no_loss(name: str) -> None:
    """They count as absent: also in an interval, a relative error of a truth of 0 is no mistake there."""
    truth, series = np.array([[0.0], [1.0], [2.0], [4.0]]), np.arange(4)
    prediction, weight = truth + np.array([[-1.0], [0.5], [0.2], [0.1]]), np.array([0.0, 1.0, 3.0, 2.0])
    found = score_interval(metric(name), truth, prediction, series, weight)
    assert found[:2] == score_interval(metric(name), truth[1:], prediction[1:], series[1:], weight[1:])[:2]
    assert metric(name).row_loss(truth, prediction, weight)[0] == 0.0

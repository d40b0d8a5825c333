"""Nested scores and "auto": no row takes part in fitting its own weights, and the simplest of the best is chosen."""

from __future__ import annotations

from dataclasses import replace

import blends
import numpy as np
import pytest

from foldline.data.metrics import NotScorable, metric
from foldline.ensemble import BlendConfig, BlendRows, MethodScore, NestedPredictions, choose_method, fit, nested
from foldline.ensemble.methods import FITS, compare_methods
from foldline.ensemble.paired_difference import difference, evidence, unit_losses
from foldline.evidence.blending import member_contributions

QUICK = BlendConfig(trials=6, rounds=3, candidates=("best-member", "mean", "hill-climb", "nnls"))


@pytest.mark.parametrize("method", ["auto", *FITS])
def test_a_folds_own_targets_never_weigh_its_rows(method: str) -> None:
    rows = blends.fitting(method)
    before = nested(QUICK, rows, method).values
    for number in (0, 3):
        inside = rows.fold == number
        other = 1.0 - rows.y if rows.kind == "binary" else 1000.0 * rows.predictions[2]
        changed = replace(rows, y=np.where(inside[:, None], other, rows.y))
        assert np.array_equal(nested(QUICK, changed, method).values[inside], before[inside])


def test_the_changed_targets_of_that_test_change_all_other_folds() -> None:
    rows = blends.noisy()
    changed = replace(rows, y=np.where((rows.fold == 0)[:, None], 1000.0 * rows.predictions[2], rows.y))
    after, before = nested(QUICK, changed, "nnls").values, nested(QUICK, rows, "nnls").values
    assert (after[rows.fold != 0] != before[rows.fold != 0]).all()


def test_nested_rows_are_those_of_a_blend_fitted_on_the_others() -> None:
    rows = blends.noisy()
    found = nested(QUICK, rows, "hill-climb")
    inside = rows.fold == 2
    by_hand = fit(QUICK, rows.where(~inside), "hill-climb")
    assert found.fitted[2] == by_hand
    np.testing.assert_array_equal(found.values[inside], by_hand.apply(rows.predictions[:, inside]))


def test_rows_of_one_fold_are_split_by_series() -> None:
    rows = blends.noisy().where(blends.noisy().fold == 1)
    together = {int(series): set(rows.cv_parts[rows.series == series].tolist()) for series in np.unique(rows.series)}
    assert all(len(parts) == 1 for parts in together.values())
    assert np.bincount(rows.cv_parts).tolist() == [15, 15, 10, 10, 10]  # 12 series of 5 rows


def scored(rows: BlendRows, method: str, values: np.ndarray) -> MethodScore:
    """Score a method with those nested predictions. values: (R, K)."""
    return MethodScore(method, NestedPredictions(values, ()), rows.metric(rows.y, values), unit_losses(rows, values)[0])


def test_the_simplest_that_none_beats_by_one_standard_error_is_chosen() -> None:
    """20 series; nnls is right everywhere, the others are off by 1 in whole series, up to two of them."""
    rows = blends.rows(np.zeros((2, 100, 1)), np.zeros((100, 1)))
    off = [(rows.series < count)[:, None] * 1.0 for count in range(3)]
    methods = [scored(rows, "mean", off[2]), scored(rows, "hill-climb", off[1]), scored(rows, "nnls", off[0])]
    found = compare_methods(QUICK, rows, methods[::-1])
    assert [each.method for each in found.methods] == ["mean", "hill-climb", "nnls"] and found.best == "nnls"
    assert [each.behind for each in found.methods] == pytest.approx([0.1, 0.05, 0.0])
    # of 20 series 2 (1) are off by 1: variance of a series 20/19 * 0.1 * 0.9 (0.05 * 0.95), of their mean a 20th
    assert [each.error for each in found.methods] == pytest.approx([(0.09 / 19) ** 0.5, (0.0475 / 19) ** 0.5, 0.0])
    # 0.1 behind with an error of 0.0688; 0.05 behind with an error of 0.05, which is not more than one
    assert [each.beaten for each in found.methods] == ["nnls", "", ""] and found.chosen == "hill-climb"


def test_what_is_closer_than_a_millionth_is_not_beaten() -> None:
    rows = blends.rows(np.zeros((2, 100, 1)), np.zeros((100, 1)))
    for gap, by in ((5e-7, ""), (5e-5, "nnls")):
        found = compare_methods(
            QUICK, rows, [scored(rows, "mean", rows.y + 1.0 + gap), scored(rows, "nnls", rows.y + 1.0)]
        )
        assert found.methods[0].beaten == by


def test_methods_are_compared_with_each_other_not_only_with_the_best() -> None:
    """The trees are best, but with a large standard error; the climb beats the mean clearly."""
    rows = blends.rows(np.zeros((2, 100, 1)), np.zeros((100, 1)))
    config = replace(QUICK, candidates=("mean", "hill-climb", "lightgbm"))
    half = (rows.series % 2)[:, None]
    methods = [
        scored(rows, "mean", 1.00 - half),
        scored(rows, "hill-climb", 0.99 - 0.99 * half),
        scored(rows, "lightgbm", 0.96 * half),
    ]
    found = compare_methods(config, rows, methods)
    assert found.best == "lightgbm" and found.methods[0].behind < found.methods[0].error
    assert found.methods[0].beaten == "hill-climb" and found.chosen == "hill-climb"


def test_what_is_no_candidate_is_compared_and_never_chosen() -> None:
    rows = blends.rows(np.zeros((2, 100, 1)), np.zeros((100, 1)))
    found = compare_methods(QUICK, rows, [scored(rows, "median", rows.y), scored(rows, "nnls", rows.y + 1.0)])
    assert (found.best, found.chosen) == ("nnls", "nnls")
    assert found.methods[0].behind == -1.0 and not any(each.beaten for each in found.methods)


def test_auto_takes_the_mean_of_equals_and_weighs_unequals() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4000, 1))
    noise = rng.normal(size=(2, 4000, 1))
    equal, unequal = (blends.rows(y + noise * np.array([1.0, scale])[:, None, None], y) for scale in (1.0, 4.0))
    assert choose_method(QUICK, equal).chosen == "mean"
    assert choose_method(QUICK, unequal).chosen in ("hill-climb", "nnls")
    assert fit(replace(QUICK, method="auto"), equal).method == "mean"


def test_auto_takes_the_mean_where_the_other_folds_have_no_score() -> None:
    """As an AUC of one class: nothing says which method is better there."""
    rows = blends.probabilities()
    rows = replace(rows, metric=metric("auc", kind="binary"), fold=rows.fold % 2)
    rows = replace(rows, y=np.where((rows.fold == 1)[:, None], 0.0, rows.y))
    found = nested(replace(QUICK, method="auto"), rows)
    assert found.fitted[0].method == "mean"
    np.testing.assert_allclose(found.values[rows.fold == 0], rows.predictions.mean(axis=0)[rows.fold == 0])


def test_auto_leaves_methods_out_that_the_metric_refuses() -> None:
    """Two of three members are constant, and so is the median, which a correlation of a competition's file refuses."""

    def correlation(truth: np.ndarray, prediction: np.ndarray, weight: np.ndarray | None) -> float:
        if prediction.std() == 0:
            raise NotScorable("constant")
        return float(np.corrcoef(truth[:, 0], prediction[:, 0])[0, 1])

    good = blends.noisy(members=1, metric="spearman")
    flat = np.ones_like(good.predictions)
    rows = replace(blends.rows(np.concatenate([good.predictions, flat, flat]), good.y, "spearman"))
    rows = replace(rows, metric=replace(rows.metric, compute=correlation))
    config = replace(QUICK, method="auto", candidates=("median", "best-member"))
    found = choose_method(config, rows)
    assert [each.method for each in found.methods] == ["best-member"] and found.chosen == "best-member"
    assert fit(replace(config, candidates=("median",)), rows).method == "mean"
    with pytest.raises(NotScorable, match=r"of none of blend.candidates = \['median'\]"):
        choose_method(replace(config, candidates=("median",)), rows)


def test_the_error_of_a_difference_is_that_of_resampled_series() -> None:
    """Series of different lengths; the slow way is a bootstrap over them."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 12, size=150)
    series = np.repeat(np.arange(150), lengths)
    y = rng.normal(size=(len(series), 1))
    one, other = (y + np.repeat(rng.gamma(2.0, size=150), lengths)[:, None] * scale for scale in (1.0, 0.7))
    rows = replace(blends.rows(np.stack([one, other]), y), series=series)
    (sums, counts), others = unit_losses(rows, one), unit_losses(rows, other)[0]
    assert counts.tolist() == lengths.tolist() and sums[3] == pytest.approx(np.abs(one - y)[series == 3].sum())
    drawn = rng.integers(150, size=(4000, 150))
    bootstrap = (sums - others)[drawn].sum(axis=1) / lengths[drawn].sum(axis=1)
    mean, error = difference(sums, others, counts)
    assert mean == pytest.approx((np.abs(one - y) - np.abs(other - y)).mean())
    assert error == pytest.approx(bootstrap.std(), rel=0.05)


def test_what_a_member_contributes_is_the_loss_of_the_blend_without_it() -> None:
    rows = blends.noisy(members=3)
    fitted, found = fit(QUICK, rows, "nnls"), nested(QUICK, rows, "nnls")
    known = member_contributions.contributions(QUICK, rows, fitted, found, [1.0, 2.0, None])
    without = nested(QUICK, rows.select_members([0, 2]), "nnls").values
    assert known[1].without == pytest.approx(rows.metric(rows.y, without))
    assert known[1].gain == pytest.approx(known[1].without - rows.metric(rows.y, found.values))
    assert [each.weight for each in known] == list(fitted.weights or ())
    assert [each.seconds for each in known] == [1.0, 2.0, None]
    assert known[0].gain > known[2].gain  # the first is the least noisy


def test_correlations_of_errors_are_those_of_numpy() -> None:
    rows = blends.noisy(members=4, targets=2)
    errors = rows.predictions - rows.y
    by_hand = np.mean([np.corrcoef(errors[..., target]) for target in range(2)], axis=0)
    np.testing.assert_allclose(member_contributions.correlation(rows), by_hand)
    perfect = blends.rows(np.stack([rows.y, rows.predictions[0]]), rows.y)  # no errors, so like no other's
    np.testing.assert_allclose(member_contributions.correlation(perfect), [[0.0, 0.0], [0.0, 1.0]])


def test_optimism_is_what_fitting_on_the_scored_rows_adds() -> None:
    rows = blends.noisy(count=60, members=5, metric="mse")
    mean, fitted = fit(QUICK, rows, "mean"), fit(QUICK, rows, "nnls")
    assert member_contributions.optimism(rows, mean, nested(QUICK, rows, "mean")) == pytest.approx(0.0, abs=1e-12)
    assert member_contributions.optimism(rows, fitted, nested(QUICK, rows, "nnls")) > 0


def test_weights_of_each_nested_fit_are_shown() -> None:
    rows = blends.noisy()
    assert member_contributions.refitted(nested(QUICK, rows, "median")) is None
    shown = member_contributions.refitted(nested(QUICK, rows, "nnls"))
    assert shown is not None and shown.shape == (4, 3) and shown.sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["mae", "medae"])
def test_groups_are_drawn_and_split_whole(name: str) -> None:
    rng = np.random.default_rng(4)
    y, series = rng.normal(size=(60, 1)), np.arange(60) // 2
    values = y + rng.normal(size=y.shape)
    rows = replace(blends.rows(values[None], y), series=series, fold=np.zeros(60, np.int64), metric=metric(name))
    grouped, of_groups = replace(rows, subject=series // 3), replace(rows, series=series // 3)
    np.testing.assert_array_equal(evidence(grouped, values)[0], evidence(of_groups, values)[0])
    assert all(len(np.unique(grouped.cv_parts[series // 3 == group])) == 1 for group in range(10))

"""Power and detectable effects, against drawn deltas and against scipy's noncentral t."""

from __future__ import annotations

import numpy as np
import pytest
from ablations import drawn
from scipy import stats

from foldline.evidence.ablation import significance, statistical_power
from foldline.evidence.ablation.statistical_power import DecisionRule, DeltaVariance

ONE = DeltaVariance(folds=5, seeds=1, split_variance=1.0, seed_variance=0.0, residual_variance=0.0)


def design(folds: int, seeds: int, split: float) -> DeltaVariance:
    """The components of `drawn`: folds correlated by 1/k differ by less than their variance."""
    return DeltaVariance(
        folds=folds, seeds=seeds, split_variance=split * (1 - 1 / folds), seed_variance=0.0, residual_variance=1.0
    )


def test_mean_squares_are_those_of_the_two_way_table() -> None:
    """Rows 0 and 2, columns 0 and 1 apart, no residual: 2 * 2, 2 * 0.5, 0."""
    assert statistical_power.mean_squares(np.array([[0.0, 1.0], [2.0, 3.0]])) == pytest.approx((4.0, 1.0, 0.0))


def test_time_folds_have_a_ratio_of_their_own() -> None:
    """Folds that train on 1, 2 and 3 blocks and hold out one: 1, 1/2 and 1/3 held out for each trained on."""
    ratio = (1 + 1 / 2 + 1 / 3) / 3
    assert statistical_power.correction(3) == pytest.approx(1 / 3 + 1 / 2)
    assert statistical_power.correction(3, ratio) == pytest.approx(1 / 3 + ratio)
    deltas = np.array([[1.0], [2.0], [6.0]])
    assert significance.corrected_t(deltas, ratio)[1] == pytest.approx(np.sqrt((1 / 3 + ratio) * deltas.var(ddof=1)))
    rule = DecisionRule(delta=0.01, ratio=ratio)
    (found,), (plain,) = (significance.judge(deltas[None], each) for each in (rule, DecisionRule(delta=0.01)))
    assert found.standard_error > plain.standard_error and found.detectable_effect > plain.detectable_effect


def test_components_are_recovered() -> None:
    rng = np.random.default_rng(1)
    deltas = 2 * rng.normal(size=(400, 1)) + 3 * rng.normal(size=(1, 300)) + rng.normal(size=(400, 300))
    variance = DeltaVariance.of(deltas)
    np.testing.assert_allclose(
        [variance.split_variance, variance.seed_variance, variance.residual_variance], [4, 9, 1], rtol=0.2
    )


def test_a_component_below_zero_is_zero_and_is_pooled_with_the_residual() -> None:
    deltas = np.array([[1.0, -1.0], [-1.0, 1.0]])  # means of folds and of seeds are all 0
    assert DeltaVariance.of(deltas) == DeltaVariance(
        folds=2, seeds=2, split_variance=0.0, seed_variance=0.0, residual_variance=4 / 3
    )


def test_only_a_component_below_zero_is_pooled() -> None:
    """Mean squares 6, 0.67, 4.67 with 2, 1, 2 degrees of freedom: only that of the seeds is pooled."""
    variance = DeltaVariance.of(np.array([[4.0, 0.0], [1.0, 3.0], [5.0, 5.0]]))
    found = (variance.split_variance, variance.seed_variance, variance.residual_variance)
    assert found == pytest.approx((2 / 3, 0.0, 10 / 3))


def test_with_one_seed_the_power_is_the_noncentral_t() -> None:
    error = ONE.true_error(1)
    critical, shift = stats.t.ppf(0.975, 4), 2.5 / error
    wanted = stats.nct.sf(critical, 4, shift) + stats.nct.cdf(-critical, 4, shift)
    assert statistical_power.power_of_difference_test(ONE, 2.5, 1, 0.05) == pytest.approx(wanted, abs=2e-3)


@pytest.mark.parametrize(("folds", "seeds", "split"), [(5, 3, 0.0), (5, 3, 1.0), (10, 2, 0.3), (3, 2, 4.0)])
@pytest.mark.parametrize("variants", [1, 8])
def test_the_detectable_effect_is_found_as_often_as_promised(
    folds: int, seeds: int, split: float, variants: int
) -> None:
    """Within the sampling error of 1,000 draws, and what the never negative estimate of the seed variance costs."""
    rule = DecisionRule(delta=1e-9, variants=variants)
    effect = statistical_power.detectable_effect(design(folds, seeds, split), seeds, rule)
    deltas = drawn(1000, folds, seeds, split, effect)
    p = [significance.p_difference(*significance.corrected_t(each), folds - 1) for each in deltas]
    assert rule.power - 0.1 < np.mean(np.array(p) <= rule.first_level) < rule.power + 0.04


def test_power_to_equate_against_draws() -> None:
    variance = design(5, 2, 0.5)
    deltas = drawn(2000, 5, 2, 0.5, effect=0.2)
    p = [significance.p_equivalence(*significance.corrected_t(each), 4, 3.0) for each in deltas]
    assert statistical_power.power_of_equivalence_test(variance, 0.2, 2, 3.0, 0.05) == pytest.approx(
        np.mean(np.array(p) <= 0.05), abs=0.06
    )


def test_more_seeds_help_where_trainings_differ() -> None:
    variance = DeltaVariance(folds=5, seeds=2, split_variance=0.0, seed_variance=0.0, residual_variance=1.0)
    rule = DecisionRule(delta=0.01)
    seeds = statistical_power.seeds_needed(variance, 0.7, rule)
    assert seeds is not None and seeds > 2
    assert (
        statistical_power.power_of_difference_test(variance, 0.7, seeds, 0.05)
        >= 0.8
        > statistical_power.power_of_difference_test(variance, 0.7, seeds - 1, 0.05)
    )


def test_no_number_of_seeds_helps_where_folds_differ() -> None:
    assert (
        statistical_power.seeds_needed(
            DeltaVariance(folds=5, seeds=2, split_variance=1.0, seed_variance=0.0, residual_variance=1.0),
            0.7,
            DecisionRule(delta=0.01),
        )
        is None
    )


def test_one_seed_cannot_say_how_many_are_needed() -> None:
    assert statistical_power.seeds_needed(ONE, 100.0, DecisionRule(delta=0.01)) is None


def test_more_seeds_also_show_equivalence() -> None:
    variance = DeltaVariance(folds=5, seeds=2, split_variance=0.0, seed_variance=0.0, residual_variance=1.0)
    seeds = statistical_power.seeds_needed(variance, 0.0, DecisionRule(delta=1.0))
    assert seeds is not None and statistical_power.power_of_equivalence_test(variance, 0.0, seeds, 1.0, 0.05) >= 0.8


def test_standard_errors_by_hand() -> None:
    """Correction 1/5 + 1/4; four seeds. The test corrects the residual variance too, in truth only splits overlap."""
    variance = DeltaVariance(folds=5, seeds=2, split_variance=1.0, seed_variance=0.5, residual_variance=2.0)
    assert variance.test_error(4) == pytest.approx(np.sqrt(0.45 * (1.0 + 2.0 / 4) + 0.5 / 4))
    assert variance.true_error(4) == pytest.approx(np.sqrt(0.45 * 1.0 + 0.5 / 4 + 2.0 / 20))


def test_without_an_effect_the_power_is_the_level_from_both_tails() -> None:
    assert statistical_power.power_of_difference_test(ONE, 0.0, 1, 0.05) == pytest.approx(0.05, abs=2e-3)


def test_the_first_level_is_that_of_holm() -> None:
    assert DecisionRule(delta=1.0, alpha=0.05, variants=10).first_level == pytest.approx(0.005)

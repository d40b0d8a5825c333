"""The tests behind a verdict, by numbers worked out by hand; and their false alarms on drawn deltas."""

from __future__ import annotations

import numpy as np
import pytest
from ablations import drawn
from scipy import stats

from foldline.evidence.ablation import significance
from foldline.evidence.ablation.significance import DecisionRule


def test_one_seed_is_the_test_of_nadeau_and_bengio() -> None:
    """Five deltas by hand: mean 3, variance 2.5, correction 1/5 + 1/4."""
    effect, error = significance.corrected_t(np.array([[1.0], [2.0], [3.0], [4.0], [5.0]]))
    assert effect == 3.0 and error == pytest.approx(np.sqrt(0.45 * 2.5))
    assert significance.p_difference(effect, error, 4) == pytest.approx(2 * stats.t.sf(3 / np.sqrt(1.125), 4))


def test_copies_of_a_seed_add_no_evidence() -> None:
    one = np.array([[0.1], [0.4], [0.2]])
    assert significance.corrected_t(np.repeat(one, 7, axis=1)) == pytest.approx(significance.corrected_t(one))


def test_seed_variance_adds_to_the_error() -> None:
    """Two seeds that differ by 2 in every fold: variance between them 2, so the mean of both has variance 1."""
    effect, error = significance.corrected_t(np.array([[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]]))
    assert effect == 1.0 and error == pytest.approx(1.0)


def test_a_seed_variance_below_zero_counts_as_zero() -> None:
    """Mean squares by hand: folds 6, seeds 0.67, residual 4.67; (1/3 + 1/2) * 6 / 2 is left."""
    _, error = significance.corrected_t(np.array([[4.0, 0.0], [1.0, 3.0], [5.0, 5.0]]))
    assert error == pytest.approx(np.sqrt(2.5))


def test_holm_by_hand() -> None:
    """Sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1; the third is raised to the second."""
    found = significance.holm(np.array([0.03, 0.01, 0.5, 0.02]))
    np.testing.assert_allclose(found, [0.06, 0.04, 0.5, 0.06])


def test_holm_never_adjusts_a_larger_p_below_a_smaller_one() -> None:
    """0.020, 0.021, 0.5 times 3, 2, 1: the second would be 0.042, below 0.05, though the first is 0.06."""
    np.testing.assert_allclose(significance.holm(np.array([0.020, 0.021, 0.5])), [0.06, 0.06, 0.5])
    np.testing.assert_allclose(significance.holm(np.array([0.5, 0.021, 0.020])), [0.5, 0.06, 0.06])


def test_holm_stops_at_one() -> None:
    np.testing.assert_allclose(significance.holm(np.array([0.6, 0.5, 0.9])), [1.0, 1.0, 1.0])


def test_a_verdict_uses_the_monotone_steps() -> None:
    """Two variants at p = 0.020 and 0.021 beside one without effect: neither is significant at 0.05."""
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(5, 1))
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    error = np.sqrt(0.45)  # of five folds whose deltas have variance 1
    effects = [error * stats.t.isf(p / 2, 4) for p in (0.020, 0.021, 0.5)]
    judged = significance.judge(np.stack([noise + effect for effect in effects]), DecisionRule(delta=1e-9, variants=3))
    np.testing.assert_allclose([each.p for each in judged], [0.020, 0.021, 0.5])
    assert [each.verdict for each in judged] == ["cannot tell yet"] * 3


@pytest.mark.parametrize("mean", [0.3, -0.3, 1.4])
def test_equivalence_is_the_larger_of_two_one_sided_tests(mean: float) -> None:
    error, df, delta = 0.2, 4, 1.0
    above, below = stats.t.sf((mean + delta) / error, df), stats.t.cdf((mean - delta) / error, df)
    assert significance.p_equivalence(mean, error, df, delta) == pytest.approx(max(above, below))


@pytest.mark.parametrize(
    ("effect", "spread", "verdict"),
    [
        (-5.0, 0.1, "helps"),
        (5.0, 0.1, "hurts"),
        (0.3, 0.01, "no difference"),  # significant, and within the margin
        (0.0, 0.01, "no difference"),
        (0.5, 5.0, "cannot tell yet"),
    ],
)
def test_verdicts(effect: float, spread: float, verdict: str) -> None:
    deltas = effect + spread * np.array([[-1.0, 0.5], [0.3, 0.2], [0.9, -0.4], [-0.6, 0.1]])
    (found,) = significance.judge(deltas[None], DecisionRule(delta=1.0))
    assert found.verdict == verdict and found.effect == pytest.approx(deltas.mean())


def test_both_families_are_adjusted_by_holm() -> None:
    rng = np.random.default_rng(0)
    deltas, delta = rng.normal(size=(4, 5, 2)), 1.5
    judged = significance.judge(deltas, DecisionRule(delta=delta, variants=4))
    tests = [significance.corrected_t(each) for each in deltas]
    equivalence = [significance.p_equivalence(*each, 4, delta) for each in tests]
    np.testing.assert_allclose(
        [each.p_holm for each in judged], significance.holm(np.array([each.p for each in judged]))
    )
    np.testing.assert_allclose([each.p_equivalence_holm for each in judged], significance.holm(np.array(equivalence)))


def test_no_spread_at_all() -> None:
    same, shifted = np.zeros((3, 2)), np.full((3, 2), 2.0)
    nothing, harm = significance.judge(np.stack([same, shifted]), DecisionRule(delta=0.5, variants=2))
    assert (nothing.verdict, nothing.p, nothing.detectable_effect) == ("no difference", 1.0, 0.0)
    assert (harm.verdict, harm.p_holm) == ("hurts", 0.0)


def test_more_variants_need_a_smaller_p() -> None:
    deltas = np.array([[1.0, 1.2], [0.6, 0.9], [1.4, 1.1], [0.8, 0.7], [1.1, 1.3]])[None]
    alone = significance.judge(deltas, DecisionRule(delta=0.01))[0]
    idle = drawn(30, 5, 2, split=0.0)
    among = significance.judge(np.concatenate([deltas, idle]), DecisionRule(delta=0.01, variants=31))[0]
    assert alone.verdict == "hurts" and among.verdict == "cannot tell yet"
    assert alone.p == among.p < among.p_holm and among.detectable_effect > alone.detectable_effect


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("split", [0.0, 1.0, 100.0])
def test_false_alarms_stay_below_five_percent(split: float, seeds: int) -> None:
    """Two standard deviations above it for 2,000 draws."""
    deltas = drawn(2000, 5, seeds, split)
    p = [significance.p_difference(*significance.corrected_t(each), 4) for each in deltas]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize(("folds", "seeds"), [(5, 2), (10, 3)])
def test_false_alarms_stay_below_five_percent_with_seed_variance(folds: int, seeds: int) -> None:
    """benchmarks/ablate.py finds a seed variance of 0.3 of the residual one between unlike networks."""
    rng = np.random.default_rng(0)
    deltas = np.sqrt(0.3) * rng.normal(size=(2000, 1, seeds)) + rng.normal(size=(2000, folds, seeds))
    p = [significance.p_difference(*significance.corrected_t(each), folds - 1) for each in deltas]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 2000)


def test_five_folds_cannot_reach_five_percent_by_signed_ranks() -> None:
    assert significance.wilcoxon_floor(5) == stats.wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0]).pvalue == 0.0625
    assert significance.wilcoxon_floor(6) < 0.05

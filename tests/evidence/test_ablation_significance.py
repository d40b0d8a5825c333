"""The tests behind a verdict, by hand-counted numbers; and how often they raise false alarms on drawn deltas."""

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


def test_luck_that_all_folds_share_adds_to_the_error() -> None:
    """Two seeds that differ by 2 in every fold: variance between them 2, so the mean of both has variance 1."""
    effect, error = significance.corrected_t(np.array([[0.0, 2.0], [0.0, 2.0], [0.0, 2.0]]))
    assert effect == 1.0 and error == pytest.approx(1.0)


def test_holm_by_hand() -> None:
    """Sorted 0.01, 0.02, 0.03, 0.5 times 4, 3, 2, 1; the third is raised to the second."""
    found = significance.holm(np.array([0.03, 0.01, 0.5, 0.02]))
    np.testing.assert_allclose(found, [0.06, 0.04, 0.5, 0.06])


def test_equivalence_is_the_larger_of_two_one_sided_tests() -> None:
    mean, error, df, delta = 0.3, 0.2, 4, 1.0
    above, below = stats.t.sf((mean + delta) / error, df), stats.t.cdf((mean - delta) / error, df)
    assert significance.p_equivalence(mean, error, df, delta) == pytest.approx(max(above, below))


@pytest.mark.parametrize(
    ("effect", "spread", "verdict"),
    [
        (-5.0, 0.1, "helps"),
        (5.0, 0.1, "hurts"),
        (0.3, 0.01, "no difference"),  # sure, and too small to care
        (0.0, 0.01, "no difference"),
        (0.5, 5.0, "cannot tell yet"),
    ],
)
def test_verdicts(effect: float, spread: float, verdict: str) -> None:
    deltas = effect + spread * np.array([[-1.0, 0.5], [0.3, 0.2], [0.9, -0.4], [-0.6, 0.1]])
    (found,) = significance.judge(deltas[None], DecisionRule(delta=1.0))
    assert found.verdict == verdict and found.effect == pytest.approx(deltas.mean())


def test_no_spread_at_all() -> None:
    same, shifted = np.zeros((3, 2)), np.full((3, 2), 2.0)
    nothing, harm = significance.judge(np.stack([same, shifted]), DecisionRule(delta=0.5, variants=2))
    assert (nothing.verdict, nothing.p, nothing.detectable_effect) == ("no difference", 1.0, 0.0)
    assert (harm.verdict, harm.p_holm) == ("hurts", 0.0)


def test_more_variants_ask_for_more() -> None:
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
def test_false_alarms_stay_there_where_a_seed_is_lucky_in_all_folds(folds: int, seeds: int) -> None:
    """Luck of 0.3 of the variance of a training is what benchmarks/ablate.py finds between unlike networks."""
    rng = np.random.default_rng(0)
    deltas = np.sqrt(0.3) * rng.normal(size=(2000, 1, seeds)) + rng.normal(size=(2000, folds, seeds))
    p = [significance.p_difference(*significance.corrected_t(each), folds - 1) for each in deltas]
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 2000)


def test_five_folds_cannot_reach_five_percent_by_signed_ranks() -> None:
    assert significance.wilcoxon_floor(5) == stats.wilcoxon([1.0, 2.0, 3.0, 4.0, 5.0]).pvalue == 0.0625
    assert significance.wilcoxon_floor(6) < 0.05

"""Is a variant better than its baseline? Corrected t over folds and seeds, Holm over the variants, a verdict.

Everything works on *deltas*: (k, S) score of the variant minus score of the baseline, for fold f and seed s that both
were trained on. Which sign is a gain, the metric says (`Metric.cost`). The model is

    delta[f, s] = effect + split[f] + seed[s] + residual[f, s]

- split: what a fold's training and held-out series do to the difference. More seeds do not average it away.
- seed: what a seed does in all folds alike. It starts the networks of all folds from the same weights.
- residual: the random numbers of one training.

The k training sets share most of their series, so the mean over folds is less certain than that of k independent draws.
Its variance is 1/k + 1/(k - 1) of the variance between folds, not 1/k of it (Nadeau and Bengio's correction; the second
term is the ratio of held-out to training series). The test divides the mean delta by the root of

    (1/k + 1/(k - 1)) * variance between the folds' means over seeds  +  seed variance / S

and compares the ratio with Student's t with k - 1 degrees of freedom. With one seed this is exactly the test of Nadeau
and Bengio. The test is conservative as long as the seed variance is small, because the correction also multiplies the
folds' share of the residual variance. One seed cannot estimate the seed variance, and two or three estimate it from one
or two degrees of freedom. If it is 0.3 of the residual variance, one seed on ten folds gives three times the nominal
rate of false alarms; with two seeds that takes a seed variance as large as the residual variance. The other common way
counts all k * S deltas as repetitions of the cross-validation, which needs new folds for each seed. On shared folds it
gives false alarms in 0 % of the cases where seeds make the spread, and three times the nominal rate where splits do.
`./run.sh bench ablate` shows both, by arithmetic and on trained networks.

Two null hypotheses are tested for each variant: the effect is 0, and the effect is at least delta in size. Holm treats
each as a family of its own. So alpha bounds the chance of one false *helps* or *hurts* among all variants, and the
chance of one false *no difference*. Only one of the two can be false for a given variant, because at most one of its
null hypotheses is true.

Sources: Nadeau & Bengio 2003, https://doi.org/10.1023/A:1024068626366 (correction); Bouckaert & Frank 2004,
https://doi.org/10.1007/978-3-540-24775-3_3 (all deltas as repetitions); Bouthillier et al. 2021,
https://arxiv.org/abs/2103.03098 (seeds and splits as sources of variance); Searle, Casella & McCulloch 1992,
https://doi.org/10.1002/9780470316856 (variance components); Holm 1979, https://www.jstor.org/stable/4615733; Schuirmann
1987, https://doi.org/10.1007/BF01068419 (two one-sided tests).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from foldline.evidence.ablation.statistical_power import (
    DecisionRule,
    DeltaVariance,
    correction,
    detectable_effect,
    mean_squares,
    seeds_needed,
)

Verdict = Literal["helps", "hurts", "no difference", "cannot tell yet"]


@dataclass(frozen=True, kw_only=True)
class Significance:
    """The tests of one variant's deltas. Effects and errors are in the metric's unit."""

    effect: float  # mean over folds of the mean over seeds, of scores: below 0 the variant's score is lower
    standard_error: float  # corrected
    p: float  # null hypothesis: no effect; two-sided
    p_holm: float  # the same, adjusted by Holm over all variants
    p_equivalence_holm: float  # null hypothesis: an effect of delta or more in size; adjusted by Holm
    verdict: Verdict
    detectable_effect: float  # smallest effect that this design finds with the rule's power
    seeds_needed: int | None  # seeds in all that would bring a verdict; None: more than MOST_SEEDS, or unknown
    variance: DeltaVariance


def corrected_t(deltas: np.ndarray, ratio: float | None = None) -> tuple[float, float]:
    """Compute (effect, corrected standard error) of (k, S) deltas; their quotient has k - 1 degrees of freedom.

    ratio: of held-out to training series, as `correction` takes it.
    """
    k, seeds = deltas.shape
    of_folds, of_seeds, residual = mean_squares(deltas)
    # A mean square between seeds below the residual one estimates a negative variance: it counts as 0.
    seed_variance = max(0.0, of_seeds - residual) / k
    return float(deltas.mean()), float(np.sqrt((correction(k, ratio) * of_folds + seed_variance) / seeds))


def p_difference(effect: float, error: float, df: int) -> float:
    """Compute the two-sided p value of the null hypothesis "no effect".

    Args:
        effect: mean delta. error: its standard error; 0 where all deltas are equal: then p is 1 for effect 0, else 0.
        df: degrees of freedom.
    """
    if error == 0:
        return float(effect == 0)
    return float(2 * special.stdtr(df, -abs(effect) / error))


def p_equivalence(effect: float, error: float, df: int, delta: float) -> float:
    """Compute the p value of the null hypothesis "an effect of delta or more": the larger of two one-sided tests."""
    if error == 0:
        return float(abs(effect) >= delta)
    return float(special.stdtr(df, -(delta - abs(effect)) / error))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust (V,) p values by Holm's step-down method; the results are compared with alpha itself."""
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    # The running maximum: a variant is rejected only after all those with smaller p values.
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def judge(deltas: np.ndarray, rule: DecisionRule, cost: Callable[[float], float] = float) -> list[Significance]:
    """Test V variants at once.

    Args:
        deltas: (V, k, S), k at least 2.
        rule: its `variants` must be V.
        cost: `Metric.cost`: of an effect, below 0 where it is a gain.
    """
    assert len(deltas) == rule.variants and deltas.shape[1] >= 2, "one rule for all variants, two folds at least"
    df = deltas.shape[1] - 1
    tests = [corrected_t(each, rule.ratio) for each in deltas]
    p = np.array([p_difference(effect, error, df) for effect, error in tests])
    p_holm = holm(p)
    p_equivalence_holm = holm(np.array([p_equivalence(effect, error, df, rule.delta) for effect, error in tests]))
    judged = []
    for number, (effect, error) in enumerate(tests):
        variance = DeltaVariance.of(deltas[number], rule.ratio)
        judged.append(
            Significance(
                effect=effect,
                standard_error=error,
                p=float(p[number]),
                p_holm=float(p_holm[number]),
                p_equivalence_holm=float(p_equivalence_holm[number]),
                verdict=_verdict(cost(effect), float(p_holm[number]), float(p_equivalence_holm[number]), rule.alpha),
                detectable_effect=detectable_effect(variance, variance.seeds, rule),
                seeds_needed=seeds_needed(variance, effect, rule),
                variance=variance,
            )
        )
    return judged


def _verdict(effect: float, p: float, p_equivalence: float, alpha: float) -> Verdict:
    """Choose the verdict; equivalence comes first, because an effect can be significant and still within delta."""
    if p_equivalence <= alpha:
        return "no difference"
    if p <= alpha:
        return "helps" if effect < 0 else "hurts"
    return "cannot tell yet"


def wilcoxon_floor(folds: int) -> float:
    """Compute the smallest two-sided p value of a signed-rank test on that many folds: all signs equal.

    Source: Wilcoxon 1945, https://doi.org/10.2307/3001968.
    """
    return min(1.0, 2.0 ** (1 - folds))

"""Is a variant better than its baseline? The corrected t over folds and seeds, Holm over the variants, a verdict.

Everything works on *deltas*: (k, S) score of the variant minus that of the baseline, of fold f and seed s trained by
both; scores are errors, so a delta below 0 is a gain. The model behind it is

    delta[f, s] = effect + split[f] + luck[s] + rest[f, s]

`split` is what a fold's training and held-out series do to the difference; `luck` what a seed does in all folds alike
(it starts all their networks from the same weights); `rest` the random numbers of one training. More seeds average the
last two away, not the first. The k splits share most of their training series, so that their mean is less certain than
that of k independent draws: its variance is 1/k + 1/(k - 1) of the variance between folds, not 1/k of it (Nadeau and
Bengio's correction; the second term is the ratio of held-out to training series). The test therefore divides the mean
delta by the root of

    (1/k + 1/(k - 1)) * variance between the folds' means over seeds  +  luck's variance / S

and looks it up in Student's t with k - 1 degrees of freedom. With one seed this is Nadeau and Bengio's test to the
letter. It errs to the safe side, because the correction falls on the folds' share of `rest` too, as long as `luck` is
small: one seed can't show it, and two or three know it from one or two degrees of freedom. Where its variance is 0.3 of
that of `rest`, one seed on ten folds gives three times as many false alarms as asked for; with two seeds that takes
luck as large as `rest`. The other way in use, all k * S deltas as repetitions of the cross-validation, needs new folds
for each seed: on shared folds it gives false alarms in 0 % of the cases where seeds make the spread and in three times
as many as asked for where splits do.
`./run.sh bench ablate` shows both, by arithmetic and on trained networks.

Two questions are asked of each variant: is there no effect, and is it as large as delta? Each is a family of its own
for Holm. So alpha bounds the chance of one false *helps* or *hurts* among all variants, and the chance of one false *no
difference*; of one variant at most one of the two can be false, because at most one of the hypotheses is true.

Sources: Nadeau & Bengio 2003, https://doi.org/10.1023/A:1024068626366 (correction); Bouckaert & Frank 2004,
https://doi.org/10.1007/978-3-540-24775-3_3 (all deltas as repetitions); Bouthillier et al. 2021,
https://arxiv.org/abs/2103.03098 (seeds and splits as sources of variance); Searle, Casella & McCulloch 1992,
https://doi.org/10.1002/9780470316856 (variance components); Holm 1979, https://www.jstor.org/stable/4615733; Schuirmann
1987, https://doi.org/10.1007/BF01068419 (two one-sided tests).
"""

from __future__ import annotations

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
    """What the deltas of one variant say."""

    effect: float  # mean over folds of the mean over seeds; below 0 the variant is better
    error: float  # corrected standard error
    p: float  # of no effect at all, two-sided
    p_holm: float  # the same after Holm over all variants
    p_equivalence_holm: float  # of an effect of delta or more, either way, after Holm
    verdict: Verdict
    detectable_effect: float  # effect that this design would have seen with the rule's power
    seeds_needed: int | None  # seeds in all that would bring a verdict; None: not even power.MOST_SEEDS
    noise: DeltaVariance


def corrected_t(deltas: np.ndarray) -> tuple[float, float]:
    """(effect, corrected standard error) of (k, S) deltas; their ratio has k - 1 degrees of freedom."""
    k, seeds = deltas.shape
    of_folds, of_seeds, rest = mean_squares(deltas)
    luck = max(0.0, of_seeds - rest) / k
    return float(deltas.mean()), float(np.sqrt((correction(k) * of_folds + luck) / seeds))


def p_difference(effect: float, error: float, df: int) -> float:
    """Two-sided p; 1 where nothing differs anywhere."""
    if error == 0:
        return float(effect == 0)
    return float(2 * special.stdtr(df, -abs(effect) / error))


def p_equivalence(effect: float, error: float, df: int, delta: float) -> float:
    """p of an effect of `delta` or more, either way: the larger of two one-sided tests."""
    if error == 0:
        return float(abs(effect) >= delta)
    return float(special.stdtr(df, -(delta - abs(effect)) / error))


def holm(p: np.ndarray) -> np.ndarray:
    """(V,) p values adjusted step by step, smallest first: compare them with alpha itself."""
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def judge(deltas: np.ndarray, rule: DecisionRule) -> list[Significance]:
    """The evidence on V variants at once.

    Args:
        deltas: (V, k, S), k at least 2.
        rule: its `variants` must be V.
    """
    assert len(deltas) == rule.variants and deltas.shape[1] >= 2, "one rule for all variants, two folds at least"
    df = deltas.shape[1] - 1
    tests = [corrected_t(each) for each in deltas]
    p = np.array([p_difference(effect, error, df) for effect, error in tests])
    p_holm = holm(p)
    same_holm = holm(np.array([p_equivalence(effect, error, df, rule.delta) for effect, error in tests]))
    found = []
    for number, (effect, error) in enumerate(tests):
        noise = DeltaVariance.of(deltas[number])
        found.append(
            Significance(
                effect=effect,
                error=error,
                p=float(p[number]),
                p_holm=float(p_holm[number]),
                p_equivalence_holm=float(same_holm[number]),
                verdict=_verdict(effect, float(p_holm[number]), float(same_holm[number]), rule.alpha),
                detectable_effect=detectable_effect(noise, noise.seeds, rule),
                seeds_needed=seeds_needed(noise, effect, rule),
                noise=noise,
            )
        )
    return found


def _verdict(effect: float, p: float, p_same: float, alpha: float) -> Verdict:
    """Shown to be within delta comes first: an effect can be certain and too small to care."""
    if p_same <= alpha:
        return "no difference"
    if p <= alpha:
        return "helps" if effect < 0 else "hurts"
    return "cannot tell yet"


def wilcoxon_floor(folds: int) -> float:
    """Smallest two-sided p that a signed-rank test on so many folds can give: all signs equal.

    Source: Wilcoxon 1945, https://doi.org/10.2307/3001968.
    """
    return min(1.0, 2.0 ** (1 - folds))

"""What a design can detect: variance components of the deltas, and from them power, detectable effect, seeds needed.

The model is that of significance.py: delta[f, s] = effect + split[f] + seed[s] + residual[f, s].
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy import special

MOST_SEEDS = 100  # the search for seeds_needed ends here: nobody trains more
QUANTILES = 500  # of the chi-squared law that a power is averaged over; more change no digit before the fifth
BISECTIONS = 40  # halve the bracket of detectable_effect to 1e-12 of its width


def correction(folds: int, ratio: float | None = None) -> float:
    """Compute the variance of the mean of k folds that share training series, in units of the variance between them.

    Nadeau & Bengio 2003: 1/k + 1/(k - 1), the second term the ratio of held-out to training series. Time folds have
    another ratio (`Folds.ratio`), because they train on the past alone.
    """
    return 1 / folds + (1 / (folds - 1) if ratio is None else ratio)


@dataclass(frozen=True, kw_only=True)
class DeltaVariance:
    """Variance components of one variant's deltas, by two-way analysis of variance. One seed shows split only."""

    folds: int  # k
    seeds: int  # S
    split_variance: float  # variance between folds, which no number of seeds averages away
    seed_variance: float  # variance between seeds, which no number of folds averages away; 0 with one seed
    residual_variance: float  # variance of one training; 0 with one seed
    ratio: float | None = None  # as `correction` takes it

    @classmethod
    def of(cls, deltas: np.ndarray, ratio: float | None = None) -> DeltaVariance:
        """Estimate the components of (k, S) deltas.

        A component that would come out below 0 is set to 0, and its mean square is pooled with the residual one.
        """
        k, seeds = deltas.shape
        of_folds, of_seeds, residual = mean_squares(deltas)
        if seeds == 1:
            return cls(folds=k, seeds=1, split_variance=of_folds, seed_variance=0.0, residual_variance=0.0, ratio=ratio)
        parts = [(residual, (k - 1) * (seeds - 1))]
        parts += [(of_folds, k - 1)] if of_folds <= residual else []
        parts += [(of_seeds, seeds - 1)] if of_seeds <= residual else []
        pooled = sum(square * df for square, df in parts) / sum(df for _, df in parts)
        return cls(
            folds=k,
            seeds=seeds,
            split_variance=max(0.0, of_folds - residual) / seeds,
            seed_variance=max(0.0, of_seeds - residual) / k,
            residual_variance=pooled,
            ratio=ratio,
        )

    def test_error(self, seeds: int) -> float:
        """Compute the standard error that the test would use with that many seeds.

        The test multiplies everything that varies between folds by the correction, the residual variance too.
        """
        return float(
            np.sqrt(
                correction(self.folds, self.ratio) * (self.split_variance + self.residual_variance / seeds)
                + self.seed_variance / seeds
            )
        )

    def true_error(self, seeds: int) -> float:
        """Compute the standard error that the mean delta would have with that many seeds.

        Only the splits overlap, so only their variance is multiplied by the correction.
        """
        return float(
            np.sqrt(
                correction(self.folds, self.ratio) * self.split_variance
                + self.seed_variance / seeds
                + self.residual_variance / (self.folds * seeds)
            )
        )


def mean_squares(deltas: np.ndarray) -> tuple[float, float, float]:
    """Compute mean squares of (k, S) deltas: between folds, between seeds, residual. With one seed the last two are 0.

    Source: two-way analysis of variance, one value a cell: Searle et al. 1992, https://doi.org/10.1002/9780470316856.
    """
    k, seeds = deltas.shape
    of_folds = float(seeds * deltas.mean(axis=1).var(ddof=1))
    if seeds == 1:
        return of_folds, 0.0, 0.0
    of_seeds = float(k * deltas.mean(axis=0).var(ddof=1))
    residuals = deltas - deltas.mean(axis=1, keepdims=True) - deltas.mean(axis=0) + deltas.mean()
    return of_folds, of_seeds, float((residuals**2).sum() / ((k - 1) * (seeds - 1)))


@dataclass(frozen=True, kw_only=True)
class DecisionRule:
    """What decides a verdict; all of it is known before the first cell is trained."""

    delta: float  # differences up to this count as none, in the metric's unit
    alpha: float = 0.05  # chance of one false "helps" or "hurts" among all variants; of one false "no difference"
    power: float = 0.8  # chance to find an effect as large as the detectable one
    variants: int = 1  # tested at once
    ratio: float | None = None  # of held-out to training series, as `correction` takes it

    @property
    def first_level(self) -> float:
        """Level of Holm's first step: alpha / variants, which the smallest p value has to reach."""
        return self.alpha / self.variants


def power_of_difference_test(variance: DeltaVariance, effect: float, seeds: int, alpha: float) -> float:
    """Compute the chance that the corrected t calls a true effect different from 0, with that many seeds."""
    error = variance.true_error(seeds)
    if error == 0:
        return float(effect != 0)
    threshold = _thresholds(variance, seeds, alpha / 2)  # the mean delta must lie beyond it
    return float(np.mean(special.ndtr((effect - threshold) / error) + special.ndtr((-effect - threshold) / error)))


def power_of_equivalence_test(variance: DeltaVariance, effect: float, seeds: int, delta: float, alpha: float) -> float:
    """Compute the chance that both one-sided tests put a true effect within delta, with that many seeds."""
    error = variance.true_error(seeds)
    if error == 0:
        return float(abs(effect) < delta)
    room = np.maximum(delta - _thresholds(variance, seeds, alpha), 0.0)  # the mean delta must lie within it
    return float(np.mean(special.ndtr((room - effect) / error) - special.ndtr((-room - effect) / error)))


def _thresholds(variance: DeltaVariance, seeds: int, level: float) -> np.ndarray:
    """Compute (QUANTILES,) critical values times estimated errors, over the distribution of the estimated error.

    The estimated error is independent of the mean delta, and its square follows a scaled chi-squared law. The mean over
    that law's quantiles gives the noncentral t; scipy's own routines for it lose all digits far out in the tails.
    """
    df = variance.folds - 1
    thresholds: np.ndarray = special.stdtrit(df, 1 - level) * variance.test_error(seeds) * _error_ratios(df)
    return thresholds


@functools.cache
def _error_ratios(df: int) -> np.ndarray:
    """(QUANTILES,) estimated over expected standard error, at the midpoints of equally likely intervals."""
    tail = (np.arange(QUANTILES) + 0.5) / QUANTILES
    ratios: np.ndarray = np.sqrt(special.chdtri(df, tail) / df)
    return ratios


def detectable_effect(variance: DeltaVariance, seeds: int, rule: DecisionRule) -> float:
    """Find the smallest effect that is detected with probability rule.power at Holm's first step; by bisection."""
    low, high = 0.0, variance.true_error(seeds)
    if high == 0:
        return 0.0
    while power_of_difference_test(variance, high, seeds, rule.first_level) < rule.power:
        low, high = high, 2 * high
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        enough = power_of_difference_test(variance, middle, seeds, rule.first_level) >= rule.power
        low, high = (low, middle) if enough else (middle, high)
    return high


def seeds_needed(variance: DeltaVariance, effect: float, rule: DecisionRule) -> int | None:
    """Find how many seeds in all give any verdict the rule's power, if the true effect is `effect`.

    None where MOST_SEEDS are too few: the folds differ, and more folds or more series are missing. None also for one
    seed, which cannot show what another one would change.
    """
    if variance.seeds == 1:
        return None
    for seeds in range(variance.seeds + 1, MOST_SEEDS + 1):
        differ = power_of_difference_test(variance, effect, seeds, rule.first_level)
        if max(differ, power_of_equivalence_test(variance, effect, seeds, rule.delta, rule.first_level)) >= rule.power:
            return seeds
    return None

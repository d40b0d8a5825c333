"""What a design can see: variance components of the deltas, and from them power, smallest effect, seeds to go.

The words are those of evidence.py: delta[f, s] = effect + split[f] + luck[s] + rest[f, s].
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy import special

MOST_SEEDS = 100  # what is asked of nobody: beyond it the answer is that seeds won't do
QUANTILES = 500  # of a chi-squared law that a power is averaged over


def correction(folds: int) -> float:
    """Variance of the mean of k folds that share training series, in units of the variance between them."""
    return 1 / folds + 1 / (folds - 1)


@dataclass(frozen=True, kw_only=True)
class DeltaVariance:
    """Variance components of one variant's deltas, by two-way analysis of variance."""

    folds: int  # k
    seeds: int  # S
    split: float  # variance between folds that no number of seeds averages away
    luck: float  # variance between seeds that no number of folds averages away; 0 where one seed can't show it
    rest: float  # variance of one training; 0 where one seed can't show it

    @classmethod
    def of(cls, deltas: np.ndarray) -> DeltaVariance:
        """deltas: (k, S). A component that would come out below 0 is 0, and its mean square counts as `rest`."""
        k, seeds = deltas.shape
        of_folds, of_seeds, rest = mean_squares(deltas)
        if seeds == 1:
            return cls(folds=k, seeds=1, split=of_folds, luck=0.0, rest=0.0)
        parts = [(rest, (k - 1) * (seeds - 1))]
        parts += [(of_folds, k - 1)] if of_folds <= rest else []
        parts += [(of_seeds, seeds - 1)] if of_seeds <= rest else []
        pooled = sum(square * df for square, df in parts) / sum(df for _, df in parts)
        split, luck = max(0.0, of_folds - rest) / seeds, max(0.0, of_seeds - rest) / k
        return cls(folds=k, seeds=seeds, split=split, luck=luck, rest=pooled)

    def tested(self, seeds: int) -> float:
        """Standard error that the test divides by with that many seeds: the correction on all that folds show."""
        return float(np.sqrt(correction(self.folds) * (self.split + self.rest / seeds) + self.luck / seeds))

    def actual(self, seeds: int) -> float:
        """Standard error of the mean delta with that many seeds: the correction on the splits, as only they overlap."""
        return float(
            np.sqrt(correction(self.folds) * self.split + self.luck / seeds + self.rest / (self.folds * seeds))
        )


def mean_squares(deltas: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of (k, S) deltas between folds, between seeds, of what is left; 0 where one seed can't show it."""
    k, seeds = deltas.shape
    of_folds = float(seeds * deltas.mean(axis=1).var(ddof=1))
    if seeds == 1:
        return of_folds, 0.0, 0.0
    of_seeds = float(k * deltas.mean(axis=0).var(ddof=1))
    left = deltas - deltas.mean(axis=1, keepdims=True) - deltas.mean(axis=0) + deltas.mean()
    return of_folds, of_seeds, float((left**2).sum() / ((k - 1) * (seeds - 1)))


@dataclass(frozen=True, kw_only=True)
class DecisionRule:
    """What decides: all of it is known before the first cell is trained."""

    delta: float  # differences up to this are none, in the metric's unit
    alpha: float = 0.05  # chance of one false "helps" or "hurts" among all variants; of one false "no difference"
    power: float = 0.8  # chance to see an effect that is called visible
    variants: int = 1  # tested at once

    @property
    def strictest(self) -> float:
        """Level of Holm's first step, that of a variant which stands alone."""
        return self.alpha / self.variants


def power_of_difference_test(noise: DeltaVariance, effect: float, seeds: int, alpha: float) -> float:
    """Chance that the corrected t calls a true effect different from 0, either way, with that many seeds."""
    actual = noise.actual(seeds)
    if actual == 0:
        return float(effect != 0)
    bar = _bars(noise, seeds, alpha / 2)  # the mean delta must lie beyond it
    return float(np.mean(special.ndtr((effect - bar) / actual) + special.ndtr((-effect - bar) / actual)))


def power_of_equivalence_test(noise: DeltaVariance, effect: float, seeds: int, delta: float, alpha: float) -> float:
    """Chance that both one-sided tests put a true effect within delta."""
    actual = noise.actual(seeds)
    if actual == 0:
        return float(abs(effect) < delta)
    room = np.maximum(delta - _bars(noise, seeds, alpha), 0.0)  # the mean delta must lie within it
    return float(np.mean(special.ndtr((room - effect) / actual) - special.ndtr((-room - effect) / actual)))


def _bars(noise: DeltaVariance, seeds: int, level: float) -> np.ndarray:
    """What the test multiplies up to, critical value times estimated error, over the law of that estimate.

    The estimate is independent of the mean delta and its square follows a scaled chi-squared law: averaging over the
    law's quantiles gives the noncentral t, also far out, where library routines for it lose all digits.
    """
    df = noise.folds - 1
    bars: np.ndarray = special.stdtrit(df, 1 - level) * noise.tested(seeds) * _error_ratios(df)
    return bars


@functools.cache
def _error_ratios(df: int) -> np.ndarray:
    """(QUANTILES,) estimated over expected standard error."""
    tail = (np.arange(QUANTILES) + 0.5) / QUANTILES
    ratios: np.ndarray = np.sqrt(special.chdtri(df, tail) / df)
    return ratios


def detectable_effect(noise: DeltaVariance, seeds: int, rule: DecisionRule) -> float:
    """The effect that is seen with probability rule.power, at the strictest level of Holm; by bisection."""
    low, high = 0.0, noise.actual(seeds)
    if high == 0:
        return 0.0
    while power_of_difference_test(noise, high, seeds, rule.strictest) < rule.power:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        enough = power_of_difference_test(noise, middle, seeds, rule.strictest) >= rule.power
        low, high = (low, middle) if enough else (middle, high)
    return high


def seeds_needed(noise: DeltaVariance, effect: float, rule: DecisionRule) -> int | None:
    """Seeds in all with which a verdict, whichever, has the rule's power, if the effect is what it looks like.

    None where MOST_SEEDS would not do: then folds differ, and more of them, or more series, are what is missing. None
    also for one seed, which can't show what another would change.
    """
    if noise.seeds == 1:
        return None
    for seeds in range(noise.seeds + 1, MOST_SEEDS + 1):
        differ = power_of_difference_test(noise, effect, seeds, rule.strictest)
        if max(differ, power_of_equivalence_test(noise, effect, seeds, rule.delta, rule.strictest)) >= rule.power:
            return seeds
    return None

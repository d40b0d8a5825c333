"""The methods by name, from simple to complex; how they are fitted, scored and chosen between.

Scores are nested: the rows of a fold are blended by weights fitted on the other folds. "auto" chooses inside the fit,
so its own score is nested, too: for each fold the method is chosen again, without that fold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foldline.data.metrics import NotScorable
from foldline.data.task import SHARES
from foldline.ensemble import stacking, target_weights, weights
from foldline.ensemble.applicability import applicable, impossible, refusal
from foldline.ensemble.blend_config import BlendConfig
from foldline.ensemble.blend_rows import BlendRows
from foldline.ensemble.fitted_blend import (
    Blend,
    LogitMean,
    MeanOrMedian,
    RankMean,
    Rule,
    TrimmedMean,
    WeightedSum,
    sorted_median,
)
from foldline.ensemble.paired_difference import difference, evidence

EQUAL = 1e-6  # of the mean loss: a smaller difference is rounding, which no standard error covers
LIMITS = 21  # limits that the spread rule tries: even quantiles of the members' range
KNOTS = 1000  # of a member's ranks, at most
ALL_KNOTS = 200_000  # of all members and columns together: a record of some megabytes


def _weighted(found: np.ndarray) -> WeightedSum:
    return WeightedSum(tuple(found.tolist()))


def _mean(rows: BlendRows, config: BlendConfig) -> WeightedSum:
    return WeightedSum((1 / len(rows.labels),) * len(rows.labels))


def _median(rows: BlendRows, config: BlendConfig) -> TrimmedMean:
    return TrimmedMean((len(rows.labels) - 1) // 2)


def _trimmed(rows: BlendRows, config: BlendConfig) -> TrimmedMean:
    count = len(rows.labels)
    return TrimmedMean(min(math.ceil(config.trim * count), (count - 1) // 2))  # one or two members are always left


def _mean_or_median(rows: BlendRows, config: BlendConfig) -> MeanOrMedian:
    """Find for each target the best limit of the members' range: the mean up to it, the median above."""
    ordered = np.sort(rows.predictions, axis=0)
    reach = ordered[-1] - ordered[0]
    # loss of the mean above that of the median, (R, K): the sum of it over the rows below a limit is to be least
    both = (rows.predictions.mean(axis=0), sorted_median(ordered))
    of_mean, of_median = (rows.metric.losses(rows.y, values, rows.weight) for values in both)
    excess = of_mean - of_median
    if rows.row_weight is not None:
        excess = excess * rows.row_weight[:, None]
    limits = []
    for target in range(rows.y.shape[1]):
        tried = np.quantile(reach[:, target], np.linspace(0, 1, LIMITS))
        losses = [excess[reach[:, target] <= limit, target].sum() for limit in tried]
        limits.append(float(tried[int(np.argmin(losses))]))
    return MeanOrMedian(tuple(limits))


def _rank_mean(rows: BlendRows, config: BlendConfig) -> RankMean:
    """Take as knots even ranks of each member's predictions, and all different ones where they are few."""
    most = min(KNOTS, max(50, ALL_KNOTS // (len(rows.labels) * rows.y.shape[1])))
    found = [[_knots(column, most) for column in member.T] for member in rows.predictions]
    values, ranks = (tuple(tuple(knots[part] for knots in member) for member in found) for part in (0, 1))
    return RankMean(values, ranks)


def _knots(values: np.ndarray, most: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return at most so many increasing values of (R,), and the share that lies below each, half of ties counted."""
    distinct, counts = np.unique(values, return_counts=True)
    ranks = (np.cumsum(counts) - counts / 2) / len(values)
    if len(distinct) > most:
        chosen = np.unique(np.searchsorted(ranks, np.linspace(ranks[0], ranks[-1], most)).clip(0, len(ranks) - 1))
        distinct, ranks = distinct[chosen], ranks[chosen]
    return tuple(distinct.tolist()), tuple(ranks.tolist())


FITS: dict[str, Callable[[BlendRows, BlendConfig], Rule]] = {  # from simple to complex: the order of "auto"
    "best-member": lambda rows, config: _weighted(weights.best_member(rows)),
    "mean": _mean,  # nothing is fitted
    "logit": lambda rows, config: LogitMean(rows.kind in SHARES),
    "rank": _rank_mean,  # quantiles of each member, no truth
    "median": _median,
    "trimmed-mean": _trimmed,
    "spread": _mean_or_median,  # one number a target
    "hill-climb": lambda rows, config: _weighted(weights.climb(rows, config)),  # M weights, none negative, of sum 1
    "simplex": lambda rows, config: _weighted(weights.simplex(rows, config)),
    "nnls": lambda rows, config: _weighted(weights.nnls(rows)),
    "lad": lambda rows, config: _weighted(weights.lad(rows)),
    "optuna": lambda rows, config: _weighted(weights.optuna(rows, config)),
    "ridge": lambda rows, config: stacking.ridge(rows),  # M weights of any sign, and offsets
    "lightgbm": lambda rows, config: stacking.boosted(rows, config),  # trees
}


def fit(config: BlendConfig, rows: BlendRows, name: str | None = None) -> Blend:
    """Fit a blend on out-of-fold rows. name: the method, where it is not the config's ("auto" chooses one here)."""
    name = name or config.method_used
    if len(rows.labels) == 1 and not (name == "lightgbm" and rows.aggregates is not None):
        return Blend("best-member", rows.labels, WeightedSum((1.0,)))
    if (
        len(np.unique(rows.cv_parts)) < 2
    ):  # a single series, or none: no weight can be fitted that is not fitted to it alone
        name = "mean"
    if name == "auto" and not np.isfinite(rows.cost(rows.predictions.mean(axis=0))):
        name = "mean"  # no method has a score on such rows, as an AUC of one class: nothing to choose by
    if name == "auto":
        try:
            name = choose_method(config, rows).chosen
        except NotScorable:
            name = "mean"
    if why := impossible(name, rows.metric, rows.kind):  # nnls and lad of another metric: older records have such
        raise refusal(name, why, rows.metric, rows.kind, rows.y.shape[1])
    used = rows.sample(config.values, config.seed)
    rule = FITS[name](used, config)
    if config.per_target and isinstance(rule, WeightedSum):
        rule = target_weights.helpful(used, rule, lambda some: FITS[name](some, config))
    return Blend(name, rows.labels, rule)


@dataclass(frozen=True)
class NestedPredictions:
    """Out-of-fold rows, each blended by a blend that was not fitted on its fold."""

    values: np.ndarray  # (R, K)
    fitted: tuple[Blend, ...]  # one for each of `BlendRows.splits`: fitted without the rows that it is applied to


def nested(config: BlendConfig, rows: BlendRows, name: str | None = None) -> NestedPredictions:
    """Blend the rows of each fold by a blend that is fitted on the other folds, or on those before. name: as in `fit`.

    Where no rows are left to fit on, it is the mean of the members.
    """
    values, fitted = np.empty(rows.y.shape), []
    for held, others in rows.splits:
        fitted.append(fit(config, rows.where(others), name))
        values[held] = apply_blend(fitted[-1], rows.where(held))
    return NestedPredictions(values, tuple(fitted))


def apply_blend(fitted: Blend, rows: BlendRows) -> np.ndarray:
    """Blend rows: (R, K)."""
    return fitted.apply(rows.predictions, rows.spread, rows.aggregates)


@dataclass(frozen=True)
class MethodScore:
    """One method and its nested score."""

    method: str
    nested: NestedPredictions
    score: float
    losses: np.ndarray  # what paired_difference.py compares
    behind: float = 0.0  # mean loss above that of the candidate that scores best
    error: float = 0.0  # standard error of that difference
    beaten: str = ""  # the candidate that is most standard errors ahead, where one is ahead by more than one


@dataclass(frozen=True)
class MethodComparison:
    """Methods compared on the same rows, from simple to complex."""

    methods: tuple[MethodScore, ...]
    best: str  # the candidate with the best nested score
    chosen: str  # the simplest candidate that no other one beats


def choose_method(config: BlendConfig, rows: BlendRows) -> MethodComparison:
    """Score the candidates nested, and choose the simplest that no other one beats by more than one standard error.

    The error is that of the paired difference of two methods' mean losses, with series (or their groups) drawn at
    random: the methods share their rows, and most of what makes a series hard is hard for all. The rule of one standard
    error is that of Breiman et al. 1984, Classification and Regression Trees, section 3.4.3, https://doi.org/10.1201/9781315139470.
    It is applied to every pair, as in a model confidence set (Hansen, Lunde & Nason 2011,
    https://doi.org/10.3982/ECTA5771). Compared with the best alone, a method could pass for undecided only because
    the best one's errors are unlike all others', which makes the standard error large.
    """
    return compare_methods(config, rows, list(score_methods(config, rows, config.candidates)))


def score_methods(config: BlendConfig, rows: BlendRows, names: Sequence[str]) -> Iterator[MethodScore]:
    """Score methods nested, one by one, from simple to complex.

    Those that don't fit the target are left out, and those whose predictions the metric can't score, as a correlation
    with a median that is constant.
    """
    for name in applicable(names, rows.metric, rows.kind, rows.y.shape[1]):
        found = nested(config, rows, name)
        score = rows.score_or_nan(found.values)
        if not math.isnan(score):
            yield MethodScore(name, found, score, evidence(rows, found.values)[0])


def compare_methods(config: BlendConfig, rows: BlendRows, scored: Sequence[MethodScore]) -> MethodComparison:
    """Compare scored methods and choose one; those that are no candidates are compared and never chosen.

    Raises:
        NotScorable: no candidate has a score.
    """
    scored = sorted(scored, key=lambda each: list(FITS).index(each.method))
    candidates = [each for each in scored if each.method in config.candidates]
    if not candidates:
        raise NotScorable(
            f"{rows.metric.name} is defined on the predictions of none of blend.candidates = "
            f"{list(config.candidates)}: name one as blend.method."
        )
    best = min(candidates, key=lambda each: rows.metric.cost(each.score))
    counts = evidence(rows, rows.y)[1] if rows.metric.is_mean_of_losses else None
    compared = []
    for each in scored:
        behind, error = difference(each.losses, best.losses, counts)
        compared.append(replace(each, behind=behind, error=error, beaten=_beaten(each, candidates, counts)))
    chosen = next(each.method for each in compared if each.method in config.candidates and not each.beaten)
    return MethodComparison(tuple(compared), best.method, chosen)


def _beaten(one: MethodScore, candidates: Sequence[MethodScore], counts: np.ndarray | None) -> str:
    """Name the candidate that is most standard errors ahead; empty where none is more than one ahead."""
    most, by = 1.0, ""
    for other in candidates:
        behind, error = difference(one.losses, other.losses, counts)
        error += EQUAL * abs(float(one.losses[0] if counts is None else one.losses.sum() / counts.sum()))
        if behind > most * error:
            most, by = behind / error, other.method
    return by

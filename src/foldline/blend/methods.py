"""The methods by name, from simple to involved; how they are fitted, scored and chosen between.

Scores are nested: a fold's rows never help to weigh themselves. "auto" decides inside the fit, so that its own score is
nested too: the choice is made anew without the fold that is scored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foldline.blend import stacking, weights
from foldline.blend.blend_config import BlendConfig, Rows
from foldline.blend.rules import Agreeing, Blend, Rule, Trimmed, Weighted, middle

EQUAL = 1e-6  # of the mean loss: what is closer is the same but for rounding
CUTOFFS = 21  # limits that the spread rule tries: even quantiles of the members' range


def _weighted(found: np.ndarray) -> Weighted:
    return Weighted(tuple(found.tolist()))


def _mean(rows: Rows, config: BlendConfig) -> Weighted:
    return Weighted((1 / len(rows.labels),) * len(rows.labels))


def _median(rows: Rows, config: BlendConfig) -> Trimmed:
    return Trimmed((len(rows.labels) - 1) // 2)


def _trimmed(rows: Rows, config: BlendConfig) -> Trimmed:
    count = len(rows.labels)
    return Trimmed(min(math.ceil(config.trim * count), (count - 1) // 2))


def _agreeing(rows: Rows, config: BlendConfig) -> Agreeing:
    """For each target the limit of the members' range that does best: the mean up to it, the median above."""
    ordered = np.sort(rows.predictions, axis=0)
    reach = ordered[-1] - ordered[0]
    gain = rows.metric.loss(rows.y, rows.predictions.mean(axis=0)) - rows.metric.loss(rows.y, middle(ordered))
    limits = []
    for target in range(rows.y.shape[1]):
        tried = np.quantile(reach[:, target], np.linspace(0, 1, CUTOFFS))
        losses = [gain[reach[:, target] <= limit, target].sum() for limit in tried]
        limits.append(float(tried[int(np.argmin(losses))]))
    return Agreeing(tuple(limits))


FITS: dict[str, Callable[[Rows, BlendConfig], Rule]] = {  # from simple to involved: the order in which "auto" prefers
    "best-member": lambda rows, config: _weighted(weights.best_member(rows)),
    "mean": _mean,  # nothing is fitted
    "median": _median,
    "trimmed-mean": _trimmed,
    "spread": _agreeing,  # one number a target
    "hill-climb": lambda rows, config: _weighted(weights.climb(rows, config)),  # M weights, none negative, of sum 1
    "nnls": lambda rows, config: _weighted(weights.nnls(rows)),
    "lad": lambda rows, config: _weighted(weights.lad(rows)),
    "optuna": lambda rows, config: _weighted(weights.optuna(rows, config)),
    "ridge": lambda rows, config: stacking.ridge(rows),  # M weights of any sign, and offsets
    "lightgbm": lambda rows, config: stacking.boosted(rows, config),  # trees
}


def fit(config: BlendConfig, rows: Rows, name: str | None = None) -> Blend:
    """Fit a blend on out-of-fold rows. name: the method, where it is not what the config says ("auto" decides here)."""
    if len(rows.labels) == 1:
        return Blend("best-member", rows.labels, Weighted((1.0,)))
    name = name or config.used
    if name == "auto":
        name = decide(config, rows).chosen
    return Blend(name, rows.labels, FITS[name](rows.drawn(config.values, config.seed), config))


@dataclass(frozen=True)
class Nested:
    """Out-of-fold rows blended without looking at themselves."""

    values: np.ndarray  # (R, K)
    fitted: tuple[Blend, ...]  # one a part: fitted on all the others


def nested(config: BlendConfig, rows: Rows, name: str | None = None) -> Nested:
    """Each fold by a blend that was fitted on the other folds (each deal of series, where there is one fold only)."""
    values, fitted, parts = np.empty(rows.y.shape), [], rows.parts
    for part in np.unique(parts):
        inside = parts == part
        fitted.append(fit(config, rows.where(~inside), name))
        values[inside] = applied(fitted[-1], rows.where(inside))
    return Nested(values, tuple(fitted))


def applied(fitted: Blend, rows: Rows) -> np.ndarray:
    """(R, K) blended rows."""
    return fitted.apply(rows.predictions, rows.spread)


@dataclass(frozen=True)
class Tried:
    """One method, scored nested."""

    method: str
    nested: Nested
    score: float
    losses: np.ndarray  # (S,) sum of losses over each series' rows
    behind: float = 0.0  # mean loss above that of the candidate that scores best
    error: float = 0.0  # standard error of that difference
    beaten: str = ""  # by which candidate, if any is ahead by more than one standard error: the one most errors ahead


@dataclass(frozen=True)
class Decision:
    """Methods compared on the same rows, from simple to involved."""

    tried: tuple[Tried, ...]
    best: str  # the candidate with the lowest nested score
    chosen: str  # the simplest candidate that none beats


def decide(config: BlendConfig, rows: Rows) -> Decision:
    """Score the candidates nested, and choose the simplest that no other one beats by more than one standard error.

    The error is that of the paired difference of the two methods' mean losses, series being what is drawn: methods
    share their rows, and most of what makes a series hard is hard for all. The rule of one standard error is that of
    Breiman et al. 1984, Classification and Regression Trees, section 3.4.3, https://doi.org/10.1201/9781315139470.
    It is asked of every pair, as a model confidence set does (Hansen, Lunde & Nason 2011,
    https://doi.org/10.3982/ECTA5771): against the best alone, one that errs unlike all others would excuse everything.
    """
    return concluded(config, rows, list(scored(config, rows, config.candidates)))


def scored(config: BlendConfig, rows: Rows, names: Sequence[str]) -> Iterator[Tried]:
    """Methods one by one, from simple to involved."""
    for name in (known for known in FITS if known in names):
        found = nested(config, rows, name)
        yield Tried(name, found, rows.metric(rows.y, found.values), series_losses(rows, found.values)[0])


def concluded(config: BlendConfig, rows: Rows, tried: Sequence[Tried]) -> Decision:
    """The decision, once all methods are scored; those that are no candidates are compared and never chosen."""
    tried = sorted(tried, key=lambda each: list(FITS).index(each.method))
    candidates = [each for each in tried if each.method in config.candidates]
    best, counts = min(candidates, key=lambda each: each.score), series_losses(rows, rows.y)[1]
    compared = []
    for each in tried:
        behind, error = difference(each.losses, best.losses, counts)
        compared.append(replace(each, behind=behind, error=error, beaten=_beaten(each, candidates, counts)))
    chosen = next(each.method for each in compared if each.method in config.candidates and not each.beaten)
    return Decision(tuple(compared), best.method, chosen)


def _beaten(one: Tried, candidates: Sequence[Tried], counts: np.ndarray) -> str:
    """The candidate that is most standard errors ahead; empty where none is more than one ahead."""
    most, by = 1.0, ""
    for other in candidates:
        behind, error = difference(one.losses, other.losses, counts)
        error += EQUAL * float(one.losses.sum() / counts.sum())
        if behind > most * error:
            most, by = behind / error, other.method
    return by


def series_losses(rows: Rows, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(S,) sum of losses over each series' rows, mean over targets, and (S,) number of rows. values: (R, K)."""
    series = np.unique(rows.series, return_inverse=True)[1]
    losses = rows.metric.loss(rows.y, values).mean(axis=1)
    return np.bincount(series, losses), np.bincount(series)


def difference(one: np.ndarray, other: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Mean loss of one above that of the other, and its standard error over series.

    A mean over rows is a ratio of sums over series, rows and losses both being random; its error is linearised. Source:
    Cochran 1977, Sampling Techniques, section 6.3.

    Args:
        one, other: (S,) sums of losses.
        counts: (S,) rows.
    """
    sums, size = one - other, len(counts)
    mean = float(sums.sum() / counts.sum())
    left = sums - mean * counts
    return mean, float(np.sqrt(size / max(1, size - 1) * (left @ left)) / counts.sum())

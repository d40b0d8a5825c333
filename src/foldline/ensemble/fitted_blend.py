"""Fitted blends: numbers and text, so that they are stored as JSON and applied where nothing can be fitted.

The `apply` of a rule maps the members' predictions (M, R, K), and their spread of the same shape where there is one, to
(R, K): M members, R rows, K targets. It needs numpy, and LightGBM only where the blend was stacked by it. The `kind` of
a rule is what experiment.json calls it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

SUREST = 1e-15  # from 0 and 1: the log odds of a prediction stay finite
STACKS = {"lightgbm": "LightGBM stack", "ridge": "ridge stack"}  # methods with the name of a model


def method_in_words(method: str) -> str:
    """Name a method in tables and sentences; "lightgbm" alone would be taken for the model."""
    return STACKS.get(method, method)


@dataclass(frozen=True)
class WeightedSum:
    """A weighted sum and, from ridge, an offset for each target."""

    kind: ClassVar[str] = "weighted"
    weights: tuple[float, ...]  # (M,); they sum to 1
    offset: tuple[float, ...] = ()  # (K,), in the targets' units; empty: none

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        summed: np.ndarray = np.tensordot(np.asarray(self.weights), predictions, axes=1)
        return summed + np.asarray(self.offset) if self.offset else summed


@dataclass(frozen=True)
class ColumnWeights:
    """A weighted sum for each target, with weights of its own."""

    kind: ClassVar[str] = "weighted by target"
    weights: tuple[tuple[float, ...], ...]  # (K, M); those of a target sum to 1
    offset: tuple[float, ...] = ()  # (K,), in the targets' units; empty: none

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        shares: np.ndarray = np.asarray(self.weights)
        summed = sum(shares[:, number] * member for number, member in enumerate(predictions))
        return np.asarray(summed + np.asarray(self.offset) if self.offset else summed)


@dataclass(frozen=True)
class TrimmedMean:
    """The mean without the `drop` lowest and the `drop` highest predictions of each value."""

    kind: ClassVar[str] = "trimmed"
    drop: int  # at either end; the largest possible number makes it the median

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        kept = np.sort(predictions, axis=0)[self.drop : len(predictions) - self.drop]
        return np.asarray(kept.mean(axis=0))


@dataclass(frozen=True)
class MeanOrMedian:
    """The mean where the members' predictions lie close together, else the median."""

    kind: ClassVar[str] = "agreeing"
    limits: tuple[float, ...]  # (K,) highest minus lowest prediction up to which the mean is taken, targets' units

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        ordered = np.sort(predictions, axis=0)
        close = ordered[-1] - ordered[0] <= np.asarray(self.limits)
        return np.where(close, predictions.mean(axis=0), sorted_median(ordered))


@dataclass(frozen=True)
class LogitMean:
    """The mean of the members' log odds; of shares, the mean of their logarithms, brought to sum 1 again.

    Both are the normalised geometric mean of the probabilities: a member that is sure counts more than in a mean.
    Source: Satopaa et al. 2014, https://doi.org/10.1016/j.ijforecast.2013.09.009.
    """

    kind: ClassVar[str] = "logit"
    shares: bool  # columns are the shares of classes

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        sure = np.clip(predictions, SUREST, 1 - SUREST)
        logs = np.log(sure).mean(axis=0)  # (R, K)
        if not self.shares:
            return np.asarray(1 / (1 + np.exp(np.log1p(-sure).mean(axis=0) - logs)))
        products = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(products / products.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class RankMean:
    """The mean of the members' ranks, brought back to their scale: to the mean of their values at that rank.

    A prediction's rank is its place among the member's out-of-fold predictions, so that a single series has one, too:
    interpolated between knots, at each of which as many lie below as above (ties have the mean of their ranks).
    """

    kind: ClassVar[str] = "ranks"
    values: tuple[tuple[tuple[float, ...], ...], ...]  # (M, K, knots) increasing predictions
    ranks: tuple[tuple[tuple[float, ...], ...], ...]  # (M, K, knots) their ranks, increasing, from 0 to 1

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        blended: np.ndarray = np.empty(predictions.shape[1:])
        for column in range(blended.shape[1]):
            knots = [(of[column], at[column]) for of, at in zip(self.values, self.ranks, strict=True)]
            members = zip(predictions[..., column], knots, strict=True)
            rank = sum(np.interp(member, values, ranks) for member, (values, ranks) in members) / len(knots)
            rank = np.round(rank, 12)  # ties stay ties: sums of the same ranks in another order differ in last bits
            blended[:, column] = sum(np.interp(rank, ranks, values) for values, ranks in knots) / len(knots)
        return blended


@dataclass(frozen=True)
class BoostedStack:
    """The mean plus a correction by boosted trees: one LightGBM model a target, as text."""

    kind: ClassVar[str] = "boosted"
    boosters: tuple[str, ...]  # (K,)
    with_spread: bool  # the members' expected errors are among the features
    aggregates: tuple[str, ...] = ()  # features whose statistics over the series are, too

    def apply(
        self, predictions: np.ndarray, spread: np.ndarray | None, aggregates: np.ndarray | None = None
    ) -> np.ndarray:
        """Predict (R, K). aggregates: (R, G) of the rows' series, by `series_aggregates`."""
        from foldline.models.ops import stored_lightgbm

        assert not self.with_spread or spread is not None, "this blend needs the members' spread"
        assert bool(self.aggregates) == (aggregates is not None), "this blend sees aggregates, or it does not"
        used = spread if self.with_spread else None
        mean = predictions.mean(axis=0)  # (R, K)
        corrected: np.ndarray = np.empty_like(mean)
        for target, text in enumerate(self.boosters):
            own = None if used is None else used[..., target]
            features = tree_features(predictions[..., target], own, aggregates)
            corrected[:, target] = mean[:, target] + stored_lightgbm.booster(text).predict(features)
        return corrected


Rule = WeightedSum | ColumnWeights | TrimmedMean | MeanOrMedian | LogitMean | RankMean | BoostedStack
RULES = (WeightedSum, ColumnWeights, TrimmedMean, MeanOrMedian, LogitMean, RankMean, BoostedStack)
KINDS: dict[str, type[Any]] = {kind.kind: kind for kind in RULES}


def sorted_median(ordered: np.ndarray) -> np.ndarray:
    """Compute the median of (M, ...) values that are sorted along the first axis."""
    count = len(ordered)
    return np.asarray((ordered[(count - 1) // 2] + ordered[count // 2]) / 2)


def tree_features(
    predictions: np.ndarray, spread: np.ndarray | None, aggregates: np.ndarray | None = None
) -> np.ndarray:
    """Make the trees' features of one target: mean, each member's distance from it, range, and what else there is.

    Args:
        predictions: (M, R).
        spread: (M, R) or None.
        aggregates: (R, G) of the rows' series, or None.

    Returns:
        (R, M + 2), and M more with spreads, G more with aggregates.
    """
    mean = predictions.mean(axis=0)
    columns = [mean, *(predictions - mean), np.ptp(predictions, axis=0), *(() if spread is None else spread)]
    columns += [] if aggregates is None else list(aggregates.T)
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Blend:
    """A fitted blend of M members."""

    method: str  # that it was fitted by; never "auto"
    labels: tuple[str, ...]  # (M,)
    rule: Rule

    @property
    def weights(self) -> tuple[float, ...] | None:
        """Return the weights (M,) where the blend is a weighted sum, the mean of those of the targets; else None."""
        if isinstance(self.rule, ColumnWeights):
            return tuple(np.mean(self.rule.weights, axis=0).tolist())
        return self.rule.weights if isinstance(self.rule, WeightedSum) else None

    @property
    def needs_spread(self) -> bool:
        """Whether `apply` needs the members' spread."""
        return isinstance(self.rule, BoostedStack) and self.rule.with_spread

    @property
    def aggregates(self) -> tuple[str, ...]:
        """Return the features whose statistics over each series `apply` needs."""
        return self.rule.aggregates if isinstance(self.rule, BoostedStack) else ()

    def apply(
        self, predictions: np.ndarray, spread: np.ndarray | None = None, aggregates: np.ndarray | None = None
    ) -> np.ndarray:
        """Blend predictions of the members, in the order of `labels`.

        Args:
            predictions: (M, R, K).
            spread: (M, R, K) their expected absolute error, where the blend needs it.
            aggregates: (R, G) of the rows' series, where the blend needs them.

        Returns:
            (R, K)
        """
        if isinstance(self.rule, BoostedStack):
            return self.rule.apply(predictions, spread, aggregates if self.aggregates else None)
        return self.rule.apply(predictions, spread)

    def without_zero_weights(self) -> Blend:
        """Return the same blend without the members whose weight is 0: they need not predict."""
        if not isinstance(self.rule, WeightedSum | ColumnWeights):
            return self
        shares = np.atleast_2d(self.rule.weights)  # (1 or K, M)
        kept = np.flatnonzero((shares != 0).any(axis=0))
        rule: Rule = WeightedSum(tuple(shares[0, kept].tolist()), self.rule.offset)
        if isinstance(self.rule, ColumnWeights):
            rule = ColumnWeights(tuple(map(tuple, shares[:, kept].tolist())), self.rule.offset)
        return Blend(self.method, tuple(self.labels[number] for number in kept), rule)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` reads them back, to the last bit."""
        return {"method": self.method, "labels": list(self.labels), "rule": self.rule.kind, **asdict(self.rule)}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Blend:
        """Read what `to_json` returned."""
        own = {name: item for name, item in value.items() if name not in ("method", "labels", "rule")}
        fields = {name: _tuples(item) for name, item in own.items()}
        return Blend(value["method"], tuple(value["labels"]), KINDS[value["rule"]](**fields))


def _tuples(value: Any) -> Any:
    """Turn lists, which JSON has, into the tuples of the rules, inside other ones, too."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value

"""Fitted blends: plain numbers and text, so that they are stored as JSON and applied where nothing can be fitted.

A rule maps the members' predictions (M, R, K) to (R, K). It needs numpy, and LightGBM only where it was stacked by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

SHOWN = {"lightgbm": "LightGBM stack", "ridge": "ridge stack"}  # methods that are called like models, in words


def shown(method: str) -> str:
    """A method in words: one that is called like a model would be taken for that model."""
    return SHOWN.get(method, method)


@dataclass(frozen=True)
class Weighted:
    """A weighted sum and, from ridge, an offset for each target."""

    kind: ClassVar[str] = "weighted"
    weights: tuple[float, ...]  # (M,); they sum to 1
    offset: tuple[float, ...] = ()  # (K,), in the targets' units; empty: none

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        summed: np.ndarray = np.tensordot(np.asarray(self.weights), predictions, axes=1)
        return summed + np.asarray(self.offset) if self.offset else summed


@dataclass(frozen=True)
class Trimmed:
    """The mean of what is left when the `drop` lowest and highest predictions of each row are left out."""

    kind: ClassVar[str] = "trimmed"
    drop: int  # at either end; the most there can be makes it the median

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        kept = np.sort(predictions, axis=0)[self.drop : len(predictions) - self.drop]
        return np.asarray(kept.mean(axis=0))


@dataclass(frozen=True)
class Agreeing:
    """The mean where the members agree, else the median."""

    kind: ClassVar[str] = "agreeing"
    limits: tuple[float, ...]  # (K,) highest minus lowest prediction up to which they agree, in the targets' units

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        ordered = np.sort(predictions, axis=0)
        agreed = ordered[-1] - ordered[0] <= np.asarray(self.limits)
        return np.where(agreed, predictions.mean(axis=0), middle(ordered))


@dataclass(frozen=True)
class Boosted:
    """The mean, mended by boosted trees: one LightGBM text a target."""

    kind: ClassVar[str] = "boosted"
    boosters: tuple[str, ...]  # (K,)
    with_spread: bool  # they look at the members' own expected errors too

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
        import torch  # noqa: F401, I001  (first: it brings libgomp, which LightGBM's wheel expects from the system)
        import lightgbm

        assert not self.with_spread or spread is not None, "this blend needs the members' spread"
        known = spread if self.with_spread else None
        center = predictions.mean(axis=0)  # (R, K)
        mended: np.ndarray = np.empty_like(center)
        for target, text in enumerate(self.boosters):
            seen = inputs(predictions[..., target], None if known is None else known[..., target])
            mended[:, target] = center[:, target] + lightgbm.Booster(model_str=text).predict(seen)
        return mended


Rule = Weighted | Trimmed | Agreeing | Boosted
KINDS: dict[str, type[Any]] = {kind.kind: kind for kind in (Weighted, Trimmed, Agreeing, Boosted)}


def middle(ordered: np.ndarray) -> np.ndarray:
    """The median of (M, ...) values that are sorted along the first axis."""
    count = len(ordered)
    return np.asarray((ordered[(count - 1) // 2] + ordered[count // 2]) / 2)


def inputs(predictions: np.ndarray, spread: np.ndarray | None) -> np.ndarray:
    """What the trees see of one target: mean, each member's distance from it, range, and the spreads if known.

    Args:
        predictions: (M, R).
        spread: (M, R) or None.

    Returns:
        (R, M + 2) or (R, 2 M + 2).
    """
    center = predictions.mean(axis=0)
    columns = [center, *(predictions - center), np.ptp(predictions, axis=0), *(() if spread is None else spread)]
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class Blend:
    """A fitted blend of M members."""

    method: str  # that it was fitted by; never "auto"
    labels: tuple[str, ...]  # (M,)
    rule: Rule

    @property
    def weights(self) -> tuple[float, ...] | None:
        """(M,) where the blend is a weighted sum, else None."""
        return self.rule.weights if isinstance(self.rule, Weighted) else None

    @property
    def needs_spread(self) -> bool:
        return isinstance(self.rule, Boosted) and self.rule.with_spread

    def apply(self, predictions: np.ndarray, spread: np.ndarray | None = None) -> np.ndarray:
        """(M, R, K) predictions of the members, in the order of `labels` -> (R, K). spread: (M, R, K)."""
        return self.rule.apply(predictions, spread)

    def without_idle(self) -> Blend:
        """The same blend without the members whose weight is 0: they need not predict."""
        if not isinstance(self.rule, Weighted):
            return self
        busy = [number for number, weight in enumerate(self.rule.weights) if weight != 0]
        weights = tuple(self.rule.weights[number] for number in busy)
        return Blend(self.method, tuple(self.labels[number] for number in busy), Weighted(weights, self.rule.offset))

    def to_json(self) -> dict[str, Any]:
        """Plain values; `from_json` reads them back, to the last bit."""
        return {"method": self.method, "labels": list(self.labels), "rule": self.rule.kind, **asdict(self.rule)}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Blend:
        own = {name: item for name, item in value.items() if name not in ("method", "labels", "rule")}
        fields = {name: tuple(item) if isinstance(item, Sequence) else item for name, item in own.items()}
        return Blend(value["method"], tuple(value["labels"]), KINDS[value["rule"]](**fields))

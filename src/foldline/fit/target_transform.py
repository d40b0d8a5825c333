"""The scale that targets are learned on (data.target_transform), and the way back from it.

Models are fitted on transformed targets, and what they predict is turned back before anything else sees it: watched
scores, out-of-fold rows, blends and submissions are in the targets' own units.

    ""           as they are
    log1p        log(1 + y): y above -1
    standardise  (y - mean) / deviation of its own series' known steps (known_start.py), each target by itself
    log1p-standardise  log1p, then standardise: amounts of series of very different sizes
    rank         the share of the training values that are smaller, half of the equal ones included, linear between
                 quantiles: from 0 to 1; what lies beyond the training values is taken for the last of them

Only `rank` and the deviation that stands for that of a start which does not move are fitted: on the scored answers, or
the known starts, of the cell's own training series. Letters: A answers of a store, a of them, K columns.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foldline.core.errors import UserError
from foldline.data.store import Store
from foldline.fit.labelled_series import LabelledSeries
from foldline.fit.scaler import SAMPLE_TARGETS, sampled_answers

ABOVE = np.nextafter(-1.0, 0.0)  # the smallest number that has a log1p; a prediction near -1 is rounded to -1
KNOTS = 513  # quantiles of `rank` at most
LEAST_MOVE = 1e-3  # of the usual deviation of a known start: one that moves less is no measure of its series
LEAST_LOST = 1e-3  # of the targets' mean distance to their median, that rounding to float32 must not move them
FIXED = ("", "log1p")  # scales that are the same for every series
RESIDUAL = "residual"  # the scale of models that read an estimator's channels; no config names it
STANDARDISE = "standardise"  # how the names end of scales by the known steps
ALL = slice(None)


class TargetTransform(ABC):
    """A rising map of each target, and its inverse. Stores are those in the targets' own units, never a view."""

    kind = ""

    @abstractmethod
    def forward(self, y: np.ndarray, store: Store, answers: np.ndarray) -> np.ndarray:
        """Map targets (a, K) to the learned scale; NaN stays. answers: (a,) their places in the store."""

    @abstractmethod
    def inverse(self, z: np.ndarray, store: Store, answers: np.ndarray, columns: slice = ALL) -> np.ndarray:
        """Map back, (a, k). columns: which k of the K targets these are."""

    def spread(self, z: np.ndarray, spread: np.ndarray, store: Store, answers: np.ndarray) -> np.ndarray:
        """Map back expected absolute errors (a, K) of predictions z (a, K): half of what lies between z -+ spread."""
        low, high = (self.inverse(z + sign * spread, store, answers) for sign in (-1, 1))
        return np.asarray((high - low) / 2)

    def view(self, store: Store) -> Store:
        """Return the same store with targets on the learned scale."""
        if not store.labelled and not store.observed:  # no target is given
            return store
        return replace(store, y=self.forward(np.asarray(store.y), store, np.arange(len(store.y))))

    def labelled(self, part: LabelledSeries) -> LabelledSeries:
        """Return the same series with labels on the learned scale."""
        return replace(part, y=self.forward(part.y, part.store, part.store.answers(part.series)))

    def to_json(self) -> dict[str, Any]:
        """Return the content of transform.json."""
        return {"kind": self.kind}


class AsTheyAre(TargetTransform):
    """No transform: targets are learned in their own units."""

    def forward(self, y: np.ndarray, store: Store, answers: np.ndarray) -> np.ndarray:
        return y

    def inverse(self, z: np.ndarray, store: Store, answers: np.ndarray, columns: slice = ALL) -> np.ndarray:
        return z

    def spread(self, z: np.ndarray, spread: np.ndarray, store: Store, answers: np.ndarray) -> np.ndarray:
        return spread  # (z + s) - (z - s) would change last bits

    def view(self, store: Store) -> Store:
        return store

    def labelled(self, part: LabelledSeries) -> LabelledSeries:
        return part


PLAIN = AsTheyAre()


class Log1p(TargetTransform):
    """log(1 + y)."""

    kind = "log1p"

    def forward(self, y: np.ndarray, store: Store, answers: np.ndarray) -> np.ndarray:
        return np.asarray(np.log1p(np.maximum(y, ABOVE)))

    def inverse(self, z: np.ndarray, store: Store, answers: np.ndarray, columns: slice = ALL) -> np.ndarray:
        with np.errstate(over="ignore"):  # a prediction that is not finite is refused by name
            return np.asarray(np.expm1(z))


@dataclass(frozen=True)
class Standardise(TargetTransform):
    """(y - mean) / deviation of the known steps of its series, on the targets' own scale or on one below."""

    usual: np.ndarray  # (K,) deviation that stands for that of a start which does not move
    below: TargetTransform = PLAIN  # the scale that is standardised: the targets' own, or log1p

    @property
    def kind(self) -> str:  # type: ignore[override]
        """Its name in a config."""
        return f"{self.below.kind}-{STANDARDISE}".removeprefix("-")

    def forward(self, y: np.ndarray, store: Store, answers: np.ndarray) -> np.ndarray:
        center, scale = self._of(store, answers)
        return np.asarray((self.below.forward(y, store, answers) - center) / scale)

    def inverse(self, z: np.ndarray, store: Store, answers: np.ndarray, columns: slice = ALL) -> np.ndarray:
        center, scale = self._of(store, answers)
        return self.below.inverse(np.asarray(z * scale[:, columns] + center[:, columns]), store, answers, columns)

    def _of(self, store: Store, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and deviation of each answer's series, (a, K) each; the deviation above 0."""
        mean, deviation = _of_known_starts(self.below.view(store))
        scale = np.where(deviation > LEAST_MOVE * self.usual, deviation, self.usual)
        series = store.series_of_answer[answers]
        return mean[series], scale[series]

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "usual": self.usual.tolist()}


@dataclass(frozen=True)
class Residual(TargetTransform):
    """(y - mean) / (deviation + softness): what an estimator of open rows leaves, by what it expects to leave."""

    softness: float  # the usual deviation, so that rows which are nearly certain do not outweigh all others

    kind = RESIDUAL

    def forward(self, y: np.ndarray, store: Store, answers: np.ndarray) -> np.ndarray:
        mean, scale = self._of(store, answers)
        return np.asarray((y - mean) / scale)

    def inverse(self, z: np.ndarray, store: Store, answers: np.ndarray, columns: slice = ALL) -> np.ndarray:
        mean, scale = self._of(store, answers)
        return np.asarray(z * scale + mean)

    def _of(self, store: Store, answers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        assert store.estimate is not None, "a store with an estimator's channels"
        mean, deviation = store.estimate[answers, :1], store.estimate[answers, 1:]
        return mean, deviation + self.softness

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "softness": self.softness}


@dataclass(frozen=True)
class Rank(TargetTransform):
    """The share of the training values below y."""

    values: tuple[np.ndarray, ...]  # of each target: (q,) training values, rising
    shares: tuple[np.ndarray, ...]  # of each target: (q,) their ranks, rising from 0 to 1

    kind = "rank"

    def forward(self, y: np.ndarray, store: Store, answers: np.ndarray) -> np.ndarray:
        columns = zip(y.T, self.values, self.shares, strict=True)
        return np.stack([np.interp(column, values, shares) for column, values, shares in columns], axis=1)

    def inverse(self, z: np.ndarray, store: Store, answers: np.ndarray, columns: slice = ALL) -> np.ndarray:
        both = zip(z.T, self.shares[columns], self.values[columns], strict=True)
        return np.stack([np.interp(column, shares, values) for column, shares, values in both], axis=1)

    def to_json(self) -> dict[str, Any]:
        lists = {name: [column.tolist() for column in getattr(self, name)] for name in ("values", "shares")}
        return {"kind": self.kind, **lists}


@dataclass(frozen=True)
class Centred(TargetTransform):
    """Another scale less a constant: where targets are large beside their spread, float32 would lose their digits."""

    center: np.ndarray  # (K,) on the scale below
    below: TargetTransform = PLAIN

    kind = "centred"

    def forward(self, y: np.ndarray, store: Store, answers: np.ndarray) -> np.ndarray:
        return np.asarray(self.below.forward(y, store, answers) - self.center)

    def inverse(self, z: np.ndarray, store: Store, answers: np.ndarray, columns: slice = ALL) -> np.ndarray:
        return self.below.inverse(np.asarray(z + self.center[columns]), store, answers, columns)

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "center": self.center.tolist(), "below": self.below.to_json()}


def centred(transform: TargetTransform, store: Store, series: np.ndarray, always: bool) -> TargetTransform:
    """Return a scale on which targets keep their digits in float32: less their medians where they would lose them.

    It depends on the scored answers of the given series alone; scales by series or rank keep them as they are.

    Args:
        series: (n,) indices into the store.
        always: less their medians in any case.
    """
    if not always and transform.kind not in FIXED:
        return transform
    answers = sampled_answers(store, series, max(1, SAMPLE_TARGETS // store.targets), np.random.default_rng(0))
    z = transform.forward(np.asarray(store.y[answers]), store, answers)
    with np.errstate(over="ignore"):  # what float32 has no number for is refused elsewhere
        lost = np.abs(z - z.astype(np.float32)).max(axis=0)
    middle = np.median(z, axis=0)
    loses = always | (lost > LEAST_LOST * np.abs(z - middle).mean(axis=0))
    return Centred(np.where(loses, middle, 0.0), transform) if loses.any() else transform


def fit(kind: str, store: Store, series: np.ndarray, seed: int) -> TargetTransform:
    """Fit a transform on some series of a training table only.

    Args:
        kind: data.target_transform.
        series: (n,) indices into the store; some of their answers are scored.
        seed: of the sample of values that stands for very many.
    """
    if kind == "log1p":
        return Log1p()
    if kind.endswith(STANDARDISE):
        below = _below(kind)
        return Standardise(_usual(_of_known_starts(below.view(store))[1][series]), below)
    if kind == RESIDUAL:
        assert store.estimate is not None, "a store with an estimator's channels"
        rows = store.answers(series)
        return Residual(float(np.median(store.estimate[rows[store.scored[rows]], 1])))
    if kind == "rank":
        answers = sampled_answers(store, series, max(1, SAMPLE_TARGETS // store.targets), np.random.default_rng(seed))
        values, shares = zip(*(_quantiles(column) for column in np.asarray(store.y[answers]).T), strict=True)
        return Rank(values, shares)
    return PLAIN


def from_json(value: dict[str, Any]) -> TargetTransform:
    """Read what `to_json` returned."""
    if value["kind"] == "rank":
        return Rank(*(tuple(np.asarray(column) for column in value[name]) for name in ("values", "shares")))
    if value["kind"] == RESIDUAL:
        return Residual(float(value["softness"]))
    if value["kind"] == Centred.kind:
        return Centred(np.asarray(value["center"]), from_json(value["below"]))
    if value["kind"].endswith(STANDARDISE):
        return Standardise(np.asarray(value["usual"]), _below(value["kind"]))
    return Log1p() if value["kind"] == "log1p" else PLAIN


def check(kind: str, store: Store, path: Path) -> None:
    """Refuse given targets that have no logarithm. path: of their file, for messages.

    Raises:
        UserError
    """
    if not kind.startswith("log1p") or not (store.labelled or store.observed):
        return
    given = store.known & (store.counted | ~store.scored)[:, None]  # not what stands in scored rows of weight 0
    lowest = np.where(given, store.y, np.inf).min(axis=0)
    if lowest.min() <= -1:
        name = store.task.columns[int(lowest.argmin())]
        raise UserError(
            f"{path}: data.target_transform = {kind!r} needs targets above -1, but {name!r} goes down to "
            f"{lowest.min():g}. Take 'rank', or leave it out."
        )


def _below(kind: str) -> TargetTransform:
    """Return the scale that is standardised by its known starts."""
    return Log1p() if kind.startswith("log1p") else PLAIN


def _of_known_starts(store: Store) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of each series' known steps, (N, K) each; 0 where nothing is known."""
    most = store.observed if store.known_steps is None else int(store.known_steps.max())
    steps = min(most, store.longest)
    known = store.pad(store.known & store.in_start[:, None], steps=steps).astype(np.float64)
    y, count = store.pad(np.asarray(store.y), steps=steps), np.maximum(known.sum(axis=1), 1)  # (N, steps, K), (N, K)
    mean = (y * known).sum(axis=1) / count
    return mean, np.sqrt((np.square(y - mean[:, None]) * known).sum(axis=1) / count)


def _usual(deviation: np.ndarray) -> np.ndarray:
    """Return the median over series (n, K) of the deviations above 0, (K,); 1 where there is none."""
    moving = [column[column > 0] for column in deviation.T]
    return np.array([np.median(column) if len(column) else 1.0 for column in moving])


def _quantiles(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most KNOTS of the values (m,), rising, and their ranks, 0 to 1; equal values have their mean one."""
    ordered = np.sort(values)
    places = np.unique(np.linspace(0, len(ordered) - 1, KNOTS).round().astype(np.int64))
    knots = np.unique(ordered[places])
    low, high = np.searchsorted(ordered, knots), np.searchsorted(ordered, knots, side="right") - 1
    shares = (low + high) / 2
    span = shares[-1] - shares[0]
    return knots, (shares - shares[0]) / span if span else np.full(1, 0.5)

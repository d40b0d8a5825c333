"""What all boosted trees do alike, whatever the library: labels, weights, gaps, what is watched, files.

One booster for each target, of multiclass one for all, on flat rows: (R, F) float32 -> (R, K) float64. A library's own
file (systems/lightgbm.py, xgboost.py, catboost.py) trains, applies, writes and reads one booster.

A gap in a feature that training has complete would be on a side of each split that nothing was learned of. Such a gap
gets the median of training instead. Where training has gaps, too, they are left to the library, which learns a side.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from foldline.models.contract import Kind
from foldline.models.ops.boosting_config import BoostingConfig, check_kind

FACTS = "middles.json"  # beside the boosters: medians, and what else predictions need
MOST_ROWS = 1 << 17  # of which medians are taken
ROWS_AT_ONCE = 1 << 16
AnyConfig = TypeVar("AnyConfig", bound=BoostingConfig)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Rows of series that are not trained on, for early stopping: their score decides how many trees are kept."""

    x: np.ndarray  # (W, F) float32
    y: np.ndarray  # (W, K) float64
    stop: int  # rounds without a better score after which a booster ends; it keeps the trees up to its best one
    # (truth, prediction), alike in shape: (W, 1) of each booster's target, of multiclass (W, K). cross_entropy is not
    # scored by it, but each class by its own cross entropy: one class alone has no score.
    score: Callable[[np.ndarray, np.ndarray], float]
    higher_is_better: bool = False
    weight: np.ndarray | None = None  # (W,), how much each counts in cross entropies; None: all alike
    # Maps predictions to the unit of y, where boosters learn on another scale: (W, k) of some of the K columns.
    in_own_units: Callable[[np.ndarray, slice], np.ndarray] = lambda values, columns: values


@dataclass(frozen=True, kw_only=True)
class Rows:
    """What all boosters of a model are trained on."""

    x: np.ndarray  # (R, F) float32
    held: np.ndarray | None  # (W, F) float32, of watched rows
    categorical: tuple[int, ...]  # columns that are codes of categories, 0 for unknown
    classes: int  # of multiclass; 0: another objective
    seed: int
    threads: int


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What one booster learns, and what ends it."""

    label: np.ndarray  # (R,) float64; of multiclass the numbers of classes
    weight: np.ndarray | None  # (R,) float64, mean 1; None: all alike
    report: Callable[[int], None]  # takes how many rounds are done
    held_label: np.ndarray | None  # (W,), of watched rows; None: none are
    score: Callable[[np.ndarray], float]  # of predictions for these, (W,) or (W, K)
    higher_is_better: bool
    stop: int


class BoostedTrees(ABC, Generic[AnyConfig]):
    """A booster a target, of multiclass one for all. Rows: (R, F) float32 in, (R, K) float64 out."""

    ending: ClassVar[str]  # of a booster's file

    def __init__(self, config: AnyConfig) -> None:
        self.config = config
        self.boosters: list[Any] = []
        # (F,) of features without a gap in training, which are filled; others NaN. None: not fitted, or of old files.
        self.middles: np.ndarray | None = None
        self.objective: str = config.objective
        self.categorical: tuple[int, ...] = ()
        self.targets = 0

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        seed: int,
        threads: int,
        on_round: Callable[[int, int], None] | None = None,
        *,
        watched: Watched | None = None,
        weight: np.ndarray | None = None,
        kind: Kind = "regression",
        categorical: Sequence[int] = (),
    ) -> None:
        """Train a booster a target on x (R, F) float32, y (R, K) float64. Same seed, threads and data: same bits.

        Args:
            on_round: called with the rounds done and all rounds, over all boosters; a round that early stopping saves
                counts as done.
            weight: (R,) of each row, above 0; only ratios matter. Equal ones, whatever their size, are none.
            kind: of the targets; y as in models/contract.py.
            categorical: columns of x that are codes of categories, 0 for unknown.

        Raises:
            ValueError: the objective does not serve this kind.
        """
        check_kind(self.config, kind, y.shape[1])
        self.middles, self.targets, self.categorical = _middles(x), y.shape[1], tuple(categorical)
        self.objective = self.config.objective
        rows = Rows(
            x=x,
            held=None if watched is None else self._filled(watched.x),
            categorical=self.categorical,
            classes=y.shape[1] if self.objective == "multiclass" else 0,
            seed=seed,
            threads=threads,
        )
        goals = [self._goal(*each, weight, watched, on_round) for each in self._labels(y)]
        self.boosters = list(self._trained(rows, goals))

    def _labels(self, y: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield of each booster its number, how many there are, and its labels (R,)."""
        columns = [y.argmax(axis=1).astype(np.float64)] if self.objective == "multiclass" else list(y.T)
        yield from ((number, len(columns), label) for number, label in enumerate(columns))

    def _goal(
        self,
        number: int,
        count: int,
        label: np.ndarray,
        weight: np.ndarray | None,
        watched: Watched | None,
        on_round: Callable[[int, int], None] | None,
    ) -> Goal:
        """Make the goal of a booster, the number-th of `count`."""
        rounds, columns = self.config.rounds, slice(None) if count == 1 else slice(number, number + 1)

        def report(done: int) -> None:
            if on_round:
                on_round(number * rounds + done, count * rounds)

        held = None if watched is None else next(self._labels(watched.y[:, columns]))[2]
        own = self.objective == "cross_entropy"
        return Goal(
            label=label,
            weight=self._row_weights(label, weight),
            report=report,
            held_label=held,
            score=_no_score if watched is None else _scored_by(watched, columns, own),
            higher_is_better=watched is not None and watched.higher_is_better and not own,
            stop=0 if watched is None else watched.stop,
        )

    def _row_weights(self, label: np.ndarray, weight: np.ndarray | None) -> np.ndarray | None:
        """Return the weights (R,) of a booster's rows, those of classes included, their mean 1; None: all alike.

        Every library's trees depend on the size of weights, even of equal ones: LightGBM's leaves of l1 and quantile,
        XGBoost's penalties and bins, CatBoost's noise in the scores of splits.
        """
        weights = np.ones(len(label)) if weight is None else np.asarray(weight, dtype=np.float64)
        if self.objective == "rmspe":
            if not label.all():
                raise ValueError("objective = 'rmspe' needs targets other than 0.")
            weights = weights / np.square(label)
        if not (len(weights) == len(label) and np.isfinite(weights).all() and (weights > 0).all()):
            raise ValueError(f"weight must hold a finite number above 0 for each of the {len(label)} rows.")
        if self.config.balanced or self.config.class_weights:
            classes = (label > 0.5 if self.objective == "binary" else label).astype(np.int64)
            of_class = np.asarray(self.config.class_weights)
            if self.config.balanced:
                sums = np.bincount(classes, weights)
                of_class = np.divide(1, sums, out=np.zeros_like(sums), where=sums > 0)
            weights = weights * of_class[classes]
        mean_one = weights / weights.mean()
        return None if np.allclose(mean_one, 1, rtol=0, atol=1e-9) else mean_one

    def predict(self, x: np.ndarray, threads: int) -> np.ndarray:
        """Predict (R, F) -> (R, K)."""
        x = self._filled(x)
        found = [np.asarray(self._predicted(booster, x, threads), dtype=np.float64) for booster in self.boosters]
        if found[0].ndim == 2:  # one booster of all classes
            return found[0]
        together = np.stack(found, axis=1)
        return together / together.sum(axis=1, keepdims=True) if self.objective == "cross_entropy" else together

    def _filled(self, x: np.ndarray) -> np.ndarray:
        """Fill, in a copy, gaps of features that had none in training: no split knows a side for them.

        x: (R, F); what is missing in training too stays so.
        """
        if self.middles is None:
            return x
        complete = np.flatnonzero(~np.isnan(self.middles))
        lacking = [column for column in complete if np.isnan(x[:, column]).any()]
        if lacking:
            x = x.copy()
        for column in lacking:
            x[np.isnan(x[:, column]), column] = self.middles[column]
        return x

    def save(self, folder: Path) -> None:
        """Write one file a booster into a folder, and beside them what predictions need besides."""
        assert self.middles is not None, "fit or load first"
        facts = {
            "middles": [None if math.isnan(value) else value for value in self.middles.tolist()],
            "objective": self.objective,
            "targets": self.targets,
            "categorical": list(self.categorical),
        }
        (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
        for number, booster in enumerate(self.boosters):
            self._write(booster, folder / f"booster-{number}{self.ending}")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        paths = sorted(folder.glob("booster-*"), key=lambda path: int(path.stem.split("-")[1]))
        if (folder / FACTS).exists():  # older versions left gaps to LightGBM
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            self.middles = np.array(facts["middles"], dtype=np.float64)
            self.objective = facts.get("objective", self.objective)
            self.targets, self.categorical = facts.get("targets", 0), tuple(facts.get("categorical", ()))
        self.boosters = [self._read(path) for path in paths]

    @abstractmethod
    def _trained(self, rows: Rows, goals: Sequence[Goal]) -> Iterator[Any]:
        """Train a booster for each goal; each keeps the trees up to its best round where rows are watched."""

    @abstractmethod
    def _predicted(self, booster: Any, x: np.ndarray, threads: int) -> np.ndarray:
        """Predict (R, F) -> (R,), of multiclass (R, K)."""

    @abstractmethod
    def _write(self, booster: Any, path: Path) -> None:
        """Write a booster into a file; what is read back predicts the same bits."""

    @abstractmethod
    def _read(self, path: Path) -> Any:
        """Read what `_write` wrote."""


def _middles(x: np.ndarray) -> np.ndarray:
    """Return the median of each feature of x (R, F), of evenly spaced rows if they are many; NaN where it has gaps."""
    gaps = np.zeros(x.shape[1], dtype=bool)
    for first in range(0, len(x), ROWS_AT_ONCE):
        gaps |= np.isnan(x[first : first + ROWS_AT_ONCE]).any(axis=0)
    rows = np.arange(min(len(x), MOST_ROWS)) * len(x) // min(len(x), MOST_ROWS)
    return np.where(gaps, np.nan, np.median(x[rows].astype(np.float64), axis=0))


def _scored_by(watched: Watched, columns: slice, own: bool) -> Callable[[np.ndarray], float]:
    """Return the score of a booster's predictions for watched rows, (W,) or (W, K).

    columns: of y that it predicts; own: cross entropy, not the score.
    """
    truth = np.ascontiguousarray(watched.y[:, columns])  # not rounded: a library's own copy of a label is float32

    def score(predicted: np.ndarray) -> float:
        predicted = watched.in_own_units(predicted.reshape(truth.shape), columns)
        return cross_entropy(truth, predicted, watched.weight) if own else watched.score(truth, predicted)

    return score


def _no_score(predicted: np.ndarray) -> float:
    raise AssertionError("nothing is watched")


def cross_entropy(truth: np.ndarray, predicted: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the mean binary cross entropy of shares (W, K), in nats; probabilities are kept 1e-15 off 0 and 1.

    weight: (W,) of each row; None: all alike.
    """
    p = predicted.clip(1e-15, 1 - 1e-15)
    return float(np.average(-(truth * np.log(p) + (1 - truth) * np.log1p(-p)).mean(axis=1), weights=weight))

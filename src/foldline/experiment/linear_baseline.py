"""The linear baseline: ridge or logistic regression on the inputs as they stand, without any feature.

At the level "step" an answer is predicted from the inputs of its own row, at the level "series" from mean and standard
deviation of each input over the series; static values are one-hot columns beside. Standardised outside the fold.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import polars as pl

from foldline.data import on_disk
from foldline.data.table import Table
from foldline.data.task import SHARES

MOST_ROWS = 10_000  # that it is fitted on, drawn at random
MOST_VALUES = 2_000_000  # rows x inputs x classes of a fit: fewer rows are drawn where there are many classes
MOST_LEVELS = 30  # values of a static column with a one-hot column, the most frequent ones
CHUNK = 100_000  # answers that are predicted at a time
ALPHA = 1.0  # penalty of ridge regression, on standardised inputs
NUMBERS = ("regression", "ordinal")  # kinds that a ridge regression fits
ITERATIONS = 100  # at most, of a logistic regression: it need not converge to be a baseline


@dataclass(frozen=True)
class Inputs:
    """What the line is drawn through. N series, F inputs, L one-hot columns."""

    rows: pl.DataFrame  # inputs of each row; at the level "series" (N, 2 F), their means and deviations
    one_hot: np.ndarray  # (N, L) bool
    series: np.ndarray  # (answers,) int64, the series of each of all answers

    @staticmethod
    def of(table: Table) -> Inputs:
        """Read the inputs of a table."""
        numbers = [*table.data.numeric_inputs, *table.facts.numbers]
        frame = pl.DataFrame([table.frame[name].alias(str(place)) for place, name in enumerate(numbers)])
        series = on_disk.kept_array(np.repeat(np.arange(len(table.lengths)), table.lengths))
        if table.task.on_series:
            frame, series = _statistics(frame, series), np.arange(len(table.lengths))
        first = [table.frame[name].gather(table.starts).cast(pl.String) for name in table.categories]
        columns = [(column == level).fill_null(False) for column in first for level in _levels(column)]
        none = np.zeros((len(table.lengths), 0), dtype=bool)
        return Inputs(frame, np.column_stack([none, *(column.to_numpy() for column in columns)]), series)

    @property
    def width(self) -> int:
        """Number of columns, F + L."""
        return self.rows.width + int(self.one_hot.shape[1])

    def at(self, answers: np.ndarray) -> np.ndarray:
        """Return the inputs of some answers, (n, F + L) float64, NaN where one is missing."""
        numbers = np.zeros((len(answers), 0))
        if self.rows.width:
            numbers = self.rows[answers].select(pl.all().cast(pl.Float64).fill_nan(None)).to_numpy()
        return np.hstack([numbers, self.one_hot[self.series[answers]]]).astype(np.float64)


def _statistics(frame: pl.DataFrame, series: np.ndarray) -> pl.DataFrame:
    """Return mean and deviation of each column over the rows of each series, (N, 2 F); none where all are categories.

    series: (rows,) int64, the series of each row.
    """
    if not frame.width:
        return frame
    names = pl.col(frame.columns)
    # With a deviation beside it a mean has the same bits in every run (data/group_means.py: when it has not).
    statistics = [names.mean(), names.std(ddof=0).name.suffix(" std")]
    known = frame.select(pl.all().cast(pl.Float64).fill_nan(None)).with_columns(series=series)
    return known.group_by("series", maintain_order=True).agg(statistics).drop("series")


def _levels(column: pl.Series) -> list[str]:
    """List the most frequent values, at most MOST_LEVELS."""
    counts = column.drop_nulls().value_counts().sort("count", column.name, descending=[True, False])
    return [str(value) for value in counts[column.name].head(MOST_LEVELS)]


@dataclass(frozen=True)
class _Scale:
    """Mean and deviation of each input outside the fold; a missing value becomes the mean."""

    mean: np.ndarray
    deviation: np.ndarray

    @staticmethod
    def of(values: np.ndarray) -> _Scale:
        known = np.isfinite(values)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, values, 0.0).sum(axis=0) / count
        deviation = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / count)
        return _Scale(mean, np.where(deviation > 0, deviation, 1.0))

    def apply(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(np.nan_to_num((values - self.mean) / self.deviation, nan=0.0, posinf=0.0, neginf=0.0))


def predict(
    inputs: Inputs, truth: np.ndarray, kind: str, answer: np.ndarray, inside: np.ndarray, held: np.ndarray
) -> np.ndarray:
    """Fit on answers outside the fold, and predict those in it, (h, K).

    Args:
        truth: (R, K) of the scored answers.
        kind: of the target.
        answer: (R,) place of each scored answer among all.
        inside: (n,) places among the R answers to be fitted on.
        held: (h,) places to be predicted.
    """
    classes = truth.shape[1] if kind not in NUMBERS else 1
    count = max(100, min(MOST_ROWS, MOST_VALUES // (inputs.width * classes)))
    if len(inside) > count:
        inside = np.sort(np.random.default_rng(0).choice(inside, count, replace=False))
    values = inputs.at(answer[inside])
    scale, known = _Scale.of(values), truth[inside]
    fit = _ridge if kind in NUMBERS else _shares if kind in SHARES else _flags
    weights, offset = fit(scale.apply(values), known)
    found = []
    for start in range(0, len(held), CHUNK):
        raw = scale.apply(inputs.at(answer[held[start : start + CHUNK]])) @ weights + offset
        found.append(_finished(raw, kind, known))
    return np.concatenate(found)


def _finished(raw: np.ndarray, kind: str, known: np.ndarray) -> np.ndarray:
    """Turn a line's values into predictions: numbers in the range of those known, or probabilities. raw: (h, K)."""
    from scipy.special import expit, softmax

    if kind in NUMBERS:
        return np.asarray(np.clip(raw, known.min(axis=0), known.max(axis=0)))
    return np.asarray(softmax(raw, axis=1) if kind in SHARES else expit(raw))


def _ridge(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit numbers: weights (F, K) and offset (K,). values: (n, F) of mean 0."""
    offset = truth.mean(axis=0)
    gram = values.T @ values + ALPHA * np.eye(values.shape[1])
    return np.linalg.solve(gram, values.T @ (truth - offset)), offset


def _shares(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit classes or shares: each answer counts for every class by its share. Returns (F, K) and (K,)."""
    row, column = np.nonzero(truth > 0)
    weights, offset = np.zeros((values.shape[1], truth.shape[1])), np.full(truth.shape[1], -50.0)  # of no answer: e^-50
    present = np.unique(column)
    if len(present) < 2:
        offset[present] = 0.0
        return weights, offset
    coefficients, intercepts = _logistic(values[row], column, truth[row, column])
    if len(present) == 2:  # scikit-learn has one line for two classes
        coefficients, intercepts = np.vstack([0 * coefficients, coefficients]), np.append(0.0, intercepts)
    weights[:, present], offset[present] = coefficients.T, intercepts - intercepts.max()
    return weights, offset


def _flags(values: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit columns of 0 and 1, one after the other. Returns (F, K) and (K,)."""
    weights, offset = np.zeros((values.shape[1], truth.shape[1])), np.empty(truth.shape[1])
    for column, flags in enumerate(truth.T):
        if flags.min() == flags.max():
            offset[column] = 50.0 if flags[0] else -50.0
            continue
        coefficients, intercepts = _logistic(values, flags.astype(np.int64), None)
        weights[:, column], offset[column] = coefficients[0], intercepts[0]
    return weights, offset


def _logistic(values: np.ndarray, labels: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Fit a logistic regression: coefficients (classes, F) and intercepts (classes,), one line of two classes."""
    from sklearn.linear_model import LogisticRegression  # slow import, and only classes need it

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="lbfgs failed to converge")
        warnings.filterwarnings("ignore", message="The number of unique classes")  # few series a class are no mistake
        fitted = LogisticRegression(max_iter=ITERATIONS).fit(values, labels, sample_weight=weight)
    return fitted.coef_, fitted.intercept_
